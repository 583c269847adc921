package tiercache_test

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

// patient is a Config whose budgets do not run out on a machine that is busy
// with other tests.
func patient(client redis.UniversalClient) tiercache.Config {
	return tiercache.Config{Redis: client, Prefix: "t:", ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
}

// onEveryTier runs a test in memory alone, with miniredis, and with a
// redis-server if there is one. config may be called several times: its Tiers
// share what they can share.
func onEveryTier(t *testing.T, test func(t *testing.T, config func() tiercache.Config)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, func() tiercache.Config { return tiercache.Config{} })
	})
	onEveryRedis(t, func(t *testing.T, addr string) {
		test(t, func() tiercache.Config { return patient(client(t, addr)) })
	})
}

func onEveryRedis(t *testing.T, test func(t *testing.T, addr string)) {
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, miniredis.RunT(t).Addr())
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, redistest.Start(t).Addr())
	})
}

func client(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: 10 * time.Second})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// open opens Tiers of 4 MiB, if cfg says nothing else: the policy's counters for the
// usual 64 take a tenth of a second to clear with the race detector.
func open(t *testing.T, cfg tiercache.Config) *tiercache.Tiers {
	t.Helper()
	cfg.MemoryBytes = cmp.Or(cfg.MemoryBytes, 4<<20)
	tiers, err := tiercache.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tiers.Close() })
	return tiers
}

func newCache[T any](t *testing.T, tiers *tiercache.Tiers, opts tiercache.Options[T]) *tiercache.Cache[T] {
	t.Helper()
	if opts.Name == "" {
		opts.Name = "things"
	}
	if opts.TTL == 0 {
		opts.TTL = time.Hour
	}
	c, err := tiercache.New(tiers, opts)
	require.NoError(t, err)
	return c
}

// value is a loader that gives v at once.
func value[T any](v T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, nil }
}

// unwanted is a loader that must not run.
func unwanted[T any](t *testing.T) func(context.Context) (T, error) {
	return func(context.Context) (v T, err error) {
		t.Error("the loader ran")
		return v, err
	}
}

// wire stops the commands of a client on their way, so that a test can put the
// steps of two operations in the order it wants.
type wire struct {
	addr string

	mu    sync.Mutex // guards stops
	stops []*stop
}

// stop holds the first command whose bytes contain all of its words: before it
// is sent, or if reply is set, after Redis has executed it.
type stop struct {
	words    []string
	reply    bool
	reached  chan struct{}
	released chan struct{}
	once     sync.Once // of release
}

func (w *wire) options() *redis.Options {
	return &redis.Options{Addr: w.addr, Protocol: 2, DialTimeout: 10 * time.Second, Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &wireConn{Conn: c, w: w}, nil
	}}
}

func (w *wire) tiers(t *testing.T) *tiercache.Tiers {
	c := redis.NewClient(w.options())
	t.Cleanup(func() { _ = c.Close() })
	return open(t, patient(c))
}

// hold stops a command until it is released, or the test ends: before its Tiers are
// closed, which may wait for the command.
func (w *wire) hold(t *testing.T, reply bool, words ...string) *stop {
	s := &stop{words: words, reply: reply, reached: make(chan struct{}), released: make(chan struct{})}
	t.Cleanup(s.release)
	w.mu.Lock()
	w.stops = append(w.stops, s)
	w.mu.Unlock()
	return s
}

func (w *wire) holdRequest(t *testing.T, words ...string) *stop { return w.hold(t, false, words...) }
func (w *wire) holdReply(t *testing.T, words ...string) *stop   { return w.hold(t, true, words...) }

// wait until the command is there.
func (s *stop) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.reached:
	case <-time.After(long):
		require.FailNow(t, "the command never came", "%q", s.words)
	}
}

func (s *stop) release() { s.once.Do(func() { close(s.released) }) }

func (w *wire) match(b []byte) *stop {
	w.mu.Lock()
	defer w.mu.Unlock()
next:
	for i, s := range w.stops {
		for _, word := range s.words {
			if !bytes.Contains(b, []byte(word)) {
				continue next
			}
		}
		w.stops = append(w.stops[:i:i], w.stops[i+1:]...)
		return s
	}
	return nil
}

type wireConn struct {
	net.Conn
	w *wire

	mu       sync.Mutex // guards what follows
	held     *stop
	deadline time.Time
}

func (c *wireConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

func (c *wireConn) Write(b []byte) (int, error) {
	s := c.w.match(b)
	if s != nil && !s.reply {
		close(s.reached)
		<-s.released
	}
	if s != nil && s.reply {
		c.mu.Lock()
		c.held = s
		c.mu.Unlock()
	}
	return c.Conn.Write(b)
}

func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	s, deadline := c.held, c.deadline
	c.held = nil
	c.mu.Unlock()
	if s == nil {
		return n, err
	}
	close(s.reached)
	var late <-chan time.Time
	if !deadline.IsZero() {
		late = time.After(time.Until(deadline))
	}
	select {
	case <-s.released:
		return n, err
	case <-late:
		return 0, os.ErrDeadlineExceeded
	}
}
