package tiercache_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// What is past its TTL, and may be served for want of better.

var errSource = errors.New("the source is down")

func failing(context.Context) (int, error) { return 0, errSource }

// counted counts the runs of a loader.
func counted(n *atomic.Int64, load func(context.Context) (int, error)) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) { n.Add(1); return load(ctx) }
}

func lasting() tiercache.Options[int] {
	return tiercache.Options[int]{TTL: time.Second, StaleFor: time.Minute, Jitter: -1}
}

// inEveryStaleWorld gives a cache with 1 under "k" that is a second past its TTL.
func inEveryStaleWorld(t *testing.T, opts tiercache.Options[int], test func(b bubble, tiers *tiercache.Tiers, cache *tiercache.Cache[int])) {
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, opts)
		v, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		require.Equal(b, 1, v)
		time.Sleep(2 * time.Second)
		test(b, tiers, cache)
	})
}

func TestAStaleValueIsServedWhenItsLoadFailsAndTheSourceIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	inEveryStaleWorld(t, lasting(), func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		var loads atomic.Int64
		for range 50 { // within the second that a failed load rests
			v, err := cache.GetOrLoad(bg, "k", counted(&loads, failing))
			require.NoError(b, err)
			require.Equal(b, 1, v)
			time.Sleep(10 * time.Millisecond)
		}
		assert.EqualValues(b, 1, loads.Load())
		time.Sleep(time.Second)
		_, err := cache.GetOrLoad(bg, "k", counted(&loads, failing))
		require.NoError(b, err)
		assert.EqualValues(b, 2, loads.Load(), "it is tried again")
		s := cache.Stats()
		assert.EqualValues(b, 51, s.StaleHits)
		assert.EqualValues(b, 51, s.Hits)
		assert.EqualValues(b, 2, s.LoadErrors)
		time.Sleep(2 * time.Second)
		v, err := cache.GetOrLoad(bg, "k", value(2))
		require.NoError(b, err)
		assert.Equal(b, 2, v, "the source is back")
		time.Sleep(time.Minute + time.Second)
		_, err = cache.GetOrLoad(bg, "k", failing)
		assert.Equal(b, errSource, err, "StaleFor is over")
	})
}

func TestWithoutStaleForNothingStaleIsServed(t *testing.T) {
	t.Parallel()
	inEveryStaleWorld(t, tiercache.Options[int]{TTL: time.Second, Jitter: -1}, func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		_, err := cache.GetOrLoad(bg, "k", failing)
		assert.Equal(b, errSource, err)
		_, ok, err := cache.Lookup(bg, "k")
		require.NoError(b, err)
		assert.False(b, ok)
	})
}

func TestNotFoundIsNeverMaskedByAStaleValue(t *testing.T) {
	t.Parallel()
	inEveryStaleWorld(t, lasting(), func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 0, tiercache.ErrNotFound })
		assert.Equal(b, tiercache.ErrNotFound, err)
		_, err = cache.GetOrLoad(bg, "k", failing)
		assert.ErrorIs(b, err, tiercache.ErrNotFound, "it is cached in the place of the stale value")
		_, ok, err := cache.Lookup(bg, "k")
		require.NoError(b, err)
		assert.False(b, ok)
	})
}

func TestANotFoundThatIsNotCachedEndsAStaleValueToo(t *testing.T) {
	t.Parallel()
	opts := lasting()
	opts.NegativeTTL = -1
	inEveryStaleWorld(t, opts, func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 0, tiercache.ErrNotFound })
		assert.Equal(b, tiercache.ErrNotFound, err)
		_, err = cache.GetOrLoad(bg, "k", failing)
		assert.Equal(b, errSource, err)
	})
}

func TestServeStaleSaysForWhichErrors(t *testing.T) {
	t.Parallel()
	opts := lasting()
	opts.ServeStale = func(err error) bool { return err == io.EOF }
	inEveryStaleWorld(t, opts, func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		_, err := cache.GetOrLoad(bg, "k", failing)
		assert.Equal(b, errSource, err)
		time.Sleep(2 * time.Second)
		v, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 0, io.EOF })
		require.NoError(b, err)
		assert.Equal(b, 1, v)
	})
}

func TestASlowLoadIsWaitedForAsLongAsSoftTimeoutAndThenFillsAllTiers(t *testing.T) {
	t.Parallel()
	opts := lasting()
	opts.SoftTimeout = 100 * time.Millisecond
	inEveryStaleWorld(t, opts, func(b bubble, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		began := time.Now()
		v, err := cache.GetOrLoad(bg, "k", func(ctx context.Context) (int, error) {
			time.Sleep(500 * time.Millisecond)
			return 2, ctx.Err()
		})
		require.NoError(b, err)
		assert.Equal(b, 1, v)
		assert.InDelta(b, opts.SoftTimeout, time.Since(began), float64(20*time.Millisecond))
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		v, ok, err := cache.Get(bg, "k")
		require.NoError(b, err)
		assert.True(b, ok)
		assert.Equal(b, 2, v)
		if tiers.Health().Mode != "memory" {
			v, ok, err := newCache(b.T, b.node(), opts).Get(bg, "k")
			require.NoError(b, err)
			assert.True(b, ok)
			assert.Equal(b, 2, v)
		}
	})
}

