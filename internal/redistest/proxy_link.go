package redistest

import (
	"context"
	"net"
)

// link is one connection of a client and the one to the server that it has.
type link struct {
	proxy    *Proxy
	client   *net.TCPConn
	server   *net.TCPConn  // guarded by Proxy.mu, nil until dialled
	up, down pipe          // to the server and from it
	gone     chan struct{} // closed by cutLocked
	cut      bool          // guarded by Proxy.mu
}

func newLink(p *Proxy, client *net.TCPConn) *link {
	l := &link{proxy: p, client: client, gone: make(chan struct{})}
	l.up = pipe{link: l, toServer: true, wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	l.down = pipe{link: l, dst: client, wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	return l
}

// serve reads from the client before there is a server to write to: in a black
// hole there may be none, and the client must not notice.
func (l *link) serve() {
	p := l.proxy
	p.running.Go(func() { l.up.read(l.client) })
	server := l.dial()
	if server == nil {
		return
	}
	p.running.Go(func() { l.down.read(server) })
	p.running.Go(l.down.write)
	l.up.write()
}

// dial returns nil when the link is gone.
func (l *link) dial() *net.TCPConn {
	for l.awaitPassage() {
		conn, err := l.connect()
		l.proxy.mu.Lock()
		switch {
		case l.cut:
			if err == nil {
				_ = conn.Close()
			}
		case err == nil:
			l.server = conn.(*net.TCPConn)
			l.up.dst = l.server
			l.up.applyLocked(l.proxy.fault)
			l.proxy.mu.Unlock()
			return l.server
		case l.proxy.fault.passes(false):
			l.cutLocked(true)
		default:
			l.down.lossy = true // a refusal is an answer, too
		}
		l.proxy.mu.Unlock()
	}
	return nil
}

// connect gives up when the link is gone.
func (l *link) connect() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	l.proxy.running.Go(func() {
		select {
		case <-l.gone:
			cancel()
		case <-ctx.Done():
		}
	})
	return new(net.Dialer).DialContext(ctx, "tcp", l.proxy.target)
}

// awaitPassage returns true when bytes may go to the server, false when the link
// is gone.
func (l *link) awaitPassage() bool {
	for {
		l.proxy.mu.Lock()
		passes := !l.cut && !l.down.lossy && l.proxy.fault.passes(true)
		l.proxy.mu.Unlock()
		if passes {
			return true
		}
		select {
		case <-l.up.wake:
		case <-l.gone:
			return false
		}
	}
}

// holedLocked says whether the link lost something that, with this fault, the
// peer would find missing.
func (l *link) holedLocked(f fault) bool {
	return l.up.lossy && f.passes(true) || l.down.lossy && f.passes(false)
}

func (l *link) cutLocked(reset bool) {
	if l.cut {
		return
	}
	l.cut = true
	delete(l.proxy.links, l)
	close(l.gone)
	for _, conn := range []*net.TCPConn{l.client, l.server} {
		if conn == nil {
			continue
		}
		if reset {
			_ = conn.SetLinger(0)
		}
		_ = conn.Close()
	}
}
