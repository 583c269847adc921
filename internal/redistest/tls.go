package redistest

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// TLS says how a server speaks it.
type TLS struct {
	// Authority of the server's certificate, and of its clients'; nil: a new one.
	Authority *Authority
	// Certificate of the server.
	Certificate Certificate
	// ClientCertificates turns away who has none of Authority.
	ClientCertificates bool
}

// TLSServer is a server with a second port, for TLS. What Server offers goes
// over its plain port, so a test that gets TLS wrong on purpose can look at what
// has become of it.
type TLSServer struct {
	*Server
	Authority *Authority
}

// StartTLS is Start, with TLS. A redis-server that was built without it skips the
// test, or fails it with TIERCACHE_REQUIRE_REDIS=1.
func StartTLS(t testing.TB, o TLS, args ...string) *TLSServer {
	t.Helper()
	requireTLS(t)
	s := o.server(t, args...)
	s.start()
	return s
}

func (o TLS) server(t testing.TB, args ...string) *TLSServer {
	t.Helper()
	if o.Authority == nil {
		o.Authority = NewAuthority(t)
	}
	certFile, keyFile := o.Authority.Files(o.Certificate)
	wanted := "no"
	if o.ClientCertificates {
		wanted = "yes"
	}
	s := &Server{t: t, args: args, tls: []string{
		"--tls-cert-file", certFile, "--tls-key-file", keyFile,
		"--tls-ca-cert-file", o.Authority.File(), "--tls-auth-clients", wanted,
	}}
	return &TLSServer{Server: s, Authority: o.Authority}
}

// TLSAddr is host:port for TLS. It stays the same over Restart.
func (s *TLSServer) TLSAddr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.tlsPort)) }

// URL is the rediss:// address, without a user.
func (s *TLSServer) URL() string { return "rediss://" + s.TLSAddr() }

// Trusting is the configuration of a client without a certificate.
func (s *TLSServer) Trusting() *tls.Config {
	return &tls.Config{RootCAs: s.Authority.Pool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

// Known is the configuration of a client with one.
func (s *TLSServer) Known() *tls.Config {
	s.t.Helper()
	c := s.Trusting()
	c.Certificates = []tls.Certificate{s.Authority.Issue(Certificate{})}
	return c
}

// TLSClient is Client, over TLS.
func (s *TLSServer) TLSClient(c *tls.Config) *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr:                     s.TLSAddr(),
		Password:                 s.password,
		TLSConfig:                c,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// requireTLS asks redis-server for no port at all, which ends it at once; one
// that was built without TLS ends at the name of the option.
func requireTLS(t testing.TB) {
	t.Helper()
	probe := exec.Command(lookup(t), "--port", "0", "--tls-port", "0")
	probe.Dir = t.TempDir()
	text, _ := probe.CombinedOutput()
	if !strings.Contains(string(text), "Bad directive") {
		return
	}
	const reason = "this redis-server was built without TLS"
	if os.Getenv("TIERCACHE_REQUIRE_REDIS") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
