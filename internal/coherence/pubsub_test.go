package coherence

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/redistest"
)

// user makes one that may do everything but what the rules take away.
func user(t *testing.T, s *redistest.Server, rules ...string) redis.Options {
	t.Helper()
	args := []any{"ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "&*", "+@all"}
	for _, r := range rules {
		args = append(args, r)
	}
	require.NoError(t, s.Client().Do(bg, args...).Err())
	o := at(s)
	o.Username, o.Password = "app", "pw"
	return o
}

func TestAUserWhoMayNotTrackHearsByPubSub(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]string{
		"no CLIENT":          {"-client"},
		"no CLIENT TRACKING": {"-client|tracking"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			n := listen(t, user(t, s, rules...))
			soon(t, "fresh", n.fresh)
			assert.Equal(t, PubSub, n.Mode())
			assert.Contains(t, n.logged(), "level=WARN")
			assert.Contains(t, n.logged(), "mode=pubsub")
			require.NoError(t, Publish(bg, s.Client(), prefix, "hello"))
			soon(t, "message", func() bool { return n.heard("message hello") })
		})
	}
}

// It accepts CLIENT TRACKING all the same, and pushes nothing.
func TestAServerWithoutRESP3IsHeardByPubSub(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--rename-command", "HELLO", "GUTENTAG")
	n := listen(t, at(s))
	soon(t, "fresh", n.fresh)
	assert.Equal(t, PubSub, n.Mode())
	require.NoError(t, Publish(bg, s.Client(), prefix, "hello"))
	soon(t, "message", func() bool { return n.heard("message hello") })
	soon(t, "fresh", n.fresh)
}

func TestAUserWhoMayHearNothingStaysDeafAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := listen(t, user(t, s, "-subscribe"))
	soon(t, "mode none", func() bool { return n.Mode() == None })
	assert.False(t, n.fresh())
	assert.Contains(t, n.logged(), "mode=none")
	user(t, s)
	soon(t, "fresh", n.fresh)
	assert.Equal(t, Tracking, n.Mode())
}

func TestWherePubSubWillNotDoTheNodeStaysDeaf(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := listen(t, user(t, s, "-client"), func(c *Config) { c.PubSub = false })
	soon(t, "mode none", func() bool { return n.Mode() == None })
	assert.False(t, n.fresh())
}

func TestATrackingServerIsFoundAtTheNextConnection(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := listen(t, user(t, s, "-client"))
	soon(t, "fresh", n.fresh)
	assert.Equal(t, PubSub, n.Mode())
	user(t, s)
	killListeners(t, s.Client())
	soon(t, "fresh", func() bool { return n.Mode() == Tracking && n.fresh() })
}

func TestInPubSubModeAFlushIsANewEpoch(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := listen(t, user(t, s, "-client"))
	soon(t, "fresh", n.fresh)
	require.NoError(t, Publish(bg, s.Client(), prefix, "hello"))
	soon(t, "message", func() bool { return n.heard("message hello") })
	soon(t, "fresh", n.fresh)
	epoch := n.Hearing().Epoch()
	require.NoError(t, s.Client().FlushAll(bg).Err())
	soon(t, "a new epoch", func() bool { return n.fresh() && n.Hearing().Epoch() > epoch })
}

func TestInPubSubModeALostConnectionIsANewEpoch(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	n := listen(t, user(t, s, "-client"))
	soon(t, "fresh", n.fresh)
	epoch := n.Hearing().Epoch()
	killListeners(t, s.Client())
	soon(t, "a new epoch", func() bool { return n.fresh() && n.Hearing().Epoch() > epoch })
}

func TestInPubSubModeTheCounterIsReadFromTheSameServer(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	var met atomic.Int32
	n := listen(t, redis.Options{Addr: m.Addr()}, func(c *Config) {
		c.Meet = func(context.Context, *redis.Conn) (envelope.ID, error) {
			if met.Add(1) == 2 { // the connection that asks for the counter
				return envelope.NewID("another"), nil
			}
			return envelope.NewID("a"), nil
		}
	})
	soon(t, "fresh", n.fresh)
	assert.EqualValues(t, 4, met.Load(), "both connections were made anew")
	assert.Contains(t, n.logged(), errOtherServer.Error())
}

