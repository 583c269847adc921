package redistest

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy forwards TCP connections to one server, and can do so badly. All methods
// are safe for concurrent use. A switch of the fault concerns every connection
// that was made before it, and bytes that reach the proxy after it: those on
// their way before may have arrived or not.
//
// A stream with a hole is not TCP, so a connection that lost bytes, or the end of
// the stream, is reset when that direction passes again. One that was silent
// meanwhile goes on.
//
// Sentinels and cluster nodes tell clients their own addresses: a client gets
// past a proxy before one of them, unless its dialer does not let it.
type Proxy struct {
	t        testing.TB
	target   string
	listener *net.TCPListener
	running  sync.WaitGroup

	turn sync.Mutex // held during a switch, and taken before mu

	mu     sync.Mutex // guards what follows and what the links say it does
	fault  fault
	delay  time.Duration
	links  map[*link]struct{}
	closed bool
	marker string        // the client's address of a connection of the proxy's own
	marked chan struct{} // closed when the marker was accepted
}

type fault uint8

const (
	passing fault = iota
	dropping
	refusing
	halfOpen
)

func (f fault) passes(toServer bool) bool { return f == passing || f == halfOpen && toServer }

// StartProxy starts a proxy before target, a host:port. It passes everything
// until told otherwise, and is closed with all its connections when the test
// ends.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatalf("redistest: proxy: %v", err)
	}
	p := &Proxy{t: t, target: target, listener: l, links: make(map[*link]struct{})}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns host:port to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Pass ends every fault. What Delay held is delivered at once.
func (p *Proxy) Pass() { p.change(passing, 0) }

// Drop makes a black hole: bytes vanish in both directions, and so does the end
// of a stream. Connections stay, new ones are made, and nothing comes back.
func (p *Proxy) Drop() { p.change(dropping, 0) }

// Refuse resets all connections, and each new one as soon as it is made: the
// client's dial fails, or its first read.
func (p *Proxy) Refuse() { p.change(refusing, 0) }

// HalfOpen passes what is sent to the server, whose answers vanish.
func (p *Proxy) HalfOpen() { p.change(halfOpen, 0) }

// Delay passes everything later by d in each direction, in order and however much
// it is, up to 16 MiB on the way. What is on its way already is delayed by d too,
// counted from when it came.
func (p *Proxy) Delay(d time.Duration) { p.change(passing, d) }

// Reset breaks all present connections on both sides, as a crash does: the peers
// get an error, not the end of the stream. The fault stays as it is.
func (p *Proxy) Reset() { p.cutAll(true) }

// CutAll closes all present connections on both sides. The fault stays as it is.
func (p *Proxy) CutAll() { p.cutAll(false) }

func (p *Proxy) change(f fault, delay time.Duration) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.catchUp()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.delay = f, delay
	for l := range p.links {
		if f == refusing || l.holedLocked(f) {
			l.cutLocked(true)
			continue
		}
		l.up.applyLocked(f)
		l.down.applyLocked(f)
	}
}

func (p *Proxy) cutAll(reset bool) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.catchUp()
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cutLocked(reset)
	}
}

// catchUp returns when the proxy has accepted every connection that was made
// before the call. The system makes them, the proxy hears of them later, in the
// same order: so it makes one itself and waits for that.
func (p *Proxy) catchUp() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	// Under the lock, or it is accepted before anybody knows what it is.
	conn, err := net.DialTimeout("tcp", p.Addr(), time.Second)
	if err != nil {
		p.mu.Unlock()
		p.t.Errorf("redistest: the proxy does not reach itself: %v", err)
		return
	}
	marked := make(chan struct{})
	p.marker, p.marked = conn.LocalAddr().String(), marked
	p.mu.Unlock()
	defer conn.Close()
	<-marked
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.AcceptTCP()
		p.mu.Lock()
		switch {
		case err != nil:
			if !errors.Is(err, net.ErrClosed) {
				p.t.Errorf("redistest: proxy: %v", err)
			}
			if p.marked != nil {
				close(p.marked) // it is never accepted
				p.marked = nil
			}
			p.closed = true
			p.mu.Unlock()
			return
		case p.marked != nil && conn.RemoteAddr().String() == p.marker:
			close(p.marked)
			p.marked = nil
			_ = conn.Close()
		case p.closed || p.fault == refusing:
			_ = conn.SetLinger(0)
			_ = conn.Close()
		default:
			l := newLink(p, conn)
			p.links[l] = struct{}{}
			p.running.Go(l.serve)
		}
		p.mu.Unlock()
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.cutLocked(true)
	}
	p.mu.Unlock()
	_ = p.listener.Close()
	p.running.Wait()
}
