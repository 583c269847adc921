package tiercache_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

func memoryOnlyPair(t *testing.T, addr string) (nodes [2]*tiercache.Tiers, caches [2]*tiercache.Cache[thing]) {
	t.Helper()
	for i := range nodes {
		nodes[i] = open(t, patient(client(t, addr)))
		caches[i] = newCache(t, nodes[i], tiercache.Options[thing]{Name: "here", MemoryOnly: true, Tags: thingTags})
	}
	hear(t, nodes[:]...)
	return nodes, caches
}

func TestAMemoryOnlyCacheStoresNothingInRedis(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		_, caches := memoryOnlyPair(t, addr)
		raw := client(t, addr)
		store(t, caches[0], "k", tagged(1, "red"), tiercache.Also("also"))
		require.NoError(t, caches[0].Set(bg, "set", thing{V: 1}))
		_, err := caches[0].GetOrLoad(bg, "none", func(context.Context) (thing, error) { return thing{}, tiercache.ErrNotFound })
		require.ErrorIs(t, err, tiercache.ErrNotFound)
		for _, key := range []string{"k", "also", "set"} {
			require.Equal(t, 1, inMemory(t, caches[0], key).V)
		}
		keys, err := raw.Keys(bg, "t:[^~]*").Result()
		require.NoError(t, err)
		assert.Empty(t, keys)
		_, ok, err := caches[1].Get(bg, "k")
		require.NoError(t, err)
		assert.False(t, ok, "each node loads for itself")
		assert.Zero(t, caches[0].Stats().RedisHits)
	})
}

func TestWhatVoidsAMemoryOnlyValueReachesEveryNode(t *testing.T) {
	t.Parallel()
	voids := map[string]func(tiers *tiercache.Tiers, c *tiercache.Cache[thing]) error{
		"Delete": func(_ *tiercache.Tiers, c *tiercache.Cache[thing]) error { return c.Delete(bg, "k") },
		"pattern": func(_ *tiercache.Tiers, c *tiercache.Cache[thing]) error {
			_, err := c.InvalidatePattern(bg, "k*")
			return err
		},
		"tag": func(n *tiercache.Tiers, _ *tiercache.Cache[thing]) error {
			_, err := n.Invalidate(bg, tiercache.Tag("red"))
			return err
		},
		"call's tag": func(n *tiercache.Tiers, _ *tiercache.Cache[thing]) error {
			_, err := n.Invalidate(bg, tiercache.Tag("call"))
			return err
		},
		"Clear":     func(_ *tiercache.Tiers, c *tiercache.Cache[thing]) error { return c.Clear(bg) },
		"Clear all": func(n *tiercache.Tiers, _ *tiercache.Cache[thing]) error { _, err := n.Clear(bg); return err },
		"Expire": func(n *tiercache.Tiers, _ *tiercache.Cache[thing]) error {
			_, err := n.Expire(bg, tiercache.Key("k"))
			return err
		},
		"Mutate": func(n *tiercache.Tiers, _ *tiercache.Cache[thing]) error {
			_, err := n.Mutate(bg, func(context.Context) error { return nil }, tiercache.Key("k"))
			return err
		},
		"Mutate of a tag": func(n *tiercache.Tiers, _ *tiercache.Cache[thing]) error {
			_, err := n.Mutate(bg, func(context.Context) error { return nil }, tiercache.Tag("red"))
			return err
		},
	}
	onEveryRedis(t, func(t *testing.T, addr string) {
		nodes, caches := memoryOnlyPair(t, addr)
		for name, void := range voids {
			for _, c := range caches {
				store(t, c, "k", tagged(1, "red"), tiercache.WithTags("call"))
				inMemory(t, c, "k")
			}
			require.NoError(t, void(nodes[0], caches[0]), name)
			_, ok, err := caches[0].Get(bg, "k")
			require.NoError(t, err)
			require.False(t, ok, name)
			soon(t, "void on the other node after "+name, func() bool { _, ok, _ := caches[1].Get(bg, "k"); return !ok })
		}
	})
}

func TestASetOfAMemoryOnlyValueVoidsTheOthersAndStaysHere(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		_, caches := memoryOnlyPair(t, addr)
		store(t, caches[1], "k", tagged(1))
		require.NoError(t, caches[0].Set(bg, "k", thing{V: 2}))
		v, err := caches[0].GetOrLoad(bg, "k", tagged(2))
		require.NoError(t, err)
		require.Equal(t, 2, v.V)
		soon(t, "the other's is void", func() bool { _, ok, _ := caches[1].Get(bg, "k"); return !ok })
	})
}

