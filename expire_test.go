package tiercache_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// tokenIn is where the token of a value stands in Redis.
func tokenIn(t *testing.T, raw string) string {
	t.Helper()
	require.Greater(t, len(raw), 37)
	return raw[15:37]
}

func TestAfterExpireTheNextReadLoads(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		targets := map[string]tiercache.Target{
			"a key": tiercache.Key("k:1"), "a pattern": tiercache.Pattern("k:*"), "a tag": tiercache.Tag("red"),
		}
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[int]{Tags: func(int) []string { return []string{"red"} }})
		hear(t, tiers)
		v := 0
		for name, target := range targets {
			v++
			require.NoError(t, cache.Delete(bg, "k:1"))
			for _, store := range []func() error{
				func() error { _, err := cache.GetOrLoad(bg, "k:1", value(v)); return err },
				func() error { return cache.Set(bg, "k:1", v) },
			} {
				require.NoError(t, store())
				r, err := tiers.Expire(bg, target)
				require.NoError(t, err)
				require.False(t, r.Queued)
				_, ok, err := cache.Get(bg, "k:1")
				require.NoError(t, err)
				require.False(t, ok, name)
				v++
				got, err := cache.GetOrLoad(bg, "k:1", value(v))
				require.NoError(t, err)
				require.Equal(t, v, got, name)
				soon(t, "it is stored again", func() bool {
					// The first load after a tag's invalidation may have read the clock before it.
					_, err := cache.GetOrLoad(bg, "k:1", value(v))
					require.NoError(t, err)
					got, ok, err := cache.Get(bg, "k:1")
					require.NoError(t, err)
					return ok && got == v
				})
			}
		}
	})
}

func TestAnExpiredValueStaysInRedisWithItsTTLAndANewToken(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		nodes, caches := pair(t, addr, tiercache.Options[int]{Jitter: -1})
		for name, target := range map[string]tiercache.Target{"a key": tiercache.Key("k"), "a pattern": tiercache.Pattern("?")} {
			require.NoError(t, caches[0].Set(bg, "k", 1))
			inMemory(t, caches[1], "k")
			before := raw.Get(bg, "t:k").Val()
			r, err := nodes[0].Expire(bg, target)
			require.NoError(t, err)
			assert.EqualValues(t, 1, r.Keys, name)
			after := raw.Get(bg, "t:k").Val()
			assert.NotEqual(t, tokenIn(t, before), tokenIn(t, after), name)
			assert.Len(t, after, len(before), name)
			assert.Greater(t, raw.PTTL(bg, "t:k").Val(), 59*time.Minute, name)
			soon(t, "the other node knows", func() bool {
				_, ok, err := caches[1].Get(bg, "k")
				require.NoError(t, err)
				return !ok
			})
			again, err := nodes[1].Expire(bg, target)
			require.NoError(t, err)
			assert.EqualValues(t, 1, again.Keys, "stale as it is, it gets a new token")
			assert.NotEqual(t, tokenIn(t, after), tokenIn(t, raw.Get(bg, "t:k").Val()))
		}
	})
}

// load begins | Expire: the lease goes | fill is refused
func TestALoadThatBeganBeforeAnExpireIsNotStored(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		nodes, caches := pair(t, addr, tiercache.Options[int]{})
		for i, target := range []tiercache.Target{tiercache.Key("k"), tiercache.Pattern("k*")} {
			for who, node := range nodes {
				_, err := caches[0].GetOrLoad(bg, "k", func(ctx context.Context) (int, error) {
					r, err := node.Expire(ctx, target)
					assert.EqualValues(t, 1, r.Keys, "the lease")
					return 1, err
				})
				require.NoError(t, err)
				assert.Zero(t, raw.Exists(bg, "t:k").Val(), "%d, node %d", i, who)
				_, ok, err := caches[0].Get(bg, "k")
				require.NoError(t, err)
				require.False(t, ok)
			}
		}
	})
}

func TestExpireOfNothingDoesNothing(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		r, err := tiers.Expire(bg, tiercache.Key("nothing"), tiercache.Pattern("nobody*"), tiercache.Tag("none"))
		require.NoError(t, err)
		assert.Equal(t, tiercache.Report{}, r)
		_, err = tiers.Expire(bg, tiercache.Key(""))
		require.ErrorContains(t, err, "the key is empty")
	})
}
