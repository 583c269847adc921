package coherence

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

func frame(prev, n int64, payload string) string { return fmt.Sprintf("%d %d %s", prev, n, payload) }

// servers runs a test on a real server and on miniredis.
func servers(t *testing.T, test func(t *testing.T, c *redis.Client)) {
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		test(t, redistest.Start(t).Client())
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, bare(t, miniredis.RunT(t).Addr()))
	})
}

func bare(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestPublishedMessagesFormAChain(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, c *redis.Client) {
		ps := c.Subscribe(bg, prefix+channelName)
		defer func() { _ = ps.Close() }()
		_, err := ps.ReceiveTimeout(bg, 5*time.Second)
		require.NoError(t, err)
		next := func(payload string) (prev, n int64) {
			require.NoError(t, Publish(bg, c, prefix, payload))
			m, err := ps.ReceiveTimeout(bg, 5*time.Second)
			require.NoError(t, err)
			require.IsType(t, &redis.Message{}, m)
			prev, n, got, ok := parseMessage(m.(*redis.Message).Payload)
			require.True(t, ok, m)
			assert.Equal(t, payload, got)
			return prev, n
		}
		prev, n1 := next("one two")
		assert.Zero(t, prev, "no counter yet")
		prev, n2 := next("")
		assert.Equal(t, n1, prev)
		assert.Greater(t, n2, n1)

		require.NoError(t, c.FlushAll(bg).Err())
		prev, n3 := next("after a flush")
		assert.Zero(t, prev)
		assert.Greater(t, n3, n2, "no number comes again")

		require.NoError(t, c.Set(bg, prefix+counterName, n3+1e9, 0).Err())
		prev, n4 := next("a server whose clock went back")
		assert.Equal(t, n3+1e9, prev, "counts on")
		assert.Equal(t, prev+1, n4)

		for _, odd := range []string{"1.5", "many", "-7", "nan", "", "9007199254740991", "123456789012345678901234567890"} {
			require.NoError(t, c.Set(bg, prefix+counterName, odd, 0).Err())
			prev, n := next("after " + odd)
			assert.Zero(t, prev, odd)
			assert.Greater(t, n, n3, odd)
		}

		require.NoError(t, c.Del(bg, prefix+counterName).Err())
		require.NoError(t, c.HSet(bg, prefix+counterName, "a", 1).Err())
		prev, n5 := next("somebody else's hash under the counter's name")
		assert.Zero(t, prev)
		assert.Greater(t, n5, n3)
		got, err := c.Get(bg, prefix+counterName).Int64()
		require.NoError(t, err)
		assert.Equal(t, n5, got)
	})
}
