// Package warm runs jobs that fill a cache: when each is due, which process of the
// fleet runs it, and how far it is. It knows nothing of values: what a job loads goes
// the way of every load of its cache.
package warm

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/flight"
)

const (
	// glance is how often a process looks whether the one that runs a job still does,
	// and keepEvery how often that one says so.
	glance    = 500 * time.Millisecond
	keepEvery = time.Second
	// Life is for how long a turn is taken or kept: who glances finds a dead owner's
	// turn free within Life and glance, three seconds.
	Life = 3*time.Second - glance
	// endWithin bounds what a job that is ended still says to Redis.
	endWithin = 300 * time.Millisecond
	// patience is how many looks in a row have to fail for Redis to be out of use: one
	// lost answer must not have a job run beside another's.
	patience = 3
	// spread keeps a fleet from asking for the next turn all at once, and late enough
	// for the last rest to be over.
	spread = 100 * time.Millisecond
	// longestETA is shown of a run that takes longer: 292 years do not fit.
	longestETA = float64(100 * 365 * 24 * time.Hour)
	// soonest is how soon a Schedule may have the next run.
	soonest = time.Second
)

// Turn is whose it is to run a job, in all processes that share a Redis. It decides
// nothing about values: two that run a job at once load twice. Its error is that Redis
// could not be asked.
type Turn interface {
	// Take takes the turn for Life. If it is not ours, rest is for how long nobody is
	// to run the job, and 0 if somebody does.
	Take(ctx context.Context) (mine bool, rest time.Duration, err error)
	// Keep makes the turn last for Life from now, whosever it was.
	Keep(ctx context.Context) error
	// End gives it back; with rest, nobody has it for so long.
	End(ctx context.Context, rest time.Duration) error
}

// Config of a Job. All of it is needed but for what says otherwise.
type Config struct {
	Name          string
	Next          func(time.Time) time.Time // zero: never
	AtStart       bool
	StopAfterIdle time.Duration // 0: it does not

	Concurrency int
	Rate        float64 // keys in a second; 0: as fast as it goes
	Retries     int     // of a key, after the first try
	Batch       int     // keys in a call of Load

	Keys  func(context.Context) ([]string, error) // anybody's code
	Check func(key string) error                  // of a key that cannot be
	// Load loads keys, and says of each that failed why. It returns when ctx ends.
	Load  func(ctx context.Context, keys []string) map[string]error
	Reads func() int64           // so far, of the cache, but for those of jobs
	Ended func(done, failed int) // of each run, with its numbers of keys

	Turn Turn // nil: each process runs the job for itself
	Log  *slog.Logger
}

// Status of a Job in this process.
type Status struct {
	Name    string
	Running bool
	Idle    bool
	Runs    int64

	Total, Done, Failed int
	ETA                 time.Duration
	Started, Ended      time.Time
	Next                time.Time
	Err                 error
}

// Job is one job in one process.
type Job struct {
	cfg  Config
	pace pace
	ask  chan chan<- error // who asks for a run

	// Of Run's goroutine.
	seen   int64     // reads, at the last look
	readAt time.Time // when they were last more than before
	missed int       // looks in a row that Redis has not answered

	mu sync.Mutex // guards is
	is Status     // Done, Failed and Total are those of the run at hand, or of the last
}

// New makes a Job. It does nothing before Run.
func New(cfg Config) *Job {
	j := &Job{cfg: cfg, ask: make(chan chan<- error), is: Status{Name: cfg.Name}}
	if cfg.Rate > 0 {
		j.pace.every = time.Duration(float64(time.Second) / cfg.Rate)
	}
	return j
}

// Name of the job.
func (j *Job) Name() string { return j.cfg.Name }

// Ask is where a run is asked for: what is sent gets the error of a run that began
// after that, and has to have room for it. Nobody receives before Run or after it.
func (j *Job) Ask() chan<- chan<- error { return j.ask }

// Status of the job now.
func (j *Job) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.is
	if over := s.Done + s.Failed; s.Running && over > 0 {
		left := float64(time.Since(s.Started)) / float64(over) * float64(s.Total-over)
		s.ETA = time.Duration(min(left, longestETA))
	}
	return s
}

