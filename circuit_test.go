package tiercache_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// A Redis without memory goes on to serve what it has and to remove it.
func TestARedisThatIsFullIsReadAndNotDown(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory-policy", "noeviction")
	tiers := open(t, patient(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	other := newCache(t, open(t, patient(client(t, s.Addr()))), tiercache.Options[int]{})
	eventuallyConnected(t, tiers)
	for _, key := range []string{"a", "b"} {
		_, err := cache.GetOrLoad(bg, key, value(1))
		require.NoError(t, err)
	}

	require.NoError(t, s.Client().ConfigSet(bg, "maxmemory", "1").Err())
	for i := range 20 {
		key := "new" + strconv.Itoa(i)
		v, err := cache.GetOrLoad(bg, key, value(i))
		require.NoError(t, err)
		require.Equal(t, i, v)
	}
	v, err := other.GetOrLoad(bg, "a", unwanted[int](t))
	require.NoError(t, err)
	assert.Equal(t, 1, v, "read from Redis")
	assert.True(t, tiers.Health().Connected)

	r, err := tiers.Invalidate(bg, tiercache.Key("b"))
	require.NoError(t, err)
	assert.False(t, r.Queued)
	assert.Zero(t, s.Client().Exists(bg, "t:b").Val())
	v, err = cache.GetOrLoad(bg, "b", value(2))
	require.NoError(t, err)
	assert.Equal(t, 2, v)

	require.NoError(t, s.Client().ConfigSet(bg, "maxmemory", "0").Err())
	n := 0
	soon(t, "written again", func() bool {
		n++
		key := "later" + strconv.Itoa(n)
		_, err := cache.GetOrLoad(bg, key, value(3))
		require.NoError(t, err)
		return s.Client().Exists(bg, "t:"+key).Val() == 1
	})
	assert.True(t, tiers.Health().Connected)
}

// Redis cannot be given what is loaded | the source is spared for a bound | others'
// changes are seen after that
func TestWhatAFullRedisCannotBeGivenIsLoadedOnceInABound(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory-policy", "noeviction")
	node := func() (*tiercache.Tiers, *tiercache.Cache[int]) {
		cfg := patient(client(t, s.Addr()))
		cfg.StalenessBound, cfg.OutageStaleness = 2*time.Second, -1
		tiers := open(t, cfg)
		return tiers, newCache(t, tiers, tiercache.Options[int]{Tags: func(int) []string { return []string{"t"} }})
	}
	tiers, cache := node()
	other, _ := node()
	hear(t, tiers)
	_, err := cache.GetOrLoad(bg, "warm-up", value(1))
	require.NoError(t, err)
	require.NoError(t, s.Client().ConfigSet(bg, "maxmemory", "1").Err())
	soon(t, "it is known to be full", func() bool {
		_, err := cache.GetOrLoad(bg, "x", value(1))
		require.NoError(t, err)
		return tiers.Health().Masters[0].State == "read-only"
	})
	var loads atomic.Int64
	began := time.Now()
	for time.Since(began) < 500*time.Millisecond {
		_, err := cache.GetOrLoad(bg, "hot", counted(&loads, value(1)))
		require.NoError(t, err)
	}
	assert.Less(t, loads.Load(), int64(20), "but for trials of whether it takes writes again")
	require.NoError(t, cache.Delete(bg, "hot"))
	v, err := cache.GetOrLoad(bg, "hot", value(2))
	require.NoError(t, err)
	assert.Equal(t, 2, v, "this node's own change is seen at once")
	_, err = other.Invalidate(bg, tiercache.Key("hot"))
	require.NoError(t, err)
	soon(t, "another's change is seen after a bound", func() bool {
		v, err := cache.GetOrLoad(bg, "hot", value(3))
		require.NoError(t, err)
		return v == 3
	})
}