func TestACounterThatIsNoneKeepsTheNodeDeaf(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	require.NoError(t, m.Set(prefix+counterName, "many"))
	n := listen(t, redis.Options{Addr: m.Addr()})
	soon(t, "said so", func() bool { return n.Mode() == Connecting && n.logged() != "" })
	assert.False(t, n.fresh())
	require.NoError(t, Publish(bg, bare(t, m.Addr()), prefix, "mends it"))
	soon(t, "fresh", n.fresh)
}

// mini is a test in fake time on a miniredis, which tracks nothing.
func mini(t *testing.T, test func(t *testing.T, m *miniredis.Miniredis, c *redis.Client, n *node)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		t.Cleanup(m.Close)
		o := redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}}
		c := redis.NewClient(&o)
		t.Cleanup(func() { _ = c.Close() })
		n := listen(t, o)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, PubSub, n.Mode())
		require.True(t, n.fresh())
		test(t, m, c, n)
	})
}

func TestInPubSubModeMessagesInARowLoseNothing(t *testing.T) {
	mini(t, func(t *testing.T, _ *miniredis.Miniredis, c *redis.Client, n *node) {
		epoch := n.Hearing().Epoch()
		for range 20 {
			require.NoError(t, Publish(bg, c, prefix, "hello"))
			time.Sleep(300 * time.Millisecond)
			assert.True(t, n.fresh())
		}
		assert.Equal(t, epoch, n.Hearing().Epoch())
		n.change(func() { assert.Len(t, n.said, 20) })
	})
}

// A message that was counted and never came: the sender is dead, nobody sends more.
func TestInPubSubModeALostLastMessageEndsFreshnessWithinTheBound(t *testing.T) {
	mini(t, func(t *testing.T, m *miniredis.Miniredis, _ *redis.Client, n *node) {
		epoch := n.Hearing().Epoch()
		require.NoError(t, m.Set(prefix+counterName, "1000"))
		returned := clock.Now()
		for clock.Now() < returned+int64(30*time.Second) {
			if n.Hearing().Epoch() == epoch && clock.Now()-returned >= int64(2*time.Second) {
				require.False(t, n.fresh(), "%v after it was counted", time.Duration(clock.Now()-returned))
			}
			time.Sleep(50 * time.Millisecond)
		}
		assert.True(t, n.fresh(), "heard again")
		assert.Greater(t, n.Hearing().Epoch(), epoch)
	})
}

func TestInPubSubModeAGapIsANewEpoch(t *testing.T) {
	mini(t, func(t *testing.T, _ *miniredis.Miniredis, c *redis.Client, n *node) {
		require.NoError(t, Publish(bg, c, prefix, "hello"))
		time.Sleep(time.Second)
		epoch := n.Hearing().Epoch()
		require.NoError(t, c.Incr(bg, prefix+counterName).Err()) // one was counted, and lost
		require.NoError(t, Publish(bg, c, prefix, "the next"))
		synctest.Wait()
		assert.True(t, n.heard("message the next"))
		assert.False(t, n.fresh())
		time.Sleep(time.Second)
		assert.True(t, n.fresh())
		assert.Greater(t, n.Hearing().Epoch(), epoch)
	})
}

func TestInPubSubModeTheDataConnectionsDecideToo(t *testing.T) {
	mini(t, func(t *testing.T, _ *miniredis.Miniredis, _ *redis.Client, n *node) {
		epoch := n.Hearing().Epoch()
		n.change(func() { n.off = true })
		time.Sleep(time.Second)
		assert.False(t, n.fresh())
		n.change(func() { n.off = false })
		time.Sleep(time.Second)
		assert.True(t, n.fresh())
		assert.Greater(t, n.Hearing().Epoch(), epoch)
	})
}

func TestALossFromOutsideIsANewEpochOnTheSameConnection(t *testing.T) {
	mini(t, func(t *testing.T, _ *miniredis.Miniredis, _ *redis.Client, n *node) {
		epoch, meets := n.Hearing().Epoch(), n.meetings()
		n.Hearing().Lose()
		assert.False(t, n.fresh())
		time.Sleep(time.Second + tick)
		assert.True(t, n.fresh())
		assert.Greater(t, n.Hearing().Epoch(), epoch)
		assert.Equal(t, meets, n.meetings())
	})
}
