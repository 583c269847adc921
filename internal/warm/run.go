package warm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/flight"
)

const (
	firstPause = 250 * time.Millisecond // before a second try, doubled each time
	lastPause  = 10 * time.Second
)

// once is one run. Its error is that of Keys, that of ctx, or of some key.
func (j *Job) once(ctx context.Context) error {
	j.note(func(s *Status) {
		s.Running, s.Started = true, time.Now()
		s.Total, s.Done, s.Failed, s.Err = 0, 0, 0, nil
	})
	err := j.all(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var s Status
	j.note(func(is *Status) {
		if err == nil && is.Failed > 0 {
			err = fmt.Errorf("tiercache: job %q: %d of %d keys failed, one with: %w", j.cfg.Name, is.Failed, is.Total, is.Err)
		}
		is.Running, is.Ended, is.Err = false, time.Now(), err
		is.Runs++
		s = *is
	})
	j.cfg.Ended(s.Done, s.Failed)
	if err != nil && ctx.Err() == nil {
		j.cfg.Log.Warn("tiercache: a job could not warm everything", "job", j.cfg.Name, "failed", s.Failed, "total", s.Total, "error", err)
	}
	return err
}

func (j *Job) all(ctx context.Context) error {
	keys, err := j.keys(ctx)
	if err != nil {
		return err
	}
	slices.Sort(keys)
	keys = slices.Compact(keys) // those of one call are loaded side by side
	j.note(func(s *Status) { s.Total = len(keys) })
	keys = slices.DeleteFunc(keys, func(k string) bool {
		err := j.cfg.Check(k)
		if err != nil {
			j.failed(1, err)
		}
		return err != nil
	})
	var wg sync.WaitGroup
	slots := make(chan struct{}, j.cfg.Concurrency)
	for some := range slices.Chunk(keys, j.cfg.Batch) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			j.warm(ctx, some)
		})
	}
	wg.Wait()
	return nil
}

// keys asks for the keys until there is an answer, as often as for a value.
func (j *Job) keys(ctx context.Context) (keys []string, err error) {
	for try := 0; ; try++ {
		type answer struct {
			keys []string
			err  error
		}
		got := make(chan answer, 1)
		flight.Go(func() ([]string, error) { return j.cfg.Keys(ctx) }, func(keys []string, err error) { got <- answer{keys, err} })
		select {
		case a := <-got:
			keys, err = a.keys, a.err
		case <-ctx.Done(): // which it may ignore
			return nil, ctx.Err()
		}
		if err == nil {
			return slices.Clone(keys), nil // they are the caller's
		}
		if try >= j.cfg.Retries || !pause(ctx, backoff(try)) {
			return nil, fmt.Errorf("tiercache: job %q: no keys: %w", j.cfg.Name, err)
		}
	}
}

// warm loads keys, and those that fail again.
func (j *Job) warm(ctx context.Context, keys []string) {
	for try := 0; ; try++ {
		if !j.pace.wait(ctx, len(keys)) {
			return
		}
		var failures map[string]error
		if err := flight.Recovering(func() error { failures = j.cfg.Load(ctx, keys); return nil }); err != nil {
			failures = make(map[string]error, len(keys))
			for _, k := range keys {
				failures[k] = err
			}
		}
		j.note(func(s *Status) { s.Done += len(keys) - len(failures) })
		if len(failures) == 0 || ctx.Err() != nil {
			return
		}
		keys = slices.DeleteFunc(keys, func(k string) bool { return failures[k] == nil })
		if try >= j.cfg.Retries {
			j.failed(len(keys), failures[keys[0]])
			return
		}
		if !pause(ctx, backoff(try)) {
			return
		}
	}
}

func (j *Job) failed(n int, err error) {
	j.note(func(s *Status) {
		s.Failed += n
		s.Err = err
	})
}

// backoff is the pause after a try that failed, half of it random.
func backoff(try int) time.Duration {
	d := min(firstPause<<min(try, 10), lastPause)
	return d/2 + rand.N(d)
}

// pause tells whether it was over before ctx.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pace spaces what is loaded.
type pace struct {
	every time.Duration // a key; 0: there is no rate

	mu   sync.Mutex // guards free
	free time.Time  // when the next key may be loaded
}

// wait waits until n keys may be loaded, or tells that ctx ended.
func (p *pace) wait(ctx context.Context, n int) bool {
	if p.every == 0 {
		return ctx.Err() == nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	d := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(n) * p.every)
	p.mu.Unlock()
	return pause(ctx, d)
}
