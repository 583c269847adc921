package tiercache_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

func takes(d time.Duration) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { time.Sleep(d); return 1, nil }
}

func TestSubTellsWhatHappenedInBetweenAndHowLongThatTook(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{Name: "early"})
		for i := range 20 { // slow, and not to be seen in what comes after
			_, err := cache.GetOrLoad(bg, fmt.Sprint(i), takes(time.Second))
			require.NoError(b, err)
		}
		earlier := tiers.Stats()
		late := newCache(b.T, tiers, tiercache.Options[int]{Name: "late"})
		for i := range 10 {
			_, err := cache.GetOrLoad(bg, fmt.Sprint(100+i), takes(10*time.Millisecond))
			require.NoError(b, err)
			_, err = cache.GetOrLoad(bg, fmt.Sprint(i), unwanted[int](b.T))
			require.NoError(b, err)
		}
		_, err := late.GetOrLoad(bg, "late", takes(100*time.Millisecond))
		require.NoError(b, err)
		require.NoError(b, cache.Delete(bg, "1", "2"))
		now := tiers.Stats()
		d := now.Sub(earlier)
		assert.Equal(b, 200*time.Millisecond, d.Span)
		assert.Equal(b, now.At, d.At)
		assert.Equal(b, now.At.Sub(earlier.At), d.Span)
		assert.EqualValues(b, 2, d.KeyInvalidations)
		require.Len(b, d.Caches, 2)
		early := d.Caches[0]
		assert.Equal(b, [3]int64{20, 10, 10}, [3]int64{early.Operations, early.Hits, early.ColdMisses})
		assert.Equal(b, [2]int64{10, 10}, [2]int64{early.Loads, early.LoadTime.Count})
		for _, q := range []time.Duration{early.LoadTime.Mean, early.LoadTime.P50, early.LoadTime.P99, early.WaitTime.P99} {
			assert.InEpsilon(b, 10*time.Millisecond, q, 0.125)
		}
		assert.InEpsilon(b, 5*time.Millisecond, early.AverageTime, 0.125)
		assert.EqualValues(b, 10, early.LoadsSaved())
		assert.Equal(b, 10*early.LoadTime.Mean, early.TimeSaved())
		assert.Equal(b, now.Caches[1].LoadTime, d.Caches[1].LoadTime, "earlier does not know it")
		assert.EqualValues(b, 11, d.Total.Loads)
		assert.InEpsilon(b, 100*time.Millisecond, d.Total.LoadTime.P99, 0.125)
		assert.Equal(b, now.Caches[0].Entries, early.Entries, "Sub leaves what is now")
		for _, c := range append(d.Caches, d.Total) {
			identitiesHold(b.T, c)
		}
		assert.Equal(b, now.Total.Loads, now.Sub(tiercache.Stats{}).Total.Loads)
		assert.Equal(b, now.Span, now.Sub(tiercache.Stats{}).Span)
		assert.Equal(b, now.Total.LoadTime.Mean, tiercache.CacheStats{Operations: 1, LoadTime: now.Total.LoadTime}.TimeSaved())
		_, err = cache.GetOrLoad(bg, "9", unwanted[int](b.T))
		require.NoError(b, err)
		assert.Equal(b, now.Total.LoadTime.Mean, tiers.Stats().Sub(now).Total.TimeSaved(), "of an interval without loads")
		again := now.Sub(now)
		assert.Zero(b, again.Total.Operations)
		assert.Equal(b, tiercache.Latency{}, again.Total.LoadTime)
		assert.Zero(b, again.Total.AverageTime)
	})
}

// They may be another process's, or what somebody has written down.
func TestSubOfStrangersStatsIsNeverNegative(t *testing.T) {
	t.Parallel()
	inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		_, err := cache.GetOrLoad(bg, "k", takes(time.Second))
		require.NoError(t, err)
		is := cache.Stats()
		d := tiercache.CacheStats{}.Sub(is)
		assert.Equal(t, tiercache.CacheStats{}, d)
		written := tiercache.CacheStats{Misses: 3, LoadTime: tiercache.Latency{Count: 3, Mean: time.Second, P50: time.Second}}
		for _, pair := range [][2]tiercache.CacheStats{{written, is}, {is, written}, {written, written}} {
			d = pair[0].Sub(pair[1])
			assert.GreaterOrEqual(t, min(d.Operations, d.Misses, d.LoadTime.Count, int64(d.LoadTime.Mean), int64(d.AverageTime)), int64(0))
		}
		assert.Equal(t, tiercache.Latency{Count: 2, Mean: time.Second, P50: time.Second}, written.Sub(is).LoadTime)
		assert.NotPanics(t, func() { tiercache.Stats{}.Sub(tiers.Stats()) })
	})
}