// load begins | another node invalidates, returns | the load ends: old
func TestAMemoryOnlyLoadThatBeganBeforeAnInvalidationDoesNotStay(t *testing.T) {
	t.Parallel()
	targets := map[string]tiercache.Target{
		"key": tiercache.Key("k"), "pattern": tiercache.Pattern("?"), "tag": tiercache.Tag("red"), "call's tag": tiercache.Tag("call"),
	}
	onEveryRedis(t, func(t *testing.T, addr string) {
		nodes, caches := memoryOnlyPair(t, addr)
		for name, target := range targets {
			for who, node := range nodes {
				_, err := caches[0].GetOrLoad(bg, "k", func(ctx context.Context) (thing, error) {
					_, err := node.Invalidate(ctx, target)
					return thing{1, []string{"red"}}, err
				}, tiercache.WithTags("call"))
				require.NoError(t, err)
				gone := func() bool { _, ok, _ := caches[0].Get(bg, "k"); return !ok }
				if who == 0 {
					require.True(t, gone(), name)
				}
				soon(t, "void after "+name, gone)
			}
		}
	})
}

// Without hearing a memory-only cache has nothing to serve from; in an outage it
// is what a cache without Redis is.
func TestAMemoryOnlyCacheServesInAnOutageAndStartsAnewAfter(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	tiers := open(t, hasty(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[thing]{MemoryOnly: true, Tags: thingTags})
	hear(t, tiers)
	store(t, cache, "k", tagged(1, "red"))
	s.Kill()
	soon(t, "out of use", func() bool { return !tiers.Health().Connected })
	before := cache.Stats().Loads
	for range 3 {
		mustLoad(t, cache, 1)
	}
	r, err := tiers.Invalidate(bg, tiercache.Tag("red"))
	require.NoError(t, err)
	require.True(t, r.Queued)
	mustLoad(t, cache, 2)
	mustLoad(t, cache, 2)
	assert.LessOrEqual(t, cache.Stats().Loads, before+2, "memory serves: the outage's load, and what was loaded before it")
	s.Restart()
	eventuallyConnected(t, tiers)
	hear(t, tiers)
	soon(t, "what was loaded in the outage is void", func() bool {
		v, err := cache.GetOrLoad(bg, "k", tagged(3, "red"))
		require.NoError(t, err)
		return v.V == 3
	})
}

func TestMemoryOnlyValuesOfTiersWithoutRedisLiveAsAnyOther(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	cache := newCache(t, tiers, tiercache.Options[thing]{MemoryOnly: true, TTL: time.Hour})
	mustLoad(t, cache, 1)
	v, err := cache.GetOrLoad(bg, "k", unwanted[thing](t))
	require.NoError(t, err)
	assert.Equal(t, 1, v.V)
	require.NoError(t, cache.Clear(bg))
	mustLoad(t, cache, 2)
}

// A marker stands in Redis for a cache whose values do not.
func TestWhileAMutateRunsAMemoryOnlyCacheKeepsNothing(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		nodes, caches := memoryOnlyPair(t, addr)
		for i, c := range caches {
			store(t, c, "k", tagged(0))
			_, err := nodes[0].Mutate(bg, func(context.Context) error {
				soon(t, "the marker is heard of", func() bool { _, ok, _ := c.Get(bg, "k"); return !ok })
				for v := 1; v < 4; v++ {
					mustLoad(t, c, v)
				}
				return nil
			}, tiercache.Key("k"))
			require.NoError(t, err, "node %d", i)
		}
	})
}

// Set: void, says so, keeps | its own message comes back: it is of before
func TestWhatANodeSaysItselfDoesNotVoidItsMemoryOnlyValue(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		_, caches := memoryOnlyPair(t, addr)
		for i := range 20 {
			store(t, caches[0], "probe", tagged(0))
			require.NoError(t, caches[0].Set(bg, "k", thing{V: i}))
			// The channel keeps its order: with the probe gone, the Set was heard.
			require.NoError(t, caches[1].Delete(bg, "probe"))
			soon(t, "the probe is gone", func() bool { _, ok, _ := caches[0].Get(bg, "probe"); return !ok })
			require.Equal(t, i, inMemory(t, caches[0], "k").V)
		}
	})
}
