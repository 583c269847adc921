package tiercache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/engine"
	"github.com/tiercache/tiercache/internal/warm"
)

const (
	defaultEvery           = 30 * time.Minute
	leastEvery             = time.Second
	everyJitter            = 0.1
	defaultWarmConcurrency = 4
	defaultWarmRetries     = 3
	defaultWarmBatch       = 100
	leastRate              = 0.001
)

// Job says what a Warmer loads, and when. Make one with Cache.WarmEach or
// Cache.WarmMany. Name is required; the zero value of every other field is its default,
// and a value that makes no sense is an error of NewWarmer that names the field.
type Job struct {
	// Name tells the jobs of a Warmer apart. Processes that share a Redis and its
	// Prefix run a job of one name once for all of them.
	Name string

	// Every is the time from the end of a run to the start of the next. Each time it is
	// shortened by a random share of up to a tenth. At least 1 s. Default: 30 min, if
	// there is no Schedule. Negative: it runs only when Trigger asks.
	Every time.Duration

	// Schedule, in the place of Every, says when the job is due after a time; zero for
	// never. It is asked again after each run, and what it says is taken to be at least
	// a second ahead. The schedules of the usual cron libraries fit.
	Schedule interface{ Next(time.Time) time.Time }

	// AtStart makes the job due when Run starts, too, if the fleet has not run it less
	// than a period ago.
	AtStart bool

	// StopAfterIdle stops the job in a process in which nobody has read the cache for
	// so long, until somebody does: a run that is due looks whether anything was read
	// since the last one was due. Other processes judge by their own readers.
	// Default: it does not stop.
	StopAfterIdle time.Duration

	// Concurrency is how many calls of the loader run at a time, at the most, but for
	// those that have ignored the end of their context. Default: 4.
	Concurrency int

	// Rate is how many keys are loaded in a second, at the most, 0.001 or more. Those of one
	// batch are loaded together. Default: no limit.
	Rate float64

	// Retries is how often a key that could not be loaded is tried again, and one whose
	// value was loaded and not stored, since it was invalidated meanwhile or Redis did
	// not take it; and how often the keys are asked for again: after a quarter of a
	// second, half of it random, and then twice that each time, up to 10 s. Default: 3.
	// Negative: never.
	Retries int

	// Batch is how many keys WarmMany loads in one call, at most 1000. Default: 100.
	Batch int

	cache *engine.Cache
	call  engine.Call
	keys  func(context.Context) ([]string, error)
	load  func(context.Context, []string) map[string]error // nil: a function was nil
	many  bool
}

// WarmEach gives job its work: keys says what to load, and load loads each of them. What
// it gives is stored as by a Refresh of the key, with opts, under every guard of it; what
// is ErrNotFound is cached as absent, and is no failure.
//
// The context of keys ends with that of Warmer.Run, and with the Tiers. Also is an error.
func (c *Cache[T]) WarmEach(job Job, keys func(context.Context) ([]string, error), load func(ctx context.Context, key string) (T, error), opts ...CallOption) Job {
	job.cache, job.call, job.keys, job.many, job.load = c.c, callOf(opts), keys, false, nil
	if load == nil {
		return job
	}
	call := job.call
	job.load = func(ctx context.Context, keys []string) map[string]error {
		failed := make(map[string]error)
		for _, key := range keys { // one
			one := c.untyped(func(ctx context.Context) (T, error) { return load(ctx, key) })
			if err := c.c.WarmOne(ctx, key, one, call); err != nil {
				failed[key] = err
			}
		}
		return failed
	}
	return job
}

// WarmMany is WarmEach with a loader of many keys, as that of GetOrLoadMany: what its
// map lacks is absent, and a KeyErrors beside a map says which keys failed.
func (c *Cache[T]) WarmMany(job Job, keys func(context.Context) ([]string, error), load func(ctx context.Context, keys []string) (map[string]T, error), opts ...CallOption) Job {
	job.cache, job.call, job.keys, job.many, job.load = c.c, callOf(opts), keys, true, nil
	if load == nil {
		return job
	}
	call, many := job.call, c.untypedMany(load)
	job.load = func(ctx context.Context, keys []string) map[string]error {
		return c.c.WarmMany(ctx, keys, many, call)
	}
	return job
}

