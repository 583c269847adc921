//go:build unix

package remote

import (
	"io"
	"net"
	"os"
	"syscall"
)

// exchange sends a command and reads what comes back, with one call of the kernel less than
// a Write and a Read take: right after a command its answer is not there yet, but a Read
// looks for it before it waits. Here it is waited for at once, by what has sent the command.
// Not safe for concurrent use.
//
// The kernel says once that there is something to read, and what it said until then is
// forgotten when a wait is prepared. So that is done first:
//
//	wait: prepared | send | server: answers | kernel: says so | wait: over | read
//	send | server: answers | kernel: says so | wait: prepared | for ever
//
// That the peer has closed its half, and still takes what is sent, may be forgotten too: then
// the wait is as long as the deadline lets it. One that has closed all says so again.
type exchange struct {
	out, in []byte
	sent    bool  // all of out
	n       int   // sent, or read
	err     error // the kernel's

	step func(fd uintptr) (done bool) // x.next
}

// exchanges tells whether reading and writing is the kernel's alone; of other types than
// these it may be more.
func exchanges(c net.Conn) bool {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// run sends out, and reads into in, which has room. raw is c's.
func (x *exchange) run(c net.Conn, raw syscall.RawConn, out, in []byte) (int, error) {
	if x.step == nil {
		x.step = x.next
	}
	x.out, x.in, x.sent = out, in, false
	err := raw.Read(x.step)
	x.out, x.in = nil, nil
	switch {
	case err != nil: // it took too long, or was closed meanwhile
		return 0, err
	case x.sent && x.err != nil:
		return 0, failedTo("read", c, x.err)
	case x.sent && x.n == 0:
		return 0, io.EOF
	case x.sent:
		return x.n, nil
	case x.err != nil && x.err != syscall.EAGAIN:
		return 0, failedTo("write", c, x.err)
	}
	if _, err := c.Write(out[x.n:]); err != nil { // there was no room for all of it
		return 0, err
	}
	return c.Read(in)
}

// next is called when a wait is prepared, and after each; it is done if it is true.
func (x *exchange) next(fd uintptr) bool {
	if !x.sent {
		x.n, x.err = repeated(syscall.Write, fd, x.out)
		x.sent = x.n == len(x.out)
		return !x.sent
	}
	x.n, x.err = repeated(syscall.Read, fd, x.in)
	return x.err != syscall.EAGAIN
}

// repeated is what a call of the kernel gives that no signal has interrupted.
func repeated(call func(int, []byte) (int, error), fd uintptr, p []byte) (n int, err error) {
	for {
		if n, err = call(int(fd), p); err != syscall.EINTR {
			return max(0, n), err
		}
	}
}

func failedTo(op string, c net.Conn, err error) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}
