package remote

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
)

// checkAfter is for how long after a check, or after it was given out without one, a
// connection is taken for alive. The server may have closed it since: then the next
// command on it fails, as it would if the server closed it just after the check.
const checkAfter = 100 * time.Millisecond

// checked is a connection that go-redis's pool, each time it gives it out, asks the kernel
// about only if it was idle for that long: it is a call that takes a twentieth of a read. See
// connCheck in its internal/pool; what is no syscall.Conn, TLS say, it does not check at all.
type checked struct {
	net.Conn
	raw  syscall.RawConn // of Conn
	last atomic.Int64    // clock.Now when it was given out
}

// checking has the connections of the dialer that can be checked be checked.
func checking(o redis.Options) redis.Options {
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if sys, ok := c.(syscall.Conn); ok {
			if raw, err := sys.SyscallConn(); err == nil {
				return &checked{Conn: c, raw: raw}, nil
			}
		}
		return c, nil
	}
	return o
}

func (c *checked) SyscallConn() (syscall.RawConn, error) { return (*look)(c), nil }

// look is what a check looks with.
type look checked

func (l *look) Read(f func(fd uintptr) (done bool)) error {
	now := clock.Now()
	if now-l.last.Swap(now) < int64(checkAfter) {
		return nil
	}
	return l.raw.Read(f)
}

func (l *look) Write(f func(fd uintptr) (done bool)) error { return l.raw.Write(f) }
func (l *look) Control(f func(fd uintptr)) error           { return l.raw.Control(f) }
