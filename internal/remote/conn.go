package remote

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// conn is a connection on which a command waits for the read of its answer, which sends it,
// see exchange. That is so from when the pool gives it out for the first time: then there is
// an answer to whatever is written. A new one, and one that is for anything else, a
// subscription, is not given out.
type conn struct {
	net.Conn
	raw syscall.RawConn // of Conn

	// The pool may look at one that is in use too, when it is closed; what is not atomic
	// is of whoever writes and reads.
	given, holds atomic.Bool
	held         []byte // what was written, and not sent
	exchange     exchange
}

// mostHeld is how long a command may be to wait.
const mostHeld = 4 << 10

// errUnsent is of a connection that came back with a command that waits: nobody knows whose
// the next answer would be.
var errUnsent = errors.New("tiercache: a command was written, and no answer was read")

// exchanging has commands wait on the connections of the dialer, if those are the kernel's.
func exchanging(o redis.Options) redis.Options {
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil || !exchanges(c) {
			return c, err
		}
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			_ = c.Close()
			return nil, err
		}
		return &conn{Conn: c, raw: raw}, nil
	}
	return o
}

func (c *conn) Write(p []byte) (int, error) {
	if c.holds.Load() {
		if _, err := c.Conn.Write(c.takeHeld()); err != nil {
			return 0, err
		}
	} else if c.given.Load() && len(p) <= mostHeld {
		c.held = append(c.held, p...)
		c.holds.Store(true)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 || !c.holds.Load() {
		return c.Conn.Read(p)
	}
	return c.exchange.run(c.Conn, c.raw, c.takeHeld(), p)
}

// takeHeld is to be used before the next Write.
func (c *conn) takeHeld() []byte {
	held := c.held
	c.held = held[:0]
	c.holds.Store(false)
	return held
}

// SetDeadline without one is what the pool begins its check with whether the connection is
// alive, before it gives it out, and nobody else does.
func (c *conn) SetDeadline(t time.Time) error {
	if t.IsZero() {
		c.given.Store(true)
	}
	return c.Conn.SetDeadline(t)
}

// SyscallConn is what it looks with.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.holds.Load() {
		return nil, errUnsent
	}
	return c.raw, nil
}
