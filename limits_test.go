package tiercache_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestLookupFindsWhatMemoryHasWithoutStaleFor(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		e, ok, err := cache.Lookup(bg, "k")
		require.NoError(b, err)
		assert.True(b, ok)
		assert.Equal(b, 1, e.Value)
	})
}

func TestALoadWithinALoadDoesNotSeeThePreviousValueOfTheOuterOne(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, lasting())
		_, err := cache.GetOrLoad(bg, "outer", value(1))
		require.NoError(b, err)
		time.Sleep(2 * time.Second)
		v, err := cache.GetOrLoad(bg, "outer", func(ctx context.Context) (int, error) {
			return cache.GetOrLoad(ctx, "inner", func(ctx context.Context) (int, error) {
				e, ok := tiercache.Previous[int](ctx)
				assert.False(b, ok, "there is nothing under inner, and it was given %v", e.Value)
				return 2, nil
			})
		})
		require.NoError(b, err)
		assert.Equal(b, 2, v)
	})
}

func TestNotModifiedDoesNotLengthenTheLifeOfAnotherValueUnderAnExtraKey(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		opts := tiercache.Options[int]{TTL: time.Minute, Jitter: -1}
		cache := newCache(b.T, b.node(), opts)
		_, err := cache.GetOrLoad(bg, "k", value(1), tiercache.Also("e"))
		require.NoError(b, err)
		require.NoError(b, cache.Set(bg, "k", 2)) // "e" has 1 until its TTL ends
		time.Sleep(50 * time.Second)
		v, err := cache.Refresh(bg, "k", func(ctx context.Context) (int, error) {
			old, ok := tiercache.Previous[int](ctx)
			assert.True(b, ok)
			assert.Equal(b, 2, old.Value)
			return 0, tiercache.ErrNotModified // 2 is the newest
		}, tiercache.Also("e"))
		require.NoError(b, err)
		assert.Equal(b, 2, v)
		time.Sleep(20 * time.Second) // the TTL of 1 is over
		v, err = newCache(b.T, b.node(), opts).GetOrLoad(bg, "e", value(2))
		require.NoError(b, err)
		assert.Equal(b, 2, v, "1 is past its TTL, and no loader has said that it is the newest")
	})
}

func TestARefusedErrorIsNotFollowedByTheStaleValue(t *testing.T) {
	t.Parallel()
	opts := lasting()
	opts.ServeStale = func(error) bool { return false }
	inEveryStaleWorld(t, opts, func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		for range 2 {
			_, err := cache.GetOrLoad(bg, "k", failing)
			assert.Equal(b, errSource, err)
		}
	})
}

func TestACallerWhoLeavesDoesNotMakeTheFleetRest(t *testing.T) {
	t.Parallel()
	inEveryStaleWorld(t, lasting(), func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
		defer cancel()
		_, err := cache.GetOrLoad(ctx, "k", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		synctest.Wait()
		v, err := cache.GetOrLoad(bg, "k", value(2))
		require.NoError(b, err)
		assert.Equal(b, 2, v, "no load has failed: its only caller had no time")
	})
}

func TestAHotKeyWithAFastLoaderNeverMissesAtItsExpiry(t *testing.T) {
	t.Parallel()
	for _, took := range []time.Duration{0, 50 * time.Microsecond, time.Millisecond} {
		t.Run(took.String(), func(t *testing.T) {
			t.Parallel()
			inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
				cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: time.Second, Jitter: -1})
				for range 20_000 {
					_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { time.Sleep(took); return 1, nil })
					require.NoError(b, err)
					time.Sleep(500 * time.Microsecond)
				}
				s := cache.Stats()
				assert.LessOrEqual(b, s.Misses, int64(1), fmt.Sprintf("%+v", s))
			})
		})
	}
}

