package restconn

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// connectTimeout is how long an attempt to reach the server may take, whoever
	// still waits for it: where that is longer than the deadlines of commands, the
	// first ones fail and later ones find the connection made.
	connectTimeout = 3 * time.Second
	// linger is how long HTTP connections are kept when the last connection over
	// them broke, for the one that is opened in its place.
	linger = 3 * time.Second
	// silence is after how long without a byte a server is asked whether it is
	// there, which is all that shows that a stream is dead.
	silence = 5 * time.Second
)

// link is what the connections of one Dialer share: the HTTP connections under
// them. It exists while there are any, so that nothing is left when go-redis has
// closed all of its own.
type link struct {
	tls  *tls.Config
	sync atomic.Pointer[string] // the last Upstash-Sync-Token: reads see this process's writes

	mu    sync.Mutex // guards the fields below
	conns map[*conn]struct{}
	now   *session
	after *time.Timer // ends now
}

// session is the HTTP side of a link, from the first connection to the last.
type session struct {
	http *http.Client
	life context.Context
	end  func()
}

func (l *link) join(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.after != nil {
		l.after.Stop()
		l.after = nil
	}
	if l.now == nil {
		l.now = newSession(l.tls)
	}
	if l.conns == nil {
		l.conns = make(map[*conn]struct{})
	}
	l.conns[c] = struct{}{}
	c.session = l.now
}

func (l *link) leave(c *conn, broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, here := l.conns[c]; !here {
		return
	}
	if delete(l.conns, c); len(l.conns) > 0 {
		return
	}
	if !broken {
		l.now.end()
		l.now = nil
		return
	}
	s := l.now
	l.after = time.AfterFunc(linger, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.now == s && len(l.conns) == 0 {
			s.end()
			l.now = nil
		}
	})
}

// all are the connections at hand.
func (l *link) all() (out []*conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		out = append(out, c)
	}
	return out
}

func newSession(config *tls.Config) *session {
	life, end := context.WithCancel(context.Background())
	dialer := &net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence, Interval: time.Second, Count: 3},
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(life, cancel)()
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &mortal{c, context.AfterFunc(life, func() { _ = c.Close() })}, nil
		},
		TLSClientConfig:        config.Clone(), // the transport changes it
		TLSHandshakeTimeout:    connectTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: connectTimeout},
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &session{
		life: life,
		end:  func() { end(); t.CloseIdleConnections() },
		http: &http.Client{
			Transport: t,
			// The token goes to the address it was given for and to no other.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// mortal is a socket that ends with its session, in the middle of a handshake too.
type mortal struct {
	net.Conn
	release func() bool
}

func (m *mortal) Close() error {
	m.release()
	return m.Conn.Close()
}
