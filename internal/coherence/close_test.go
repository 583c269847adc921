package coherence

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

// closes within a time that no timeout of the options explains.
func closes(t *testing.T, n *node) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); n.Close() }()
	select {
	case <-done:
	case <-time.After(4 * time.Second):
		t.Fatal("Close waits for a server")
	}
	assert.False(t, n.fresh())
}

// goleak in TestMain looks at what is left of them all.
func TestCloseAtAnyTimeLeavesNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	m := miniredis.RunT(t)
	for i := range 40 {
		o := at(s)
		if i%2 == 1 {
			o = redis.Options{Addr: m.Addr()}
		}
		n := listen(t, o, func(c *Config) { c.Bound = 4 * time.Millisecond })
		select {
		case <-time.After(rand.N(20 * time.Millisecond)):
		case <-bg.Done():
		}
		closes(t, n)
		n.Close()
		n.change(func() { n.said = nil })
	}
}

func TestConcurrentClosesAllReturn(t *testing.T) {
	t.Parallel()
	n := listen(t, redis.Options{Addr: miniredis.RunT(t).Addr()})
	var all sync.WaitGroup
	for range 8 {
		all.Go(n.Close)
	}
	all.Wait()
}

func TestCloseDoesNotWaitForAServerThatHangs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := tracked(t, s)
	s.Pause()
	closes(t, n)
	m := listen(t, at(s), func(c *Config) { c.Options.ReadTimeout = time.Minute })
	soon(t, "dialled, HELLO not answered", func() bool { return m.Mode() == Connecting })
	closes(t, m)
	s.Resume()
}

func TestCloseDoesNotWaitForADial(t *testing.T) {
	t.Parallel()
	dialling := make(chan struct{}, 1)
	n := listen(t, redis.Options{Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialling <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	<-dialling
	closes(t, n)
}

func TestNoBoundIsTooSmallOrTooLarge(t *testing.T) {
	t.Parallel()
	for _, bound := range []time.Duration{-1, 0, 1, 1 << 62} {
		assert.GreaterOrEqual(t, beatEvery(bound), time.Millisecond)
		assert.LessOrEqual(t, beatEvery(bound), time.Second)
		assert.GreaterOrEqual(t, patience(bound), 500*time.Millisecond)
		assert.LessOrEqual(t, patience(bound), 10*time.Second)
	}
	n := listen(t, redis.Options{Addr: miniredis.RunT(t).Addr()}, func(c *Config) { c.Bound = 0 })
	soon(t, "listens", func() bool { return n.Mode() == PubSub })
	assert.False(t, n.fresh())
}

func TestOneListenerMoreIsGoneWhenItIsClosed(t *testing.T) {
	s := redistest.Start(t)
	was := goleak.IgnoreCurrent()
	n := tracked(t, s)
	require.Error(t, goleak.Find(was))
	n.Close()
	require.NoError(t, goleak.Find(was))
}
