package restconn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is one connection over REST. One goroutine may read while others write,
// set deadlines or close, as with every net.Conn.
//
// Write only keeps what it is given. Read sends it, because that is when go-redis
// has written all that belongs together, and has set the deadline of the answer.
type conn struct {
	d       *Dialer
	session *session
	life    context.Context // ends when the connection does
	end     context.CancelFunc
	wake    chan struct{} // there may be something new for Read
	running sync.WaitGroup

	turn sync.Mutex // held by Read; guards the fields of commands that follow
	tx   *transaction

	mu       sync.Mutex // guards the fields below; held for no request
	in       []byte     // written, not yet sent
	out      []byte     // answers, not yet read
	err      error      // broken
	closed   bool
	retired  bool // not to be used again once it is idle
	deadline time.Time
	flight   *flight // the request that Read waits for
	streams  map[string]*stream
}

// flight is a request under way and what ends it.
type flight struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func newConn(d *Dialer) *conn {
	life, end := context.WithCancel(context.Background())
	c := &conn{d: d, life: life, end: end, wake: make(chan struct{}, 1), streams: make(map[string]*stream)}
	d.link.join(c)
	return c
}

func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.err != nil:
		return 0, c.err
	}
	c.in = append(c.in, p...)
	c.kick()
	return len(p), nil
}

func (c *conn) Read(p []byte) (int, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	for {
		n, cmds, err := c.take(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if len(cmds) == 0 {
			if err := c.await(); err != nil {
				return 0, err
			}
			continue
		}
		if err := c.send(cmds); err != nil {
			c.fail(err)
		}
	}
}

// take gives what is there: answers first, then why there are none, then the
// commands to be sent.
func (c *conn) take(p []byte) (n int, cmds []command, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, nil, net.ErrClosed
	case len(c.out) > 0:
		n = copy(p, c.out)
		if c.out = c.out[n:]; len(c.out) == 0 {
			c.out = nil
		}
		return n, nil, nil
	case c.err != nil:
		return 0, nil, c.err
	}
	cmds, rest, err := cutCommands(c.in)
	if err != nil {
		c.failLocked(err)
		return 0, nil, err
	}
	if len(cmds) > 0 {
		// They point into the old array, which nobody writes to any more.
		c.in = append([]byte(nil), rest...)
	}
	return 0, cmds, nil
}

// await returns when there may be something new, or the deadline has passed,
// which breaks nothing: no command waits for an answer.
func (c *conn) await() error {
	c.mu.Lock()
	at := c.deadline
	c.mu.Unlock()
	var over <-chan time.Time
	if !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		over = t.C
	}
	select {
	case <-c.wake: // a new deadline, too
		return nil
	case <-over:
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.deadline.Equal(at) || len(c.out) > 0 {
			return nil
		}
		return os.ErrDeadlineExceeded
	}
}

// send executes commands and appends the answers. Its error breaks the
// connection: what was sent may have been executed, and nothing tells.
func (c *conn) send(cmds []command) error {
	ctx, cancel := context.WithCancelCause(c.life)
	defer cancel(nil)
	f := &flight{cancel: cancel}
	f.timer = time.AfterFunc(time.Hour, func() { cancel(os.ErrDeadlineExceeded) })
	defer f.timer.Stop()
	c.mu.Lock()
	c.flight = f
	f.until(c.deadline)
	c.mu.Unlock()

	c.d.beforeRequest(c)
	out, err := c.execute(ctx, cmds)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight = nil
	switch {
	case errors.Is(context.Cause(ctx), os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded // also if it all arrived just then: half a batch helps nobody
	case err != nil:
		return err
	}
	return c.pushLocked(out)
}

func (f *flight) until(deadline time.Time) {
	if deadline.IsZero() {
		f.timer.Stop()
		return
	}
	f.timer.Reset(time.Until(deadline))
}

// pushLocked appends to what is to be read. Nobody reads as slowly as that.
func (c *conn) pushLocked(resp []byte) error {
	if int64(len(c.out)+len(resp)) > 4*c.d.maxResponse {
		return errors.New("restconn: more has arrived than is read")
	}
	c.out = append(c.out, resp...)
	c.kick()
	return nil
}

func (c *conn) push(resp []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.pushLocked(resp); err != nil {
		c.failLocked(err)
	}
}

func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *conn) failLocked(err error) {
	if c.err == nil {
		c.err = err
	}
	c.end()
	c.kick()
}

func (c *conn) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.flight != nil {
		c.flight.until(t)
	}
	c.kick()
	return nil
}

// SetWriteDeadline does nothing: no write waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// Close ends the request and the streams, and returns when none is left.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	broken := c.err != nil
	c.end()
	c.kick()
	c.mu.Unlock()
	c.running.Wait()
	c.d.link.leave(c, broken)
	return nil
}

// retire ends a connection that is to be replaced by a better one: at once if it
// listens, else when its pool looks at it next.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	if len(c.streams) > 0 {
		c.failLocked(errMoved)
	}
}

var errMoved = errors.New("restconn: Redis can be reached by TLS again")

func (c *conn) usable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return io.EOF
	case c.retired:
		return errMoved
	}
	return c.err
}

func (c *conn) LocalAddr() net.Addr  { return address("rest") }
func (c *conn) RemoteAddr() net.Addr { return address(c.d.host) }

type address string

func (address) Network() string  { return "https" }
func (a address) String() string { return string(a) }