func (j *Job) note(change func(*Status)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.is)
}

// Run runs the job whenever it is due or asked for, one run at a time, until ctx ends.
func (j *Job) Run(ctx context.Context) {
	j.seen, j.readAt = j.cfg.Reads(), time.Now()
	due := time.Now()
	if !j.cfg.AtStart {
		due = j.next(ctx)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var asked []chan<- error
	for {
		j.note(func(s *Status) { s.Next = due })
		var rings <-chan time.Time
		if !due.IsZero() {
			timer.Reset(time.Until(due))
			rings = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-rings:
		case a := <-j.ask:
			asked = append(asked, a)
		}
		if ctx.Err() != nil {
			return
		}
		for more := true; more; { // one run is for all who asked before it
			select {
			case a := <-j.ask:
				asked = append(asked, a)
			default:
				more = false
			}
		}
		var ran bool
		var err error
		if due, ran, err = j.look(ctx, len(asked) > 0); ran {
			for _, a := range asked {
				a <- err
			}
			asked = nil
		}
	}
}

// look runs the job if that is this process's to do, and says when to look again.
func (j *Job) look(ctx context.Context, asked bool) (due time.Time, ran bool, err error) {
	now := time.Now()
	idle := j.idle(now)
	j.note(func(s *Status) { s.Idle = idle })
	if idle && !asked {
		return j.next(ctx), false, nil
	}
	shared := false
	if j.cfg.Turn != nil {
		mine, rest, err := j.cfg.Turn.Take(ctx)
		if err == nil {
			j.missed = 0
		}
		switch {
		case ctx.Err() != nil:
			if mine {
				j.end(ctx, 0)
			}
			return due, false, nil
		case err != nil:
			if j.missed++; j.missed < patience {
				return now.Add(glance), false, nil
			}
			// Nobody can be told, so each process warms its own memory.
		case mine:
			shared = true
		case rest > 0 && asked:
			_ = j.cfg.Turn.Keep(ctx)
			shared = true
		case rest > 0:
			return earlier(now.Add(rest).Add(spread/10+rand.N(spread)), j.next(ctx)), false, nil
		default:
			return now.Add(glance), false, nil
		}
	}
	stop := func() {}
	if shared {
		stop = j.keep(ctx)
	}
	err = j.once(ctx)
	stop() // and wait: a Keep after End would be a turn that nobody has
	due = j.next(ctx)
	if shared {
		rest := time.Until(due)
		if ctx.Err() != nil || due.IsZero() {
			rest = 0 // another may run it
		}
		j.end(ctx, rest)
	}
	return due, true, err
}

func (j *Job) keep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticks := time.NewTicker(keepEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
				_ = j.cfg.Turn.Keep(ctx) // Life has room for one that fails
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (j *Job) end(ctx context.Context, rest time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	_ = j.cfg.Turn.End(ctx, rest) // else it runs out
}

// idle tells whether nobody has read for too long. It is asked when a run is due, so
// what was read since the last time counts as read now.
func (j *Job) idle(now time.Time) bool {
	if n := j.cfg.Reads(); n != j.seen {
		j.seen, j.readAt = n, now
	}
	return j.cfg.StopAfterIdle > 0 && now.Sub(j.readAt) >= j.cfg.StopAfterIdle
}

// next is when the job is due next, zero for never, or if ctx ends before that is said.
func (j *Job) next(ctx context.Context) (due time.Time) {
	now := time.Now()
	said, failed := make(chan time.Time, 1), make(chan error, 1)
	flight.Go(func() (time.Time, error) { return j.cfg.Next(now), nil }, func(at time.Time, err error) {
		if err != nil {
			failed <- err
		} else {
			said <- at
		}
	})
	select {
	case due = <-said:
	case err := <-failed:
		j.cfg.Log.Error("tiercache: the Schedule of a job has failed, it is not run by itself any more", "job", j.cfg.Name, "error", err)
		j.note(func(s *Status) { s.Err = err })
		return time.Time{}
	case <-ctx.Done():
		return time.Time{}
	}
	switch {
	case due.IsZero():
		return due
	case due.Sub(now) < soonest:
		return now.Add(soonest)
	}
	return due
}

// earlier of two times; never, if b is never.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