func TestALoaderThatIgnoresItsContextCostsItsCallersLoadTimeoutAndTheyGetTheStaleValue(t *testing.T) {
	t.Parallel()
	opts := lasting()
	opts.LoadTimeout = time.Second
	inEveryStaleWorld(t, opts, func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		end := make(chan struct{})
		began := time.Now()
		v, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { <-end; return 2, nil })
		require.NoError(b, err)
		assert.Equal(b, 1, v)
		assert.InDelta(b, opts.LoadTimeout, time.Since(began), float64(20*time.Millisecond))
		time.Sleep(2 * time.Second)
		v, err = cache.GetOrLoad(bg, "k", value(3))
		require.NoError(b, err)
		assert.Equal(b, 3, v, "the key is free")
		close(end)
	})
}

func TestWhatWasInvalidatedIsNeverServedStaleAndWhatExpiredIs(t *testing.T) {
	t.Parallel()
	opts := lasting()
	opts.Tags = func(int) []string { return []string{"t"} }
	for name, inv := range map[string]func(*tiercache.Tiers) error{
		"key":     func(ts *tiercache.Tiers) error { _, err := ts.Invalidate(bg, tiercache.Key("k")); return err },
		"tag":     func(ts *tiercache.Tiers) error { _, err := ts.Invalidate(bg, tiercache.Tag("t")); return err },
		"pattern": func(ts *tiercache.Tiers) error { _, err := ts.Invalidate(bg, tiercache.Pattern("k*")); return err },
		"clear":   func(ts *tiercache.Tiers) error { _, err := ts.Clear(bg); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryStaleWorld(t, opts, func(b bubble, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
				require.NoError(b, inv(tiers))
				_, err := cache.GetOrLoad(bg, "k", failing)
				assert.Equal(b, errSource, err)
			})
		})
	}
	t.Run("expire", func(t *testing.T) {
		t.Parallel()
		inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
			cache := newCache(b.T, tiers, opts)
			_, err := cache.GetOrLoad(bg, "k", value(1))
			require.NoError(b, err)
			_, err = tiers.Expire(bg, tiercache.Key("k"))
			require.NoError(b, err)
			v, err := cache.GetOrLoad(bg, "k", failing)
			require.NoError(b, err)
			assert.Equal(b, 1, v)
			time.Sleep(2 * time.Second)
			v, err = cache.GetOrLoad(bg, "k", value(2))
			require.NoError(b, err)
			assert.Equal(b, 2, v)
		})
	})
}

func TestALoadThatFailedRestsInTheWholeFleet(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		var caches []*tiercache.Cache[int]
		for range 4 {
			caches = append(caches, newCache(b.T, b.node(), lasting()))
		}
		_, err := caches[0].GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		time.Sleep(2 * time.Second)
		var loads atomic.Int64
		done := make(chan int)
		for _, c := range caches {
			for range 5 {
				go func() {
					v, err := c.GetOrLoad(bg, "k", counted(&loads, func(context.Context) (int, error) { time.Sleep(time.Second); return 0, errSource }))
					assert.NoError(b, err)
					done <- v
				}()
			}
		}
		for range 20 {
			assert.Equal(b, 1, <-done)
		}
		assert.EqualValues(b, 1, loads.Load())
	})
}

func TestLookupTellsValueAgeStaleAndTier(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers := b.node()
		cache := newCache(b.T, tiers, lasting())
		_, ok, err := cache.Lookup(bg, "k")
		require.NoError(b, err)
		assert.False(b, ok)
		synctest.Wait()
		_, err = cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		inMemory(b.T, cache, "k")
		time.Sleep(500 * time.Millisecond)
		e, ok, err := cache.Lookup(bg, "k")
		require.NoError(b, err)
		assert.True(b, ok)
		assert.Equal(b, "memory", e.Tier)
		assert.Equal(b, 1, e.Value)
		assert.InDelta(b, 500*time.Millisecond, e.Age, float64(20*time.Millisecond))
		assert.False(b, e.Stale)
		time.Sleep(time.Second)
		e, ok, err = newCache(b.T, b.node(), lasting()).Lookup(bg, "k")
		require.NoError(b, err)
		assert.True(b, ok)
		assert.Equal(b, "redis", e.Tier)
		assert.InDelta(b, 1500*time.Millisecond, e.Age, float64(20*time.Millisecond))
		assert.True(b, e.Stale)
		_, ok, err = cache.Get(bg, "k")
		require.NoError(b, err)
		assert.False(b, ok, "Get gives nothing that is past its TTL")
	})
}

// value: past its TTL, stale | the record of one of its tags: expires | not believed
func TestTheRecordsOfTagsOutlastWhatMayBeServedStale(t *testing.T) {
	t.Parallel()
	const most = 101 * time.Hour
	for name, store := range map[string]func(*testing.T, *tiercache.Cache[int]){
		"loaded": func(t *testing.T, c *tiercache.Cache[int]) {
			_, err := c.GetOrLoad(bg, "k", value(1), tiercache.WithTags("blue"))
			require.NoError(t, err)
		},
		"set": func(t *testing.T, c *tiercache.Cache[int]) {
			require.NoError(t, c.Set(bg, "k", 1, tiercache.WithTags("blue")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			tiers := open(t, patient(client(t, m.Addr())))
			hear(t, tiers)
			store(t, newCache(t, tiers, tiercache.Options[int]{
				TTL: time.Hour, StaleFor: most - time.Hour, Tags: func(int) []string { return []string{"red"} },
			}))
			require.NotZero(t, m.TTL("t:k"))
			records := 0
			for _, key := range m.Keys() {
				if strings.HasPrefix(key, "t:~") && key != "t:~clock" && key != "t:~seq" {
					records++
					assert.GreaterOrEqual(t, m.TTL(key), most, key)
				}
			}
			assert.Equal(t, 4, records, m.Keys())
		})
	}
}
