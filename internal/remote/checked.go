package remote

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
)

// checkAfter is for how long after it was looked at a connection is taken for alive.
const checkAfter = 100 * time.Millisecond

// checked is a connection that go-redis's pool, each time it gives it out, asks the kernel
// about only if that was not done for a while, or if another one has broken since: it is a
// call that takes a twentieth of a read. See connCheck in its internal/pool; what is no
// syscall.Conn, TLS say, it does not ask about at all.
//
// If the server, or a proxy, closes those that are idle, all of them at once, the first
// command that meets one fails. The others must not:
//
//	A, B, C: checked | server: closes them | A: EOF | B: EOF | C: EOF, the circuit opens
type checked struct {
	net.Conn
	raw    syscall.RawConn // of Conn
	looked atomic.Int64    // clock.Now when the kernel was asked
	broke  *atomic.Int64   // clock.Now when one of them broke

	// What whoever got it from the pool writes first waits in held for the read that
	// follows, which sends it, see exchange: that is a command, and there is an answer. A
	// subscription is on a connection that was never in the pool. The pool may look at
	// those that are in use too, when it is closed; what is not atomic is theirs.
	given, holds atomic.Bool
	held         []byte
	exchange     exchange
}

// mostHeld is how long a command may be to wait for the read of its answer.
const mostHeld = 4 << 10

// errUnsent is of a connection that comes back with a command that waits: nobody knows whose
// the next answer would be.
var errUnsent = errors.New("tiercache: a command was written, and no answer was read")

// checking has the connections of the dialer that can be checked be checked.
func checking(o redis.Options) redis.Options {
	dial, broke := o.Dialer, new(atomic.Int64)
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if sys, ok := c.(syscall.Conn); ok {
			if raw, err := sys.SyscallConn(); err == nil {
				return &checked{Conn: c, raw: raw, broke: broke}, nil
			}
		}
		return c, nil
	}
	return o
}

func (c *checked) Read(p []byte) (n int, err error) {
	if c.holds.Load() && len(p) > 0 {
		n, err = c.exchange.run(c.Conn, c.raw, c.takeHeld(), p)
	} else {
		n, err = c.Conn.Read(p)
	}
	c.note(err)
	return n, err
}

func (c *checked) Write(p []byte) (n int, err error) {
	if c.given.Swap(false) && len(p) <= mostHeld && !c.holds.Load() {
		c.held = append(c.held, p...)
		c.holds.Store(true)
		return len(p), nil
	}
	if c.holds.Load() {
		_, err = c.Conn.Write(c.takeHeld())
	}
	if err == nil {
		n, err = c.Conn.Write(p)
	}
	c.note(err)
	return n, err
}

// takeHeld is to be used before the next Write.
func (c *checked) takeHeld() []byte {
	held := c.held
	c.held = held[:0]
	c.holds.Store(false)
	return held
}

// SetDeadline is what the pool begins a check with, and nobody else calls.
func (c *checked) SetDeadline(t time.Time) error {
	c.given.Store(exchanges(c.Conn))
	return c.Conn.SetDeadline(t)
}

func (c *checked) note(err error) {
	if err != nil && !isTimeout(err) {
		c.broke.Store(clock.Now())
	}
}

func (c *checked) SyscallConn() (syscall.RawConn, error) { return (*look)(c), nil }

// look is what a check looks with.
type look checked

func (l *look) Read(f func(fd uintptr) (done bool)) error {
	if l.holds.Load() {
		return errUnsent
	}
	now, last := clock.Now(), l.looked.Load()
	if last > l.broke.Load() && now-last < int64(checkAfter) {
		return nil
	}
	l.looked.Store(now)
	return l.raw.Read(f)
}

func (l *look) Write(f func(fd uintptr) (done bool)) error { return l.raw.Write(f) }
func (l *look) Control(f func(fd uintptr)) error           { return l.raw.Control(f) }
