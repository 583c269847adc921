package remote

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// conn is a connection on which a command waits for the read of its answer, which sends it,
// see exchange. That is so from when go-redis's pool first gives it out: the pool asks the
// kernel then whether the connection is alive, and whoever has it from there writes a command and
// reads the answer. A new one, and one that is for anything else, a subscription, is not
// given out.
type conn struct {
	net.Conn
	raw syscall.RawConn // of Conn

	// Of whoever has the connection.
	given    bool
	held     []byte // what he has written, and not sent
	exchange exchange
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
	if c.given && len(c.held) == 0 && len(p) <= mostHeld {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	if len(c.held) > 0 {
		if _, err := c.Conn.Write(c.takeHeld()); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.held) == 0 || len(p) == 0 {
		return c.Conn.Read(p)
	}
	return c.exchange.run(c.Conn, c.raw, c.takeHeld(), p)
}

// takeHeld is to be used before the next Write.
func (c *conn) takeHeld() []byte {
	held := c.held
	c.held = held[:0]
	return held
}

func (c *conn) SyscallConn() (syscall.RawConn, error) { return (*giving)(c), nil }

// giving is what the pool looks with whether the connection is alive.
type giving conn

func (g *giving) Read(f func(fd uintptr) (done bool)) error {
	if len(g.held) > 0 {
		return errUnsent
	}
	g.given = true
	return g.raw.Read(f)
}

func (g *giving) Write(f func(fd uintptr) (done bool)) error { return g.raw.Write(f) }
func (g *giving) Control(f func(fd uintptr)) error           { return g.raw.Control(f) }
