package tiercache_test

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// secure reaches a server by TLS, with the server's own password.
func secure(t *testing.T, s *redistest.TLSServer, c *tls.Config) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL("rediss://:" + secret + "@" + s.TLSAddr())
	require.NoError(t, err)
	o.TLSConfig = c
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// hearEachOther has a node store a value, another find it and keep it in memory,
// and the first take it away from both.
func hearEachOther(t *testing.T, a, b *tiercache.Tiers, name string) {
	t.Helper()
	hear(t, a, b)
	for _, n := range []*tiercache.Tiers{a, b} {
		eventuallyConnected(t, n)
		for _, m := range n.Health().Masters {
			require.Equal(t, "tracking", m.Hearing)
		}
	}
	here, there := newCache(t, a, tiercache.Options[int]{Name: name}), newCache(t, b, tiercache.Options[int]{Name: name})
	for i := range 5 {
		key := fmt.Sprint("k:", i)
		_, err := here.GetOrLoad(bg, key, value(i))
		require.NoError(t, err)
		v, err := there.GetOrLoad(bg, key, unwanted[int](t))
		require.NoError(t, err)
		require.Equal(t, i, v)
		require.Equal(t, i, inMemory(t, there, key))
		require.NoError(t, here.Delete(bg, key))
		soon(t, "the other node has heard", func() bool { _, ok, err := there.Get(bg, key); return err == nil && !ok })
	}
}

func TestNodesHearEachOtherOverTLS(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) redis.UniversalClient{
		"a server that asks for no certificate": func(t *testing.T) redis.UniversalClient {
			s := redistest.StartTLS(t, redistest.TLS{}, "--requirepass", secret)
			return secure(t, s, s.Trusting())
		},
		"one that does": func(t *testing.T) redis.UniversalClient {
			s := redistest.StartTLS(t, redistest.TLS{ClientCertificates: true}, "--requirepass", secret)
			return secure(t, s, s.Known())
		},
		"one that knows no newer than TLS 1.2": func(t *testing.T) redis.UniversalClient {
			s := redistest.StartTLS(t, redistest.TLS{ClientCertificates: true}, "--requirepass", secret, "--tls-protocols", "TLSv1.2")
			return secure(t, s, s.Known())
		},
		"a cluster":  func(t *testing.T) redis.UniversalClient { return redistest.StartTLSCluster(t, 2) },
		"a Sentinel": func(t *testing.T) redis.UniversalClient { return redistest.StartTLSSentinel(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := start(t)
			hearEachOther(t, open(t, patient(rdb)), open(t, patient(rdb)), "things")
		})
	}
}

func TestARestartOfATLSServerIsAnOutageLikeAnyOther(t *testing.T) {
	t.Parallel()
	s := redistest.StartTLS(t, redistest.TLS{ClientCertificates: true}, "--requirepass", secret)
	rdb := secure(t, s, s.Known())
	a, b := open(t, patient(rdb)), open(t, patient(rdb))
	hearEachOther(t, a, b, "before")
	cache := newCache(t, a, tiercache.Options[int]{})
	first := a.Health().Masters[0].Stamp

	s.Kill()
	soon(t, "the outage is noticed", func() bool { return !a.Health().Connected && !b.Health().Connected })
	v, err := cache.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.NoError(t, cache.Delete(bg, "k"))
	assert.Positive(t, a.Health().Queued)

	s.Restart()
	eventuallyConnected(t, a)
	eventuallyConnected(t, b)
	eventuallySent(t, a)
	assert.NotEqual(t, first, a.Health().Masters[0].Stamp)
	hearEachOther(t, a, b, "after")
}

// A client that the server does not let in, or that does not believe the server,
// is one more outage: nothing is stored, everything loads, and the log says why.
func TestTLSThatFailsIsAnOutageWithItsReason(t *testing.T) {
	t.Parallel()
	stranger := redistest.NewAuthority(t)
	with := func(s *redistest.TLSServer, a *redistest.Authority, c redistest.Certificate) *tls.Config {
		pair, config := a.Issue(c), s.Trusting()
		// By Certificates none would be sent that the server would not take.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		return config
	}
	for name, c := range map[string]struct {
		server redistest.TLS
		client func(s *redistest.TLSServer) *tls.Config
		reason string
	}{
		"no client certificate": {redistest.TLS{ClientCertificates: true}, (*redistest.TLSServer).Trusting, "certificate required"},
		"another authority's client certificate": {redistest.TLS{ClientCertificates: true}, func(s *redistest.TLSServer) *tls.Config {
			return with(s, stranger, redistest.Certificate{})
		}, "unknown certificate authority"},
		"an expired client certificate": {redistest.TLS{ClientCertificates: true}, func(s *redistest.TLSServer) *tls.Config {
			return with(s, s.Authority, redistest.Certificate{Expired: true})
		}, "expired certificate"},
		"an unknown authority": {redistest.TLS{}, func(*redistest.TLSServer) *tls.Config {
			return &tls.Config{ServerName: "127.0.0.1", RootCAs: stranger.Pool()}
		}, "certificate signed by unknown authority"},
		"another host's certificate": {redistest.TLS{Certificate: redistest.Certificate{Hosts: []string{"elsewhere.example"}}},
			func(s *redistest.TLSServer) *tls.Config {
				config := s.Trusting()
				config.ServerName = "here.example"
				return config
			}, "certificate is valid for elsewhere.example, not here.example"},
		"an expired certificate": {redistest.TLS{Certificate: redistest.Certificate{Expired: true}}, (*redistest.TLSServer).Trusting, "certificate has expired"},
		"no TLS":                 {redistest.TLS{}, func(*redistest.TLSServer) *tls.Config { return nil }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.StartTLS(t, c.server, "--requirepass", secret)
			var log lines
			cfg := patient(secure(t, s, c.client(s)))
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			tiers := open(t, cfg)
			cache := newCache(t, tiers, tiercache.Options[int]{})
			for v := range 3 {
				require.NoError(t, cache.Delete(bg, "k"))
				got, err := cache.GetOrLoad(bg, "k", value(v))
				require.NoError(t, err)
				require.Equal(t, v, got)
			}
			why := whyOutOfUse(t, &log)
			// By TLS 1.3 a client has sent its first command before it is told that its
			// certificate is refused; writing may fail before the reason is read.
			if reset := strings.Contains(why, "connection reset") || strings.Contains(why, "broken pipe"); !reset || !c.server.ClientCertificates {
				assert.Contains(t, why, c.reason)
			}
			assert.NotContains(t, log.String(), secret)
			assert.False(t, tiers.Health().Connected)
			assert.Equal(t, "connecting", tiers.Health().Masters[0].Hearing)
			assert.Positive(t, tiers.Health().Queued, "the Deletes")
			require.ErrorContains(t, tiers.Close(), "never reached Redis")
			assert.Zero(t, s.Client().DBSize(bg).Val(), "nothing was written")
			assert.NotContains(t, log.String(), "in use again")
		})
	}
}

