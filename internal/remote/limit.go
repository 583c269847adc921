package remote

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// limited is a context that ends when its parent does, and at a time. A timer of the
// runtime's, and what belongs to it, is made when somebody waits for its end: who waits
// for his turn in the gather has a timer already. Safe for concurrent use.
type limited struct {
	context.Context // the parent
	at              time.Time
	taking          taking

	mu     sync.Mutex // guards what follows
	real   context.Context
	cancel context.CancelFunc
	ended  bool
}

// limit is ctx for that long at the most. Whoever made it ends it.
func limit(ctx context.Context, d time.Duration) *limited {
	at := time.Now().Add(d)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(at) {
		at = earlier
	}
	l := &limited{Context: ctx, at: at}
	l.taking.limited = l
	return l
}

func (l *limited) Deadline() (time.Time, bool) { return l.at, true }

func (l *limited) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.real == nil {
		l.real, l.cancel = context.WithDeadline(l.Context, l.at)
		if l.ended {
			l.cancel()
		}
	}
	return l.real.Done()
}

func (l *limited) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.real != nil {
		return l.real.Err()
	}
	if err := l.Context.Err(); err != nil {
		return err
	}
	if l.ended {
		return context.Canceled
	}
	if !time.Now().Before(l.at) {
		return context.DeadlineExceeded
	}
	return nil
}

// gone tells whether the caller has given up, which is less than to tell whether ctx is over.
func gone(ctx context.Context) bool {
	if l, is := ctx.(*limited); is {
		ctx = l.Context
	}
	return ctx.Err() != nil
}

// end frees what it has, and those who wait for it.
func (l *limited) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended = true; l.cancel != nil {
		l.cancel()
	}
}

// taking is a limited context for go-redis to take a connection with and send one command.
// Before it takes an idle one it looks whether Done has happened: that look is answered
// by the parent, and nothing is made for it, which spares a read a twentieth of its time.
// If there is none it asks for Done again, to wait; and on the connection itself the time
// is that of the socket. A hook may wait for Done before that look, so where there are
// hooks this is not used.
type taking struct {
	*limited
	looked atomic.Bool
}

func (t *taking) Done() <-chan struct{} {
	if t.looked.Swap(true) {
		return t.limited.Done()
	}
	return t.limited.Context.Done()
}
