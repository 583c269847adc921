package tiercache_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// "Never" and "no limit" are written as the largest number that there is.

func endless() tiercache.Options[int] {
	return tiercache.Options[int]{
		TTL: math.MaxInt64, MemoryTTL: math.MaxInt64, NegativeTTL: math.MaxInt64,
		StaleFor: math.MaxInt64, SoftTimeout: math.MaxInt64, LoadTimeout: math.MaxInt64,
	}
}

func boundless(c *tiercache.Config) {
	c.ReadTimeout, c.WriteTimeout = math.MaxInt64, math.MaxInt64
	c.StalenessBound, c.OutageStaleness = math.MaxInt64, math.MaxInt64
	c.LargestValue = math.MaxInt
}

func TestWithoutAnyBoundALoadIsOneInTheFleetAndMemoryServes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		var loads atomic.Int64
		load := func(context.Context) (int, error) {
			time.Sleep(time.Second)
			loads.Add(1)
			return 1, nil
		}
		var caches []*tiercache.Cache[int]
		for range 2 {
			caches = append(caches, newCache(b.T, b.nodeOf(boundless), endless()))
		}
		time.Sleep(2 * time.Second)
		done := make(chan error, 2)
		for _, c := range caches {
			go func() {
				_, err := c.GetOrLoad(bg, "k", load, tiercache.WithTTL(math.MaxInt64))
				done <- err
			}()
			time.Sleep(100 * time.Millisecond)
		}
		require.NoError(b, <-done)
		require.NoError(b, <-done)
		assert.EqualValues(b, 1, loads.Load())
		for _, c := range caches {
			before := c.Stats().MemoryHits
			for range 10 {
				v, ok, err := c.Get(bg, "k")
				require.NoError(b, err)
				require.True(b, ok)
				require.Equal(b, 1, v)
			}
			assert.EqualValues(b, before+10, c.Stats().MemoryHits)
		}
		require.NoError(b, caches[0].SetMany(bg, map[string]int{"x": 1, "y": 2}))
		got, err := caches[1].GetMany(bg, []string{"x", "y"})
		require.NoError(b, err)
		assert.Equal(b, map[string]int{"x": 1, "y": 2}, got)
	})
}

func TestWithoutABoundMemoryServesInAnOutageForAsLongAsThatLasts(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers := b.nodeOf(func(c *tiercache.Config) { c.OutageStaleness = math.MaxInt64 })
		cache := newCache(b.T, tiers, endless())
		synctest.Wait()
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		inMemory(b.T, cache, "k")
		time.Sleep(time.Second)
		b.leave()
		for range 20 {
			time.Sleep(5 * time.Minute)
			v, err := cache.GetOrLoad(bg, "k", value(2))
			require.NoError(b, err)
			require.Equal(b, 1, v)
		}
	})
}

func TestABatchLoaderTakesRoomForWhatComesAndNotForItsLimit(t *testing.T) {
	loader, err := tiercache.NewBatchLoader(func(_ context.Context, keys []string) (map[string]int, error) {
		return numbered(keys), nil
	}, tiercache.BatchOptions{Limit: 1 << 22})
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := loader.Load("k1")(bg)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.Equal(t, 1, v)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20))
}

// Each cache's part of the statistics needs to know what all have in memory
func TestStatisticsOfAThousandCachesAreThoseOfEach(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	for i := range 1_000 {
		cache := newCache(t, tiers, tiercache.Options[int]{Name: fmt.Sprint("c", i)})
		for n := range i % 4 {
			require.NoError(t, cache.Set(bg, fmt.Sprint(i, ":", n), i))
		}
	}
	s := tiers.Stats()
	require.Len(t, s.Caches, 1_000)
	for i, c := range s.Caches {
		require.Equal(t, fmt.Sprint("c", i), c.Name)
		require.EqualValues(t, i%4, c.Entries, c.Name)
	}
	assert.EqualValues(t, 1_500, s.Total.Entries)
}
