package redistest

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// most is how many bytes a pipe holds before it reads no more.
const most = 16 << 20

// past is a deadline that interrupts.
var past = time.Unix(1, 0)

// pipe is one direction of a link. One goroutine reads, another writes: bytes
// that wait for their time do not keep the next ones from coming.
type pipe struct {
	link     *link
	toServer bool
	wake     chan struct{} // a token for the writer: look again
	room     chan struct{} // a token for the reader

	// Proxy.mu guards what follows.
	dst   *net.TCPConn
	queue []chunk
	size  int  // of the queue, in bytes
	lossy bool // something vanished
	ended bool // the end of the stream was passed on
}

// chunk is some bytes or what ended the stream.
type chunk struct {
	data []byte
	end  error
	came time.Time
}

func (p *pipe) read(src *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		now := time.Now()
		if n > 0 && !p.push(chunk{data: append([]byte(nil), buf[:n]...), came: now}) {
			return
		}
		if err != nil {
			p.push(chunk{end: err, came: now})
			return
		}
	}
}

// push returns false when the link is gone.
func (p *pipe) push(c chunk) bool {
	mu, l := &p.link.proxy.mu, p.link
	for {
		mu.Lock()
		switch {
		case l.cut:
			mu.Unlock()
			return false
		case !l.proxy.fault.passes(p.toServer) || p.lossy:
			p.lossy = true
			mu.Unlock()
			return true
		case p.size < most:
			p.queue = append(p.queue, c)
			p.size += len(c.data)
			mu.Unlock()
			token(p.wake)
			return true
		}
		mu.Unlock()
		select {
		case <-p.room:
		case <-l.gone:
			return false
		}
	}
}

func (p *pipe) write() {
	for {
		c, ok := p.next()
		if !ok || !p.deliver(c) {
			return
		}
	}
}

// next returns the first chunk when its time has come, false when the link is gone.
func (p *pipe) next() (chunk, bool) {
	mu, l := &p.link.proxy.mu, p.link
	for {
		var due <-chan time.Time
		stop := func() bool { return false }
		mu.Lock()
		if l.cut {
			mu.Unlock()
			return chunk{}, false
		}
		if len(p.queue) > 0 {
			c := p.queue[0]
			wait := time.Until(c.came.Add(l.proxy.delay))
			if wait <= 0 {
				p.queue[0] = chunk{}
				p.queue = p.queue[1:]
				p.size -= len(c.data)
				mu.Unlock()
				token(p.room)
				return c, true
			}
			timer := time.NewTimer(wait)
			due, stop = timer.C, timer.Stop
		}
		mu.Unlock()
		select {
		case <-p.wake:
		case <-due:
		case <-l.gone:
		}
		stop()
	}
}

// deliver returns false when there is nothing more to deliver.
func (p *pipe) deliver(c chunk) bool {
	var err error
	switch {
	case c.end == nil:
		_, err = p.dst.Write(c.data)
	case errors.Is(c.end, io.EOF):
		err = p.dst.CloseWrite()
	}
	l := p.link
	other := &l.up
	if p.toServer {
		other = &l.down
	}
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	passes := l.proxy.fault.passes
	switch {
	case err == nil && c.end == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		// applyLocked interrupted it. The way may have been opened again before the
		// loss was noted here.
		p.lossy = true
		if passes(p.toServer) {
			l.cutLocked(true)
		}
	case err == nil && errors.Is(c.end, io.EOF):
		p.ended = true
		if other.ended {
			l.cutLocked(false)
		}
		return false
	case err == nil && passes(p.toServer), err != nil && passes(!p.toServer):
		// A reset goes on in its direction, a failed write goes back.
		l.cutLocked(true)
	default:
		p.lossy, other.lossy = true, true
	}
	return true
}

// applyLocked makes what is in the pipe obey the fault, a write that waits for
// the peer to take it included.
func (p *pipe) applyLocked(f fault) {
	passes := f.passes(p.toServer)
	if !passes && len(p.queue) > 0 {
		p.queue, p.size, p.lossy = nil, 0, true
	}
	if p.dst != nil {
		deadline := time.Time{}
		if !passes {
			deadline = past
		}
		_ = p.dst.SetWriteDeadline(deadline)
	}
	token(p.wake)
	token(p.room)
}

// token leaves one, unless one is there.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
