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
type Reads[F any] struct {
	mu   sync.Mutex // guards live
	live map[string]*read[F]
}

type read[F any] struct {
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
		r := g.live[key]
		if r == nil {
			if g.live == nil {
				g.live = make(map[string]*read[F])
			}
			r = new(read[F])
			g.live[key] = r
			g.mu.Unlock()
			g.run(ctx, key, r, fn)
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

func (g *Reads[F]) run(ctx context.Context, key string, r *read[F], fn func(context.Context, *F) error) {
	returned := false
	defer func() {
		if !returned {
			r.err = recovered(recover())
		}
		g.mu.Lock()
		if g.live[key] == r {
			delete(g.live, key)
		}
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
	g.mu.Lock()
	delete(g.live, key)
	g.mu.Unlock()
}

// ForgetFunc does so for every key that match accepts.
func (g *Reads[F]) ForgetFunc(match func(key string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range g.live {
		if match(key) {
			delete(g.live, key)
		}
	}
}