// Warmer runs jobs that load values before anybody asks for them. Safe for concurrent
// use.
//
// Of all processes that share a Redis one runs a job that is due, and the others rest
// until it is due again. If that one is killed another starts the job over within three
// seconds. If Redis cannot be asked, each process runs it, and so does each for a cache
// that is MemoryOnly. Processes that are stopped for seconds, or in which Trigger is
// called at the same moment, may run a job side by side: it is loaded twice then, and
// stored as correctly.
type Warmer struct {
	tiers *Tiers
	jobs  []*warm.Job
	ran   atomic.Bool
	ended chan struct{} // closed when Run returns
	why   error         // set before that
}

// NewWarmer makes a Warmer of jobs, which do nothing before Run.
func NewWarmer(tiers *Tiers, jobs ...Job) (*Warmer, error) {
	if tiers == nil {
		return nil, errors.New("tiercache: NewWarmer needs Tiers, not nil")
	}
	w := &Warmer{tiers: tiers, ended: make(chan struct{})}
	names := make(map[string]bool)
	for i, j := range jobs {
		j, err := j.checked(tiers, i)
		if err != nil {
			return nil, err
		}
		if names[j.Name] {
			return nil, fmt.Errorf("tiercache: Job.Name %q is that of two jobs", j.Name)
		}
		names[j.Name] = true
		w.jobs = append(w.jobs, warm.New(warm.Config{
			Name:          j.Name,
			Next:          j.next,
			AtStart:       j.AtStart,
			StopAfterIdle: j.StopAfterIdle,
			Concurrency:   j.Concurrency,
			Rate:          j.Rate,
			Retries:       j.Retries,
			Batch:         j.Batch,
			Keys:          j.keys,
			Check:         j.cache.CheckKey,
			Load:          j.load,
			Reads:         j.cache.Reads,
			Ended:         tiers.eng.Warmed,
			Turn:          j.cache.WarmTurn(j.Name),
			Log:           tiers.eng.Log(),
		}))
	}
	return w, nil
}

// Run runs the jobs until ctx ends or the Tiers are closed, and returns the error of
// the one, or ErrClosed. It returns within a second of that, also if a job's functions
// ignore their context: those go on until they return. It is called once.
func (w *Warmer) Run(ctx context.Context) error {
	if ctx == nil {
		return errors.New("tiercache: the context is nil")
	}
	if !w.ran.CompareAndSwap(false, true) {
		return errors.New("tiercache: Warmer.Run is called a second time")
	}
	jobs, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer w.tiers.eng.AtClose(func() { cancel(ErrClosed) })()
	var wg sync.WaitGroup
	for _, j := range w.jobs {
		wg.Go(func() { j.Run(jobs) })
	}
	<-jobs.Done()
	wg.Wait()
	if w.why = ctx.Err(); w.why == nil {
		w.why = ErrClosed
	}
	close(w.ended)
	return w.why
}

// Trigger has a job run now in this process, whatever its period, and waits for the
// end of that run, whose error it returns. If the job runs, here or elsewhere, another
// run follows. It waits for Run to start, too. The end of ctx ends the waiting and not
// the run. Once the Tiers are closed it is ErrClosed.
func (w *Warmer) Trigger(ctx context.Context, job string) error {
	if ctx == nil {
		return errors.New("tiercache: the context is nil")
	}
	for _, j := range w.jobs {
		if j.Name() != job {
			continue
		}
		answer, closed := make(chan error, 1), make(chan struct{})
		defer w.tiers.eng.AtClose(func() { close(closed) })()
		select {
		case j.Ask() <- answer:
		case <-closed:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ended:
			return fmt.Errorf("tiercache: the Warmer has ended: %w", w.why)
		}
		select {
		case err := <-answer:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ended:
			return fmt.Errorf("tiercache: the Warmer has ended: %w", w.why)
		}
	}
	return fmt.Errorf("tiercache: there is no job %q", job)
}

