// Package flight lets many callers share one piece of work by key. It is the
// only package that imports singleflight, and closes its traps: each caller
// waits on its own context, the work is detached from all of them and ends when
// the last has left, and neither a panic nor runtime.Goexit leaves a waiter
// behind.
package flight

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/internal/errs"
)

// Group coalesces calls. F is what the work leaves for those who wait for it.
// The zero Group is ready; safe for concurrent use.
type Group[F any] struct {
	sf singleflight.Group

	// mu guards all below, and orders them with sf: under mu a key is in live
	// exactly if sf has a call for it that may still be joined. It is taken
	// before sf's own lock and never held while work runs.
	mu      sync.Mutex
	live    map[string]*call[F]
	running map[*call[F]]struct{} // live ones, and forgotten ones that still run
	closed  bool
	idle    sync.WaitGroup // one for each in running
}

type call[F any] struct {
	out     *F
	cancel  context.CancelCauseFunc
	waiters int           // guarded by Group.mu
	died    chan struct{} // closed if the work ended its goroutine without returning
	err     error         // written before died is closed
}

// ErrImpatient is the error of a caller whose patience ended before the work did.
var ErrImpatient = errors.New("flight: the work goes on")

// Do runs work(ctx, out), or joins a run of it for the same key, and waits for
// its end or the end of ctx. led tells whether this call started the run.
// Something on patience, which may be nil, ends the waiting with ErrImpatient: the
// run then goes on to its end, as if the caller still waited. joins, which may be
// nil, is called before this call waits for a run that it did not start.
//
// work's context has the values of the starter's and no deadline; it ends when
// the last waiter has left, with context.Canceled, and at Close, with
// errs.ErrClosed as its cause. A panic in work is the error *errs.Panic, a Goexit
// errs.ErrGoexit, for every waiter. The error is nil, one of these, ctx's own, or
// errs.ErrClosed.
func (g *Group[F]) Do(ctx context.Context, key string, patience <-chan time.Time, joins func(), work func(context.Context, *F)) (out *F, led bool, err error) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return nil, false, errs.ErrClosed
	}
	c := g.live[key]
	if led = c == nil; led {
		c = g.startLocked(key)
	}
	done := g.joinLocked(ctx, key, c, led, work)
	g.mu.Unlock()
	if !led && joins != nil {
		joins()
	}

	select {
	case r := <-done:
		return c.out, led, r.Err
	case <-c.died:
		return c.out, led, c.err
	case <-patience:
		return nil, led, ErrImpatient
	case <-ctx.Done():
		g.leave(key, c)
		return nil, led, ctx.Err()
	}
}

// Start runs work as Do does, and does not wait: the run ends when work does, and
// at Close. False if there is a run for the key, or after Close.
func (g *Group[F]) Start(ctx context.Context, key string, work func(context.Context, *F)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.live[key] != nil {
		return false
	}
	g.joinLocked(ctx, key, g.startLocked(key), true, work)
	return true
}

func (g *Group[F]) joinLocked(ctx context.Context, key string, c *call[F], led bool, work func(context.Context, *F)) <-chan singleflight.Result {
	c.waiters++
	var run func() (any, error)
	if led {
		wctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		c.cancel = cancel
		run = func() (any, error) { return nil, g.run(wctx, key, c, work) }
	}
	return g.sf.DoChan(key, run)
}

func (g *Group[F]) startLocked(key string) *call[F] {
	if g.live == nil {
		g.live = make(map[string]*call[F])
		g.running = make(map[*call[F]]struct{})
	}
	c := &call[F]{out: new(F), died: make(chan struct{})}
	g.live[key] = c
	g.running[c] = struct{}{}
	g.idle.Add(1)
	return c
}

// run is the body of the singleflight call. It takes the key out of live before
// singleflight delivers, so whoever comes later starts anew; whoever joined
// before has its channel in the call already.
func (g *Group[F]) run(ctx context.Context, key string, c *call[F], work func(context.Context, *F)) (err error) {
	returned := false
	defer func() {
		if !returned {
			err = recovered(recover())
		}
		g.mu.Lock()
		g.forgetLocked(key, c)
		delete(g.running, c)
		g.mu.Unlock()
		c.cancel(nil)
		if err == errs.ErrGoexit { // DoChan's receivers would wait for ever
			c.err = err
			close(c.died)
		}
		g.idle.Done()
	}()
	work(ctx, c.out)
	returned = true
	return nil
}

// leave takes one waiter off c. The last one cancels the work; a cancelled run
// is not joinable.
func (g *Group[F]) leave(key string, c *call[F]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.waiters--; c.waiters == 0 {
		g.forgetLocked(key, c)
		c.cancel(context.Canceled)
	}
}

// Forget ends the joining of key's run. Those who wait for it keep waiting.
func (g *Group[F]) Forget(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.live[key]; c != nil {
		g.forgetLocked(key, c)
	}
}

// ForgetFunc does so for every key that match accepts. match is called under
// the group's lock.
func (g *Group[F]) ForgetFunc(match func(key string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, c := range g.live {
		if match(key) {
			g.forgetLocked(key, c)
		}
	}
}

func (g *Group[F]) forgetLocked(key string, c *call[F]) {
	if g.live[key] == c {
		delete(g.live, key)
		g.sf.Forget(key)
	}
}

// Close cancels what runs, waits for it, and refuses what comes later.
func (g *Group[F]) Close() {
	g.mu.Lock()
	g.closed = true
	for c := range g.running {
		c.cancel(errs.ErrClosed)
	}
	g.mu.Unlock()
	g.idle.Wait()
}
