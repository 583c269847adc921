package restconn

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

// place is a database that can be reached both ways.
type place struct {
	server *redistest.Server
	rest   *redistest.REST
	port   *redistest.Proxy // before TLS
	d      *Dialer
}

func newPlace(t *testing.T, password string) *place {
	p := &place{server: redistest.Start(t, "--requirepass", password)}
	wrap := redistest.StartWrap(t, p.server.Addr())
	p.rest = redistest.StartREST(t, p.server)
	p.port = redistest.StartProxy(t, wrap.Addr())
	p.d = newDialer(t, p.rest, func(c *Config) { c.Transport, c.TCPAddr, c.TLS = Auto, p.port.Addr(), wrap.Client() })
	return p
}

// dial tells which way a connection goes, and how long it took.
func (p *place) dial(t *testing.T, budget time.Duration) (way Transport, took time.Duration, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, budget)
	defer cancel()
	begin := time.Now()
	cn, err := p.d.DialContext(ctx, "tcp", "ignored")
	took = time.Since(begin)
	if err != nil {
		return "", took, err
	}
	defer cn.Close()
	if _, ok := cn.(*conn); ok {
		return REST, took, nil
	}
	return TCP, took, nil
}

func (p *place) client(t *testing.T) *redis.Client {
	return clientOf(t, p.d, func(o *redis.Options) { o.Username, o.Password = User, redistest.RESTToken })
}

// due makes the time come when TCP is tried again.
func (p *place) due() {
	p.d.choice.mu.Lock()
	defer p.d.choice.mu.Unlock()
	p.d.choice.again = time.Now()
}

func TestAutoTakesTLSWhereItAnswers(t *testing.T) {
	t.Parallel()
	p := newPlace(t, redistest.RESTToken)
	for range 2 {
		way, _, err := p.dial(t, long)
		require.NoError(t, err)
		assert.Equal(t, TCP, way)
	}
	assert.Zero(t, p.rest.Requests())
	c := p.client(t)
	require.NoError(t, c.Set(bg, "k", "\xff", 0).Err())
	assert.Equal(t, "\xff", c.Get(bg, "k").Val())
	assert.Zero(t, p.rest.Requests())
}

func TestAutoTakesRESTWhereTLSDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(t *testing.T, p *place){
		"refused":    func(_ *testing.T, p *place) { p.port.Refuse() },
		"black hole": func(_ *testing.T, p *place) { p.port.Drop() },
		"no TLS":     func(_ *testing.T, p *place) { p.d.addr = p.server.Addr() },
		"another certificate": func(t *testing.T, p *place) {
			p.d.addr = redistest.StartWrap(t, p.server.Addr()).Addr()
		},
		"a TLS server that is no Redis": func(t *testing.T, p *place) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { _ = l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = c.Write([]byte("220 welcome\r\n"))
					_ = c.Close()
				}
			}()
			wrap := redistest.StartWrap(t, l.Addr().String())
			p.d.addr, p.d.tls = wrap.Addr(), wrap.Client()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, redistest.RESTToken)
			begin(t, p)
			way, _, err := p.dial(t, 2*time.Second)
			require.NoError(t, err)
			assert.Equal(t, REST, way)
			p.port.Drop()
			way, took, err := p.dial(t, long)
			require.NoError(t, err)
			assert.Equal(t, REST, way)
			assert.Less(t, took, long/2, "what was found out is remembered")
		})
	}
}

func TestATokenThatIsNoPasswordIsForREST(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "another password")
	way, _, err := p.dial(t, long)
	require.NoError(t, err)
	assert.Equal(t, REST, way)
	require.NoError(t, p.client(t).Set(bg, "k", "v", 0).Err())
}

func TestAnOutageOfBothDecidesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t, redistest.RESTToken)
	p.port.Refuse()
	for _, begin := range []func(){p.rest.Gone, func() { p.rest.Answer(http.StatusServiceUnavailable, "down") }, func() { p.rest.Answer(http.StatusUnauthorized, "WRONGPASS no") }} {
		begin()
		_, _, err := p.dial(t, long)
		require.ErrorContains(t, err, "neither TLS")
		assert.NotContains(t, err.Error(), redistest.RESTToken)
	}
	p.port.Pass()
	p.rest.Pass()
	way, _, err := p.dial(t, long)
	require.NoError(t, err)
	assert.Equal(t, TCP, way)
}

func TestTCPThatGoesAndRESTThatIsThere(t *testing.T) {
	t.Parallel()
	p := newPlace(t, redistest.RESTToken)
	way, _, err := p.dial(t, long)
	require.NoError(t, err)
	require.Equal(t, TCP, way)
	p.port.Refuse()
	_, _, err = p.dial(t, long)
	require.Error(t, err, "this one had all its time for TCP")
	way, _, err = p.dial(t, long)
	require.NoError(t, err)
	require.Equal(t, REST, way)
}

// When TCP comes back, whoever listens over REST changes over at once, and the
// others when they are idle; no command fails.
func TestTCPIsTriedAgainBesideREST(t *testing.T) {
	t.Parallel()
	p := newPlace(t, redistest.RESTToken)
	p.port.Refuse()
	c := p.client(t)
	require.NoError(t, c.Set(bg, "k", "v", 0).Err())
	ps := c.Subscribe(bg, "ch")
	defer ps.Close()
	receive[*redis.Subscription](t, ps)

	p.due()
	require.NoError(t, c.Get(bg, "k").Err())
	soon(t, "it was tried, in vain", func() bool {
		p.d.choice.mu.Lock()
		defer p.d.choice.mu.Unlock()
		return !p.d.choice.trying && time.Until(p.d.choice.again) > restFor/2
	})
	require.NoError(t, c.Get(bg, "k").Err())

	p.port.Pass()
	p.due()
	require.NoError(t, c.Get(bg, "k").Err())
	_, err := ps.ReceiveTimeout(bg, long)
	require.ErrorIs(t, err, errMoved)
	before := p.rest.Requests()
	for range 5 {
		require.NoError(t, c.Get(bg, "k").Err())
	}
	receive[*redis.Subscription](t, ps)
	assert.Equal(t, before, p.rest.Requests())
	soon(t, "the streams are gone", func() bool { return p.rest.Streams() == 0 })
}

// logged is what is logged by default, for one test that is not parallel.
type logged struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestAChoiceIsLoggedOnceForEachChange(t *testing.T) {
	log, old := &logged{}, slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	defer slog.SetDefault(old)
	p := newPlace(t, redistest.RESTToken)
	p.port.Refuse()
	for range 3 {
		_, _, err := p.dial(t, long)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, strings.Count(log.String(), "is reached over REST"), log.String())
	p.d.choice.forget(REST)
	p.port.Pass()
	for range 3 {
		_, _, err := p.dial(t, long)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, strings.Count(log.String(), "is reached by TLS"), log.String())
	assert.NotContains(t, log.String(), redistest.RESTToken)
}

func TestTCPAloneAndRESTAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t, redistest.RESTToken)
	p.d.transport = TCP
	way, _, err := p.dial(t, long)
	require.NoError(t, err)
	assert.Equal(t, TCP, way)
	p.port.Refuse()
	_, _, err = p.dial(t, long)
	require.Error(t, err)
	p.d.transport = REST
	way, _, err = p.dial(t, long)
	require.NoError(t, err)
	assert.Equal(t, REST, way)
}
