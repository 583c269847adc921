package flight

import (
	"context"
	"sync"

	"github.com/tiercache/tiercache/internal/errs"
)

// Reads lets many callers share one short read by key. Unlike in Group the read
// runs on the goroutine of whoever came first and under his context: that saves
// a change of goroutine, which costs as much as a good part of a read, and the
// read is bounded anyway. If his context ends, the others go round. The zero
// Reads is ready; safe for concurrent use.
//
// The reads under way are a chain, which costs a lone one less than half of what a map
// does: there are as many Reads as it takes for few of them to be in each.
type Reads[F any] struct {
	mu   sync.Mutex // guards live, and next of what is in it
	live *read[F]
}

type read[F any] struct {
	key   string
	next  *read[F]
	out   F
	err   error
	ended chan struct{} // closed after out and err were written for the last time; nil while nobody waits; guarded by Reads.mu
}

// Do runs fn(ctx, out), or joins a run of it for the same key, and waits for its
// end or the end of ctx. An fn that returns an error has no outcome: the caller
// gets the error, and joiners try again. A panic in fn is *errs.Panic for all; a
// Goexit ends the caller's goroutine, as it would without a cache, and joiners
// try again.
func (g *Reads[F]) Do(ctx context.Context, key string, fn func(context.Context, *F) error) (out *F, led bool, err error) {
	for {
		g.mu.Lock()
		r := g.live
		for r != nil && r.key != key {
			r = r.next
		}
		if r == nil {
			r = &read[F]{key: key, next: g.live}
			g.live = r
			g.mu.Unlock()
			g.run(ctx, r, fn)
			return &r.out, true, r.err
		}
		if r.ended == nil {
			r.ended = make(chan struct{})
		}
		ended := r.ended
		g.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		if _, panicked := r.err.(*errs.Panic); r.err == nil || panicked {
			return &r.out, false, r.err
		}
	}
}

func (g *Reads[F]) run(ctx context.Context, r *read[F], fn func(context.Context, *F) error) {
	returned := false
	defer func() {
		if !returned {
			r.err = recovered(recover())
		}
		g.mu.Lock()
		g.forgetLocked(func(is *read[F]) bool { return is == r })
		ended := r.ended // nobody joins any more
		g.mu.Unlock()
		if ended != nil {
			close(ended)
		}
	}()
	r.err = fn(ctx, &r.out)
	returned = true
}

// Forget ends the joining of key's run.
func (g *Reads[F]) Forget(key string) {
	g.ForgetFunc(func(is string) bool { return is == key })
}

// ForgetFunc does so for every key that match accepts.
func (g *Reads[F]) ForgetFunc(match func(key string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgetLocked(func(r *read[F]) bool { return match(r.key) })
}

// forgetLocked takes out those that match. They keep no others alive: an outcome may be
// looked at for as long as a load takes.
func (g *Reads[F]) forgetLocked(match func(*read[F]) bool) {
	for at := &g.live; *at != nil; {
		if r := *at; match(r) {
			*at, r.next = r.next, nil
		} else {
			at = &r.next
		}
	}
}