// whyOutOfUse waits for the line that says so, and returns it.
func whyOutOfUse(t *testing.T, log *lines) (line string) {
	t.Helper()
	soon(t, "said", func() bool {
		for l := range strings.Lines(log.String()) {
			if strings.Contains(l, "Redis is out of use") {
				line = l
			}
		}
		return line != ""
	})
	return line
}

// A handshake that nobody answers: reads load, and Close waits for no timeout of the
// client that was given.
func TestAServerThatIsSilentInTheHandshakeHoldsNothingUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); accepting.Wait() })
	rdb := redis.NewClient(&redis.Options{Addr: l.Addr().String(), TLSConfig: &tls.Config{ServerName: "127.0.0.1"}, DialTimeout: time.Hour})
	t.Cleanup(func() { _ = rdb.Close() })
	tiers := open(t, hasty(rdb))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	for v := range 3 {
		got, err := cache.GetOrLoad(bg, fmt.Sprint("k:", v), value(v))
		require.NoError(t, err)
		require.Equal(t, v, got)
	}
	began := time.Now()
	require.NoError(t, tiers.Close())
	assert.Less(t, time.Since(began), long)
}

const tlsChild = "TIERCACHE_TEST_TLS"

// The system's authorities are read once in the life of a process, so each case
// is a run of this test in another one.
func TestTheEnvironmentLeadsToATLSServer(t *testing.T) {
	if prefix := os.Getenv(tlsChild); prefix != "" {
		insideTLSEnvironment(t, prefix)
		return
	}
	t.Parallel()
	s := redistest.StartTLS(t, redistest.TLS{}, "--requirepass", secret)
	host, port, err := net.SplitHostPort(s.TLSAddr())
	require.NoError(t, err)
	trust, distrust := s.Authority.File(), redistest.NewAuthority(t).File()
	url := "REDIS_URL=rediss://:" + secret + "@" + s.TLSAddr()
	parts := []string{"REDIS_HOST=" + host, "REDIS_PORT=" + port, "REDIS_PASSWORD=" + secret, "REDIS_TLS=true"}
	for name, c := range map[string]struct {
		authority string
		env       []string
		fails     string
	}{
		"url":       {trust, []string{url}, ""},
		"host":      {trust, parts, ""},
		"stranger":  {distrust, []string{url}, "unknown authority"},
		"strangers": {distrust, parts, "unknown authority"},
		"plain":     {trust, parts[:3], "EOF"}, // REDIS_TLS is not set
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestTheEnvironmentLeadsToATLSServer$", "-test.v")
			child.Env = append([]string{tlsChild + "=" + name + ":", tlsChild + "_FAILS=" + c.fails, "PATH=" + os.Getenv("PATH"),
				"TMPDIR=" + t.TempDir(), "SSL_CERT_DIR=" + t.TempDir(), "SSL_CERT_FILE=" + c.authority}, c.env...)
			text, err := child.CombinedOutput()
			require.NoError(t, err, "%s", text)
			require.Contains(t, string(text), "--- PASS: TestTheEnvironmentLeadsToATLSServer")
			assert.NotContains(t, string(text), secret)
			stored := s.Client().Exists(bg, name+":k").Val()
			if c.fails == "" {
				assert.EqualValues(t, 1, stored)
			} else {
				assert.Zero(t, stored)
			}
		})
	}
}

func insideTLSEnvironment(t *testing.T, prefix string) {
	fails := os.Getenv(tlsChild + "_FAILS")
	cfg, err := tiercache.FromEnv()
	require.NoError(t, err)
	var log lines
	cfg.Prefix, cfg.Logger = prefix, slog.New(slog.NewTextHandler(&log, nil))
	cfg.ReadTimeout, cfg.WriteTimeout = long, long
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	if fails == "" {
		hear(t, tiers)
		require.Equal(t, "tracking", tiers.Health().Masters[0].Hearing)
	}
	v, err := cache.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	require.Equal(t, 1, v)
	if fails != "" {
		require.Contains(t, whyOutOfUse(t, &log), fails)
		require.False(t, tiers.Health().Connected)
	}
	t.Log(log.String()) // for the parent, which knows what must not be in it
}
