package coherence

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/redistest"
)

func at(s *redistest.Server) redis.Options { return redis.Options{Addr: s.Addr()} }

func tracked(t *testing.T, s *redistest.Server, alter ...func(*Config)) *node {
	t.Helper()
	n := listen(t, at(s), alter...)
	soon(t, "tracking and fresh", func() bool { return n.Mode() == Tracking && n.fresh() })
	return n
}

func TestAnyonesChangeIsHeard(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory-policy", "allkeys-random")
	c := s.Client()
	n := tracked(t, s)
	for _, change := range []struct {
		name string
		do   func(key string) error
	}{
		{"set", func(key string) error { return c.Set(bg, key, 1, 0).Err() }},
		{"delete", func(key string) error { return c.Del(bg, key).Err() }},
		{"expiry", func(key string) error { return c.PExpire(bg, key, time.Millisecond).Err() }},
		{"eviction", func(string) error { return c.ConfigSet(bg, "maxmemory", "1").Err() }},
	} {
		key := prefix + change.name
		if change.name != "set" {
			require.NoError(t, c.Set(bg, key, 1, 0).Err())
			soon(t, "written", func() bool { return n.heard("changed " + key) })
			n.change(func() { n.said = nil })
		}
		require.NoError(t, change.do(key))
		if change.name == "eviction" { // a refused write makes room
			_ = c.Set(bg, prefix+"more", 1, 0).Err()
		}
		soon(t, change.name, func() bool { return n.heard("changed " + key) })
	}
	require.NoError(t, c.ConfigSet(bg, "maxmemory", "0").Err())
	require.NoError(t, c.Set(bg, "other:prefix", 1, 0).Err())
	require.NoError(t, c.Set(bg, prefix+"last", 1, 0).Err())
	soon(t, "the last one", func() bool { return n.heard("changed " + prefix + "last") })
	assert.False(t, n.heard("changed other:"))
}

func TestSeveralKeysOfOnePushAreAllHeard(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := tracked(t, s)
	require.NoError(t, s.Client().MSet(bg, prefix+"a", 1, prefix+"b", 1, prefix+"c", 1).Err())
	for _, key := range []string{"a", "b", "c"} {
		soon(t, key, func() bool { return n.heard("changed " + prefix + key) })
	}
}

func TestAFlushIsHeardAndVoidsTheEpochBeforeItIsTold(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, flush := range []string{"FLUSHALL", "FLUSHDB"} {
		n := tracked(t, s)
		epoch := n.Hearing().Epoch()
		require.NoError(t, s.Client().Do(bg, flush).Err())
		soon(t, flush, func() bool { return n.heard("flushed") })
		assert.False(t, n.heard(fmt.Sprintf("flushed at epoch %d", epoch)))
		soon(t, "fresh again", n.fresh)
		assert.Greater(t, n.Hearing().Epoch(), epoch)
		assert.Equal(t, Tracking, n.Mode(), "the connection survives")
		n.Close()
	}
}

func TestMessagesComeWithoutTheirFramingAndTheCounterIsNoChange(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := tracked(t, s)
	epoch := n.Hearing().Epoch()
	require.NoError(t, Publish(bg, s.Client(), prefix, "hello there"))
	soon(t, "message", func() bool { return n.heard("message hello there") })
	require.NoError(t, s.Client().Set(bg, prefix+"last", 1, 0).Err())
	soon(t, "the last one", func() bool { return n.heard("changed " + prefix + "last") })
	assert.False(t, n.heard("changed "+prefix+"~"))
	assert.Equal(t, epoch, n.Hearing().Epoch())
}

func TestWhatIsNotAMessageIsALoss(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := tracked(t, s)
	epoch := n.Hearing().Epoch()
	require.NoError(t, s.Client().Publish(bg, prefix+channelName, "boo").Err())
	soon(t, "a new epoch", func() bool { return n.fresh() && n.Hearing().Epoch() > epoch })
	assert.False(t, n.heard("message"))
	assert.Contains(t, n.logged(), "not a message")
}

// killListeners ends the listening connections as a failing network would, and
// tells how many there were.
func killListeners(t *testing.T, c *redis.Client) {
	t.Helper()
	killed, err := c.ClientKillByFilter(bg, "TYPE", "pubsub").Result()
	require.NoError(t, err)
	require.Positive(t, killed)
}

func TestALostConnectionIsANewEpochBeforeAnythingIsFresh(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := tracked(t, s)
	for range 5 {
		epoch := n.Hearing().Epoch()
		killListeners(t, s.Client())
		soon(t, "a new epoch", func() bool {
			// Fresh first: when it says Yes for after the loss, the epoch has advanced.
			return n.Mode() == Tracking && n.fresh() && n.Hearing().Epoch() > epoch
		})
		require.NoError(t, s.Client().Set(bg, prefix+"k", 1, 0).Err())
		soon(t, "hears again", func() bool { return n.heard("changed " + prefix + "k") })
		n.change(func() { n.said = nil })
	}
	assert.Contains(t, n.logged(), "level=WARN")
}