func TestTimeSavedDoesNotOverflow(t *testing.T) {
	t.Parallel()
	s := tiercache.CacheStats{Operations: 1 << 60, LoadTime: tiercache.Latency{Count: 1, Mean: time.Hour}}
	assert.Equal(t, time.Duration(math.MaxInt64), s.TimeSaved())
	assert.Zero(t, tiercache.CacheStats{Operations: 5}.TimeSaved())
	assert.Zero(t, tiercache.CacheStats{Loads: 5}.LoadsSaved())
}

func TestWhatCachesHaveInMemoryComesToWhatMemoryHas(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{MemoryBytes: 256 << 10})
	small := newCache(t, tiers, tiercache.Options[int]{Name: "small"})
	large := newCache(t, tiers, tiercache.Options[string]{Name: "large"})
	for i := range 1000 {
		require.NoError(t, small.Set(bg, fmt.Sprint("s", i), i))
		require.NoError(t, large.Set(bg, fmt.Sprint("l", i), fmt.Sprintf("%1000d", i)))
	}
	require.NoError(t, small.Set(bg, "s1", 2))
	require.NoError(t, small.Delete(bg, "s2"))
	s := tiers.Stats()
	for i, c := range s.Caches {
		assert.Positive(t, c.Entries, i)
		assert.Greater(t, c.Bytes, c.Entries*int64(1+i*1000), i)
	}
	sum := func(of func(tiercache.CacheStats) int64) int64 { return of(s.Caches[0]) + of(s.Caches[1]) }
	for _, is := range [][3]int64{
		{s.MemoryEntries, s.Total.Entries, sum(func(c tiercache.CacheStats) int64 { return c.Entries })},
		{s.MemoryBytes, s.Total.Bytes, sum(func(c tiercache.CacheStats) int64 { return c.Bytes })},
		{s.MemoryEvictions, s.Total.Evictions, sum(func(c tiercache.CacheStats) int64 { return c.Evictions })},
	} {
		assert.Positive(t, is[0])
		assert.Equal(t, is[0], is[1])
		assert.Equal(t, is[0], is[2])
	}
	require.NoError(t, tiers.Close())
	s = tiers.Stats()
	assert.Zero(t, s.MemoryBytes+s.MemoryEntries)
	assert.Zero(t, s.Total.Bytes+s.Total.Entries)
}

func TestStatsTellWhatJobsHaveWarmed(t *testing.T) {
	t.Parallel()
	inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		job := tiercache.Job{Name: "j", Every: time.Hour, AtStart: true, Retries: -1}
		_, stop := runJobs(t, tiers, cache.WarmEach(job, these("k:1", "k:2", "bad"), func(_ context.Context, key string) (int, error) {
			if key == "bad" {
				return 0, errSource
			}
			return 1, nil
		}))
		time.Sleep(90 * time.Minute)
		s := tiers.Stats()
		assert.Equal(t, [3]int64{2, 4, 2}, [3]int64{s.WarmRuns, s.WarmLoads, s.WarmFailures})
		assert.Zero(t, s.Total.Operations)
		assert.Equal(t, [3]int64{6, 6, 2}, [3]int64{s.Total.Loads, s.Total.Warmed, s.Total.LoadErrors})
		for range 10 {
			_, err := cache.GetOrLoad(bg, "k:1", unwanted[int](t))
			require.NoError(t, err)
		}
		assert.EqualValues(t, 10, cache.Stats().LoadsSaved(), "by jobs' loads, which are no operations")
		assert.ErrorIs(t, stop(), context.Canceled)
		assert.EqualValues(t, 1, s.Sub(tiercache.Stats{WarmRuns: 1}).WarmRuns)
	})
}