// JobStatus is how far a job is in this process.
type JobStatus struct {
	Name    string
	Running bool
	Idle    bool  // stopped since nobody reads, see Job.StopAfterIdle
	Runs    int64 // that have ended

	// Of the run at hand, or of the last: how many keys there are, how many of them
	// were loaded, or found not to exist, and how many failed for good. Total is 0
	// until the keys are known.
	Total, Done, Failed int

	ETA            time.Duration // until the run ends, at the pace so far; 0: not known
	Started, Ended time.Time     // of the run; zero: not yet
	Next           time.Time     // when it looks next whether the job is due here; zero: never
	Err            error         // of the run, nil if nothing failed
}

// Status of each job, in the order of NewWarmer.
func (w *Warmer) Status() []JobStatus {
	all := make([]JobStatus, len(w.jobs))
	for i, j := range w.jobs {
		all[i] = JobStatus(j.Status())
	}
	return all
}

// next is when the job is due after now.
func (j *Job) next(now time.Time) time.Time {
	switch {
	case j.Schedule != nil:
		return j.Schedule.Next(now)
	case j.Every < 0:
		return time.Time{}
	}
	return now.Add(j.Every - time.Duration(rand.Float64()*everyJitter*float64(j.Every)))
}

// checked returns j with its defaults in place, or what is wrong with it.
func (j Job) checked(tiers *Tiers, i int) (*Job, error) {
	bad := func(field, format string, args ...any) (*Job, error) {
		return nil, fmt.Errorf("tiercache: Job.%s %s (job %q)", field, fmt.Sprintf(format, args...), j.Name)
	}
	switch {
	case j.Name == "":
		return nil, fmt.Errorf("tiercache: Job.Name is empty (job number %d)", i+1)
	case j.cache == nil:
		return nil, fmt.Errorf("tiercache: job %q has no work: make it with Cache.WarmEach or Cache.WarmMany", j.Name)
	case !j.cache.Of(tiers.eng):
		return nil, fmt.Errorf("tiercache: job %q is for a cache of other Tiers", j.Name)
	case j.keys == nil:
		return nil, fmt.Errorf("tiercache: job %q: the function for its keys is nil", j.Name)
	case j.load == nil:
		return nil, fmt.Errorf("tiercache: job %q: its loader is nil", j.Name)
	case j.Every > 0 && j.Every < leastEvery:
		return bad("Every", "is %v, want at least %v", j.Every, leastEvery)
	case j.Every != 0 && j.Schedule != nil:
		return bad("Every", "is %v beside a Schedule", j.Every)
	case j.StopAfterIdle < 0:
		return bad("StopAfterIdle", "is negative: %v", j.StopAfterIdle)
	case j.Concurrency < 0:
		return bad("Concurrency", "is negative: %d", j.Concurrency)
	case j.Rate != 0 && !(j.Rate >= leastRate): // NaN too
		return bad("Rate", "is %v, want at least %v", j.Rate, leastRate)
	case j.Batch < 0 || j.Batch > engine.MostTogether:
		return bad("Batch", "is %d, want 1 to %d", j.Batch, engine.MostTogether)
	case j.Batch > 0 && !j.many:
		return bad("Batch", "is %d, and WarmEach loads each key by itself", j.Batch)
	}
	if err := j.cache.CheckWarm(j.call); err != nil {
		return nil, fmt.Errorf("tiercache: job %q: %w", j.Name, err)
	}
	if j.Every == 0 {
		j.Every = defaultEvery
	}
	if j.Concurrency == 0 {
		j.Concurrency = defaultWarmConcurrency
	}
	if j.Retries == 0 {
		j.Retries = defaultWarmRetries
	}
	j.Retries = max(0, j.Retries)
	if j.Batch == 0 {
		j.Batch = defaultWarmBatch
	}
	if !j.many {
		j.Batch = 1
	}
	return &j, nil
}