func TestOnlyOneConnectionIsMade(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := tracked(t, s)
	assert.Equal(t, 1, n.meetings())
	list, err := s.Client().ClientList(bg).Result()
	require.NoError(t, err)
	assert.Contains(t, list, "flags=PtB", "a Pub/Sub connection that tracks by broadcast")
}

func TestAPausedServerIsNotFreshAfterTheBound(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := tracked(t, s, func(c *Config) { c.Bound = 400 * time.Millisecond })
	for range 3 {
		s.Pause()
		last := n.Hearing().LastPong()
		soon(t, "not fresh", func() bool { return !n.fresh() })
		assert.GreaterOrEqual(t, clock.Now(), last+int64(400*time.Millisecond))
		paused := clock.Now()
		s.Resume()
		// Answers to questions from before count from those, if at all.
		soon(t, "fresh again", func() bool { return n.fresh() && n.Hearing().LastPong() > paused-int64(400*time.Millisecond) })
	}
}

func TestARestartedServerIsHeardAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := tracked(t, s)
	epoch := n.Hearing().Epoch()
	s.Kill()
	soon(t, "deaf", func() bool { return n.Mode() == Connecting && !n.fresh() })
	assert.NotZero(t, n.Hearing().LastPong(), "kept for outage mode")
	s.Restart()
	soon(t, "fresh", n.fresh)
	assert.Greater(t, n.Hearing().Epoch(), epoch)
}

func TestItStartsWithoutAServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Kill()
	n := listen(t, at(s))
	s.Restart()
	soon(t, "fresh", n.fresh)
}

func TestAConnectionToAnotherServerThanDataComesFromIsDropped(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := listen(t, at(s), func(c *Config) { c.Bound = time.Minute })
	soon(t, "fresh", n.fresh)
	meets := n.meetings()
	n.change(func() { n.data = envelope.NewID("b") })
	soon(t, "dials again", func() bool { return n.meetings() >= meets+2 })
	soon(t, "deaf", func() bool { return !n.fresh() })
	assert.Contains(t, n.logged(), errOtherServer.Error())
	epoch := n.Hearing().Epoch()
	n.change(func() { n.who = envelope.NewID("b") })
	soon(t, "fresh", n.fresh)
	assert.Greater(t, n.Hearing().Epoch(), epoch)
}

func TestNothingIsFreshWhileDataConnectionsAreOutOfUse(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := listen(t, at(s), func(c *Config) { c.Bound = time.Minute })
	soon(t, "fresh", n.fresh)
	epoch, meets := n.Hearing().Epoch(), n.meetings()
	n.change(func() { n.off, n.data = true, envelope.NewID("nobody") })
	soon(t, "not fresh", func() bool { return !n.fresh() })
	assert.Equal(t, epoch, n.Hearing().Epoch(), "outage mode serves it")
	n.change(func() { n.off, n.data = false, n.who })
	soon(t, "fresh", n.fresh)
	assert.Greater(t, n.Hearing().Epoch(), epoch)
	assert.Equal(t, meets, n.meetings(), "over the same connection")
}

func TestWhoeverIsMetAndRefusedIsNotListenedTo(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var calls []string
	o := at(s)
	n := tracked(t, s)
	n.Close()
	o.OnConnect = func(_ context.Context, cn *redis.Conn) error {
		calls = append(calls, "user")
		if len(calls) < 3 {
			return assert.AnError
		}
		return nil
	}
	m := listen(t, o)
	soon(t, "the third time", m.fresh)
	m.Close()
	assert.Len(t, calls, 3)
	assert.Equal(t, 1, m.meetings(), "the user's OnConnect comes first")
	assert.Contains(t, m.logged(), "mode=tracking")
}

// failing is a connection on which one write fails, as long as it is set.
type failing struct {
	net.Conn
	now *atomic.Bool
}

func (f failing) Write(b []byte) (int, error) {
	if f.now.CompareAndSwap(true, false) {
		return 0, assert.AnError
	}
	return f.Conn.Write(b)
}

// PING fails, go-redis dials | receive: no error, from the new connection
func TestAPingThatCannotBeSentIsALoss(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var now atomic.Bool
	n := tracked(t, s, func(c *Config) {
		c.Options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return failing{conn, &now}, err
		}
	})
	epoch, meets := n.Hearing().Epoch(), n.meetings()
	now.Store(true)
	soon(t, "a new epoch", func() bool { return n.fresh() && n.Hearing().Epoch() > epoch })
	assert.Equal(t, meets+1, n.meetings(), "nothing is dialled in its place but a new session")
	assert.Contains(t, n.logged(), assert.AnError.Error())
}
