package engine

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/journal"
	"github.com/tiercache/tiercache/internal/remote"
)

// invalidateTags takes three commands a tag, whatever the number of values.
func (e *Engine) invalidateTags(ctx context.Context, names []string) (r Report) {
	pass := func() {
		for _, n := range names {
			e.dropTag(n)
		}
	}
	e.around(pass, func() {
		for _, scope := range names {
			for _, n := range e.turn(ctx, scope, nil, nil) {
				e.queue(journal.Tag, n)
				r.Queued = true
			}
		}
	})
	return r
}

// turn gives a tag a new generation in Redis. The clock goes first: whoever finds
// the new record unborn reads the clock after that. The tags of Clear are known
// before any load, so nobody compares theirs with the clock. It returns the names of
// those that Redis was not told of.
func (e *Engine) turn(ctx context.Context, scope string, addMark, removeMark []byte) (failed []string) {
	names := e.tagNames(scope)
	var err error
	if strings.HasPrefix(scope, userTag("")) {
		var t remote.Tick
		if t, err = e.remote.Tick(ctx); err == nil {
			e.tags.clock.Store(&t) // what begins now began after it
		}
	}
	if err != nil {
		e.failed(err)
		return names
	}
	failures := inParallel(len(names), mostTurns, func(i int) error {
		return e.remote.TurnTag(ctx, e.remote.TagKey(names[i]), tagLife, addMark, removeMark, markLife)
	})
	for i, err := range failures {
		if err != nil {
			failed = append(failed, names[i])
		}
	}
	err = errors.Join(failures...)
	if err == nil {
		if err = e.publish(ctx, newsTag, scope); err != nil {
			failed = names
		}
	}
	e.failed(err)
	return failed
}

const mostTurns = 16 // and marks, of one call at a time

// inParallel runs op for 0 to n-1, at most so many at a time, and returns the errors:
// errs.ErrGoexit of an op that does not return.
func inParallel(n, most int, op func(i int) error) []error {
	failures := make([]error, n)
	var wg sync.WaitGroup
	slots := make(chan struct{}, most)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			failures[i] = errs.ErrGoexit
			failures[i] = op(i)
		})
	}
	wg.Wait()
	return failures
}
