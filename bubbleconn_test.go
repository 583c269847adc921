package tiercache_test

import (
	"net"
	"sync"
)

// buffered is one end of a net.Pipe with a buffer to write to, like that of a socket:
// a client that sends many commands before it reads, and a server that answers each
// before it reads the next, would wait for each other over a bare pipe.
type buffered struct {
	net.Conn

	mu      sync.Mutex // guards the fields below
	more    *sync.Cond
	waiting []byte
	err     error // of the writing, or of Close
}

func newBuffered(c net.Conn) *buffered {
	b := &buffered{Conn: c}
	b.more = sync.NewCond(&b.mu)
	go b.flush()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	b.waiting = append(b.waiting, p...)
	b.more.Signal()
	return len(p), nil
}

// flush ends with Close, or when the other end is closed.
func (b *buffered) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for len(b.waiting) == 0 && b.err == nil {
			b.more.Wait()
		}
		if b.err != nil {
			return
		}
		p := b.waiting
		b.waiting = nil
		b.mu.Unlock()
		_, err := b.Conn.Write(p)
		b.mu.Lock()
		if b.err == nil {
			b.err = err
		}
	}
}

func (b *buffered) Close() error {
	b.mu.Lock()
	b.err = net.ErrClosed
	b.more.Signal()
	b.mu.Unlock()
	return b.Conn.Close()
}
