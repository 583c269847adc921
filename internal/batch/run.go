// Package batch makes one call of a loader of many keys out of loads of single keys:
// of a number that is known beforehand ([Batch]), or of those that come within a
// while of each other ([Gatherer]).
package batch

import (
	"context"
	"errors"
	"sync"

	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/flight"
)

// Loader gives the values of keys. A key that its map lacks is absent. An error is that
// of every key; with a map, which is not nil, errs.Keys is that of the keys it names.
type Loader[V any] = func(ctx context.Context, keys []string) (map[string]V, error)

// run is one call of a loader, for those who wait for it when it starts. Its context
// has the values of base, and ends when all of them have left.
//
// Nobody joins a run that has started: what it loads may be older than he may have.
type run[V any] struct {
	mu      sync.Mutex // guards what follows; nothing is called under it but running
	keys    []string   // in the order they came
	wait    map[string]int
	waiting int // the sum of wait
	started bool

	base   context.Context
	cancel context.CancelFunc // set when it starts

	done   chan struct{} // closed after values and err were written
	values map[string]V
	err    error
}

// newRun makes one for about so many keys.
func newRun[V any](base context.Context, about int) *run[V] {
	return &run[V]{base: base, wait: make(map[string]int, about), done: make(chan struct{})}
}

// add is one more who waits for key. It returns the number of keys.
func (r *run[V]) add(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.wait[key]; !known {
		r.keys = append(r.keys, key)
	}
	r.wait[key]++
	r.waiting++
	return len(r.keys)
}

// start calls load with the keys that somebody still waits for, if there are any.
// running, which may be nil, is told of the call before somebody can leave it, and
// of its end.
func (r *run[V]) start(load Loader[V], running func(delta int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = true
	if r.waiting == 0 {
		close(r.done)
		return
	}
	keys := make([]string, 0, len(r.keys))
	for _, k := range r.keys {
		if r.wait[k] > 0 {
			keys = append(keys, k)
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.base))
	r.cancel = cancel
	if running != nil {
		running(1)
	}
	flight.Go(func() (map[string]V, error) { return load(ctx, keys) }, func(values map[string]V, err error) {
		r.values, r.err = values, err
		close(r.done)
		cancel()
		if running != nil {
			running(-1)
		}
	})
}

// result waits for that of key, or for the end of ctx.
func (r *run[V]) result(ctx context.Context, key string) (v V, err error) {
	select {
	case <-r.done:
	case <-ctx.Done():
		r.leave(key)
		return v, ctx.Err()
	}
	if r.err != nil {
		failed, some := errors.AsType[errs.Keys](r.err)
		switch err := failed[key]; {
		case err != nil:
			return v, err
		case !some:
			return v, r.err
		case r.values == nil:
			return v, &unnamed{r.err}
		}
	}
	v, ok := r.values[key]
	if !ok {
		return v, errs.ErrNotFound
	}
	return v, nil
}

// unnamed is the error of a key that errs.Keys without a map do not name: all of theirs,
// but that one of their keys does not exist, or has not changed. They may be passed on
// from elsewhere, and be about other keys than were asked for here.
type unnamed struct{ err error }

func (u *unnamed) Error() string { return u.err.Error() }

func (u *unnamed) Is(target error) bool {
	return target != errs.ErrNotFound && target != errs.ErrNotModified && errors.Is(u.err, target)
}

func (u *unnamed) As(target any) bool { return errors.As(u.err, target) }

func (r *run[V]) leave(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait[key]--
	if r.waiting--; r.waiting == 0 && r.started {
		r.cancel()
	}
}