func TestManyHotKeysNeverMissAtTheirExpiry(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: 2 * time.Second, Jitter: -1})
		var wg sync.WaitGroup
		for i := range 100 { // more than are refreshed at a time
			wg.Go(func() {
				for range 1100 {
					_, err := cache.GetOrLoad(bg, strconv.Itoa(i), func(context.Context) (int, error) { time.Sleep(50 * time.Millisecond); return 1, nil })
					assert.NoError(b, err)
					time.Sleep(2 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		s := cache.Stats()
		assert.LessOrEqual(b, s.Misses, int64(100), fmt.Sprintf("%+v", s))
	})
}

func TestAfterOneFailedRefreshAnotherIsTriedBeforeExpiry(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: 20 * time.Second, Jitter: -1})
		var n atomic.Int64
		load := func(context.Context) (int, error) {
			time.Sleep(500 * time.Millisecond)
			if n.Add(1) == 2 {
				return 0, errSource
			}
			return 1, nil
		}
		began := time.Now()
		for time.Since(began) < 21*time.Second { // so often that the first is tried early enough for a second
			_, err := cache.GetOrLoad(bg, "k", load)
			require.NoError(b, err)
			time.Sleep(time.Millisecond)
		}
		s := cache.Stats()
		assert.LessOrEqual(b, s.Misses, int64(1), fmt.Sprintf("%+v", s))
	})
}

func TestRefreshReplacesTheValueOfAnExtraKeyToo(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{Jitter: -1})
		_, err := cache.GetOrLoad(bg, "e", value(1))
		require.NoError(b, err)
		_, err = cache.Refresh(bg, "k", value(2), tiercache.Also("e"))
		require.NoError(b, err)
		v, err := cache.GetOrLoad(bg, "e", unwanted[int](b.T))
		require.NoError(b, err)
		assert.Equal(b, 2, v)
	})
}

func TestNotModifiedOfAnAbsenceIsAnErrorLikeAnyOther(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache := newCache(b.T, b.node(), tiercache.Options[int]{Jitter: -1})
		_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 0, tiercache.ErrNotFound })
		require.ErrorIs(b, err, tiercache.ErrNotFound)
		_, err = cache.Refresh(bg, "k", func(ctx context.Context) (int, error) {
			_, ok := tiercache.Previous[int](ctx)
			assert.False(b, ok)
			return 0, tiercache.ErrNotModified
		})
		assert.ErrorIs(b, err, tiercache.ErrNotModified)
	})
}

func TestRefreshShowsItsLoaderThePreviousValue(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{Jitter: -1})
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		_, err = cache.Refresh(bg, "k", func(ctx context.Context) (int, error) {
			_, ok := tiercache.Previous[int](ctx)
			assert.True(b, ok)
			return 1, nil
		})
		require.NoError(b, err)
	})
}

func TestFreshIsNotAnsweredByMemoryWhileALoadRests(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache := newCache(b.T, open(b.T, tiercache.Config{}), lasting())
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		time.Sleep(2 * time.Second)
		_, err = cache.GetOrLoad(bg, "k", failing)
		require.NoError(b, err)
		v, err := cache.GetOrLoad(bg, "k", value(2), tiercache.Fresh())
		require.NoError(b, err)
		assert.Equal(b, 2, v)
	})
}

