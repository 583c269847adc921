package tiercache_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestClearOfACacheVoidsThatCacheOnEveryNodeAndNoOther(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		nodes, users := pair(t, addr, tiercache.Options[int]{Name: "users"})
		var orders [2]*tiercache.Cache[int]
		for i := range nodes {
			orders[i] = newCache(t, nodes[i], tiercache.Options[int]{Name: "orders"})
		}
		for round := range 4 {
			for i := range 10 {
				for n := range nodes {
					_, err := users[n].GetOrLoad(bg, "u"+strconv.Itoa(i), value(round))
					require.NoError(t, err)
					_, err = orders[n].GetOrLoad(bg, "o"+strconv.Itoa(i), value(0))
					require.NoError(t, err)
				}
			}
			mine, other := round%2, 1-round%2
			require.NoError(t, users[mine].Clear(bg))
			for i := range 10 {
				key := "u" + strconv.Itoa(i)
				_, ok, err := users[mine].Get(bg, key)
				require.NoError(t, err)
				require.False(t, ok)
				soon(t, "void there too", func() bool { _, ok, _ := users[other].Get(bg, key); return !ok })
				for n := range nodes {
					v, err := orders[n].GetOrLoad(bg, "o"+strconv.Itoa(i), unwanted[int](t))
					require.NoError(t, err)
					require.Zero(t, v)
				}
			}
		}
	})
}

func TestClearOfTiersVoidsEverythingOnEveryNode(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		nodes, users := pair(t, addr, tiercache.Options[int]{Name: "users"})
		orders := newCache(t, nodes[1], tiercache.Options[int]{Name: "orders"}) // node 0 has no such cache
		for round := range 4 {
			_, err := users[0].GetOrLoad(bg, "u", value(round))
			require.NoError(t, err)
			inMemory(t, users[1], "u")
			_, err = orders.GetOrLoad(bg, "o", value(round))
			require.NoError(t, err)
			r, err := nodes[round%2].Clear(bg)
			require.NoError(t, err)
			require.False(t, r.Queued)
			_, ok, err := users[round%2].Get(bg, "u")
			require.NoError(t, err)
			require.False(t, ok)
			soon(t, "void there too", func() bool {
				_, ok1, _ := users[1-round%2].Get(bg, "u")
				_, ok2, _ := orders.Get(bg, "o")
				return !ok1 && !ok2
			})
		}
		assert.EqualValues(t, 2, nodes[0].Stats().Clears)
	})
}

// load begins | Clear, here or elsewhere, returns | fill
func TestALoadThatBeganBeforeAClearIsNotStored(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		nodes, caches := pair(t, addr, tiercache.Options[int]{})
		clears := map[string]func(n int) error{
			"of the cache": func(n int) error { return caches[n].Clear(bg) },
			"of all":       func(n int) error { _, err := nodes[n].Clear(bg); return err },
		}
		for name, clear := range clears {
			for n := range nodes {
				v, err := caches[0].GetOrLoad(bg, "k", func(context.Context) (int, error) { return 1, clear(n) })
				require.NoError(t, err)
				require.Equal(t, 1, v)
				_, ok, err := caches[n].Get(bg, "k")
				require.NoError(t, err)
				require.False(t, ok, "%s, on node %d", name, n)
				soon(t, "nobody has it, after Clear "+name, func() bool {
					_, ok0, _ := caches[0].Get(bg, "k")
					_, ok1, _ := caches[1].Get(bg, "k")
					return !ok0 && !ok1
				})
			}
		}
	})
}

func TestAPatternThatIsACachesPrefixRunsAsItsClear(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	tiers := open(t, patient(client(t, s.Addr())))
	users := newCache(t, tiers, tiercache.Options[int]{Name: "users", KeyPrefix: "user:"})
	_ = newCache(t, tiers, tiercache.Options[int]{Name: "orders", KeyPrefix: "order:"})
	odd := newCache(t, tiers, tiercache.Options[int]{Name: "odd", KeyPrefix: "a[b]*:"})
	hear(t, tiers)
	for pattern, c := range map[string]*tiercache.Cache[int]{"user:*": users, `a\[b]\*:*`: odd} {
		key := map[string]string{"user:*": "user:1", `a\[b]\*:*`: "a[b]*:1"}[pattern]
		_, err := c.GetOrLoad(bg, key, value(1))
		require.NoError(t, err)
		r, err := tiers.Invalidate(bg, tiercache.Pattern(pattern))
		require.NoError(t, err)
		assert.Equal(t, tiercache.Report{}, r)
		_, ok, err := c.Get(bg, key)
		require.NoError(t, err)
		require.False(t, ok, pattern)
	}
	assert.Zero(t, commands(t, s, "scan"))

	scans := 0
	for _, pattern := range []string{"user:1*", "user:?", "user:**", "use*", "*", "user:*:x"} {
		_, err := users.GetOrLoad(bg, "user:1", value(1))
		require.NoError(t, err)
		_, err = tiers.Invalidate(bg, tiercache.Pattern(pattern))
		require.NoError(t, err)
		now := commands(t, s, "scan")
		assert.Greater(t, now, scans, pattern)
		scans = now
	}
}

func TestAPatternThatReachesIntoAnotherCacheDoesNotRunAsClear(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		for name, prefix := range map[string]string{"inside": "user:profile:", "the same": "user:", "outside": "", "around": "us"} {
			tiers := open(t, patient(client(t, addr)))
			users := newCache(t, tiers, tiercache.Options[int]{Name: "users" + name, KeyPrefix: "user:"})
			other := newCache(t, tiers, tiercache.Options[int]{Name: "other" + name, KeyPrefix: prefix})
			hear(t, tiers)
			require.NoError(t, users.Set(bg, "user:1", 1))
			require.NoError(t, other.Set(bg, "user:profile:1", 1))
			r, err := tiers.Invalidate(bg, tiercache.Pattern("user:*"))
			require.NoError(t, err)
			assert.EqualValues(t, 2, r.Keys, name)
			_, ok, err := users.Get(bg, "user:1")
			require.NoError(t, err)
			require.False(t, ok, name)
			_, ok, err = other.Get(bg, "user:profile:1")
			require.NoError(t, err)
			require.False(t, ok, name)
		}
	})
}

func TestClearCostsTheSameHoweverManyValuesThereAre(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	tiers := open(t, patient(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	require.NoError(t, cache.Clear(bg)) // the scripts are there
	for i := range 500 {
		require.NoError(t, cache.Set(bg, strconv.Itoa(i), i))
	}
	for i := range 500 {
		inMemory(t, cache, strconv.Itoa(i))
	}
	p := spyOn(t, s)
	require.NoError(t, cache.Clear(bg))
	assert.LessOrEqual(t, p.changes(t, s), 3, "%q", p.all())
	_, err := tiers.Clear(bg)
	require.NoError(t, err)
	assert.LessOrEqual(t, p.changes(t, s), 6, "%q", p.all())
	assert.EqualValues(t, 0, commands(t, s, "scan"))
	for i := range 500 {
		_, ok, err := cache.Get(bg, strconv.Itoa(i))
		require.NoError(t, err)
		require.False(t, ok)
	}
}
