package restconn

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Transport is how a Dialer reaches Redis.
type Transport string

const (
	// Auto is TCP if a server there takes the token for a password, else REST.
	Auto Transport = "auto"
	// TCP is Redis's own protocol over TLS.
	TCP Transport = "tcp"
	// REST is the REST API over HTTPS.
	REST Transport = "rest"
)

// ParseTransport reads a Transport; "" is Auto.
func ParseTransport(name string) (Transport, error) {
	switch t := Transport(cmp.Or(name, string(Auto))); t {
	case Auto, TCP, REST:
		return t, nil
	}
	return "", errors.New("restconn: a transport is auto, tcp or rest")
}

// User is whom the token is the password of, over TCP.
const User = "default"

// Config of a Dialer.
type Config struct {
	// URL of the REST API, https://NAME.upstash.io. Plain http is for this machine
	// only: the token would travel in the open.
	URL string
	// Token is the secret that the API wants. No error and no log repeats it.
	Token string
	// Transport defaults to Auto.
	Transport Transport
	// TCPAddr is where Redis listens with TLS. Default: port 6379 of the URL's host.
	TCPAddr string
	// TLS is used for TCP and HTTPS. Default: the system's roots, TLS 1.2 or later.
	TLS *tls.Config
	// MaxResponse is the longest answer that is read, in bytes, of one request. A
	// longer one breaks the connection. Default: 64 MiB.
	MaxResponse int64
}

const defaultMaxResponse = 64 << 20

// Dialer makes connections for one database. Safe for concurrent use. It has
// nothing to close: what it needs ends with the last connection that it made, or,
// if that one was broken, within seconds.
type Dialer struct {
	base        string // URL without a slash at its end
	host        string
	token       string
	transport   Transport
	addr        string
	tls         *tls.Config
	maxResponse int64
	link        *link
	choice      choice
}

// ErrToken is New's error for a token that cannot be one.
var ErrToken = errors.New("restconn: the token")

// New checks the Config. It makes no connection. Its errors do not repeat the URL,
// which may hold a secret by mistake.
func New(cfg Config) (*Dialer, error) {
	u, err := url.Parse(strings.TrimRight(cfg.URL, "/"))
	if err != nil {
		return nil, errors.New("restconn: the URL cannot be read")
	}
	switch host := u.Hostname(); {
	case host == "":
		return nil, errors.New("restconn: the URL has no host")
	case u.Scheme != "https" && !(u.Scheme == "http" && local(host)):
		return nil, errors.New("restconn: the URL does not begin with https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return nil, errors.New("restconn: the URL has more than a host and a path")
	case cfg.Token == "":
		return nil, fmt.Errorf("%w: there is none", ErrToken)
	case strings.ContainsFunc(cfg.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("%w: it has characters that no token has", ErrToken)
	}
	t, err := ParseTransport(string(cfg.Transport))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLS != nil {
		config = cfg.TLS.Clone()
	}
	return &Dialer{
		base:        u.String(),
		host:        u.Host,
		token:       cfg.Token,
		transport:   t,
		addr:        cmp.Or(cfg.TCPAddr, net.JoinHostPort(u.Hostname(), "6379")),
		tls:         config,
		maxResponse: cmp.Or(max(cfg.MaxResponse, 0), defaultMaxResponse),
		link:        &link{tls: config},
	}, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Addr is host:port of the Redis that listens with TLS, the name of the database
// in logs whatever the transport.
func (d *Dialer) Addr() string { return d.addr }

func (d *Dialer) String() string { return fmt.Sprintf("restconn(%s %s)", d.transport, d.host) }

// GoString keeps the token out of %#v.
func (d *Dialer) GoString() string { return d.String() }

// DialContext makes a connection as redis.Options.Dialer wants it; network and
// address are ignored. Over REST it asks nobody: the first command tells whether
// there is a server.
func (d *Dialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	switch d.transport {
	case TCP:
		return d.dialTLS(ctx)
	case REST:
		return newConn(d), nil
	}
	return d.dialEither(ctx)
}

func (d *Dialer) dialTLS(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return (&tls.Dialer{Config: d.tls}).DialContext(ctx, "tcp", d.addr)
}