// refresh: sees X, loads old | another node: Invalidate, returns | the server comes back
// from a snapshot that has X, hearing is regained: a new epoch | refresh: X stands, so it
// writes old, and keeps it in memory as heard in the new epoch
func TestARefreshDoesNotBringBackInMemoryWhatWasInvalidatedBeforeAServerLostIt(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	opts := tiercache.Options[int]{Jitter: -1}
	ta, tb := open(t, patient(client(t, s.Addr()))), open(t, patient(client(t, s.Addr())))
	a, other := newCache(t, ta, opts), newCache(t, tb, opts)
	hear(t, ta, tb)
	_, err := a.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	s.Snapshot()
	first := ta.Health().Masters[0].Stamp
	begun, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, _ = a.Refresh(bg, "k", func(context.Context) (int, error) { close(begun); <-goOn; return 1, nil })
	}()
	<-begun
	r, err := tb.Invalidate(bg, tiercache.Key("k"))
	require.NoError(t, err)
	require.False(t, r.Queued)
	s.RestartFromSnapshot()
	soon(t, "the second life is met and heard", func() bool {
		_, _ = a.GetOrLoad(bg, "warm", value(7))
		_, _ = other.GetOrLoad(bg, "warm", value(7))
		h, hb := ta.Health(), tb.Health()
		return h.Connected && hb.Connected && h.Masters[0].Stamp != first && h.Masters[0].Fresh && hb.Masters[0].Fresh
	})
	inMemory(t, a, "warm")
	close(goOn)
	<-done
	for range 20 {
		v, err := a.GetOrLoad(bg, "k", value(2))
		require.NoError(t, err)
		require.Equal(t, 2, v, "invalidated long ago, with an answer")
	}
}

// A, refresh: loads, for longer than X has to live | X expires | B: acquires, loads too;
// A: X does not stand, refused
func TestARefreshThatOutlivesWhatItReplacesIsStillTheOnlyLoad(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		opts := tiercache.Options[int]{TTL: 2 * time.Second, Jitter: -1}
		caches := []*tiercache.Cache[int]{newCache(b.T, b.node(), opts), newCache(b.T, b.node(), opts)}
		synctest.Wait()
		_, err := caches[0].GetOrLoad(bg, "k:1", value(1))
		require.NoError(b, err)
		time.Sleep(1500 * time.Millisecond)
		var running, most, loads atomic.Int64
		load := func(context.Context) (int, error) {
			loads.Add(1)
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			return 2, nil
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = caches[0].Refresh(bg, "k:1", load) })
		time.Sleep(600 * time.Millisecond) // X is gone
		for _, c := range caches {
			wg.Go(func() {
				v, err := c.GetOrLoad(bg, "k:1", load)
				assert.NoError(b, err)
				assert.Equal(b, 2, v)
			})
		}
		wg.Wait()
		assert.EqualValues(b, 1, most.Load(), "loads at a time, of %d", loads.Load())
		assert.EqualValues(b, 1, loads.Load())
	})
}

// refresh: reads X, half a second to live; loads for three seconds, fails; keeps X in
// memory for the half second that it had when it was read
func TestALoadThatFailsDoesNotLengthenTheLifeOfWhatItWasToReplace(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers := b.node()
		hear(b.T, tiers)
		cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: 2 * time.Second, Jitter: -1})
		_, err := cache.GetOrLoad(bg, "k:1", value(1))
		require.NoError(b, err)
		time.Sleep(1500 * time.Millisecond)
		_, err = cache.Refresh(bg, "k:1", func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 0, errSource })
		require.Equal(b, errSource, err)
		v, err := cache.GetOrLoad(bg, "k:1", value(2))
		require.NoError(b, err)
		assert.Equal(b, 2, v, "2.5 s past its TTL, without StaleFor")
		assert.Zero(b, cache.Stats().StaleHits)
	})
}

// The same past the TTL: StaleFor and the age begin anew at the end of the load.
func TestALoadThatFailsDoesNotLengthenStaleFor(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		opts := tiercache.Options[int]{TTL: time.Second, StaleFor: 5 * time.Second, Jitter: -1}
		tiers := b.node()
		hear(b.T, tiers)
		cache := newCache(b.T, tiers, opts)
		_, err := cache.GetOrLoad(bg, "k:1", value(1))
		require.NoError(b, err)
		time.Sleep(5500 * time.Millisecond) // half a second left
		_, _ = cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 0, errSource })
		_, err = cache.GetOrLoad(bg, "k:1", failing)
		assert.Equal(b, errSource, err, "StaleFor ended 2.5 s ago")
	})
}
