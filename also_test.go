package tiercache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

func TestOneLoadServesAllItsKeys(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "id", value(7), tiercache.Also("email", "id", "email"), tiercache.Also("phone"))
		require.NoError(t, err)
		for _, key := range []string{"id", "email", "phone"} {
			v, err := cache.GetOrLoad(bg, key, unwanted[int](t))
			require.NoError(t, err)
			require.Equal(t, 7, v)
			inMemory(t, cache, key)
		}
		assert.EqualValues(t, 1, cache.Stats().Loads)

		require.NoError(t, cache.Delete(bg, "id"))
		_, ok, err := cache.Get(bg, "email")
		require.NoError(t, err)
		assert.True(t, ok, "invalidating one key says nothing about the other")
		_, ok, err = cache.Get(bg, "id")
		require.NoError(t, err)
		assert.False(t, ok)

		require.NoError(t, cache.Set(bg, "id", 8, tiercache.Also("email")))
		for _, key := range []string{"id", "email"} {
			v, err := cache.GetOrLoad(bg, key, unwanted[int](t))
			require.NoError(t, err)
			require.Equal(t, 8, v)
		}
	})
}

func TestAnotherNodeFindsEveryKeyOfALoad(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		a := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
		b := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
		_, err := a.GetOrLoad(bg, "id", value(7), tiercache.Also("email"))
		require.NoError(t, err)
		for _, key := range []string{"id", "email"} {
			v, err := b.GetOrLoad(bg, key, unwanted[int](t))
			require.NoError(t, err)
			require.Equal(t, 7, v)
		}
		assert.EqualValues(t, 2, b.Stats().RedisHits)
	})
}

// load of id and email runs | one of them invalidated | that one is not stored,
// the other is
func TestEachKeyOfALoadIsFilledOrRefusedByItself(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		for _, gone := range []string{"id", "email"} {
			cache := newCache(t, open(t, config()), tiercache.Options[int]{Name: gone})
			require.NoError(t, cache.Delete(bg, "id", "email"))
			_, err := cache.GetOrLoad(bg, "id", func(ctx context.Context) (int, error) { return 1, cache.Delete(ctx, gone) }, tiercache.Also("email"))
			require.NoError(t, err)
			for _, key := range []string{"id", "email"} {
				_, ok, err := cache.Get(bg, key)
				require.NoError(t, err)
				assert.Equal(t, key != gone, ok, "%s, with %s invalidated", key, gone)
			}
		}
	})
}

// A: load of E, also P | B: load of P, also E: neither waits for the other
func TestCrossedKeysOfTwoNodesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		load := func(context.Context) (int, error) { time.Sleep(time.Second); return 7, nil }
		caches := []*tiercache.Cache[int]{b.cache(tiercache.Options[int]{}), b.cache(tiercache.Options[int]{})}
		keys := []string{"E", "P"}
		began := time.Now()
		var wg sync.WaitGroup
		for i, cache := range caches {
			wg.Go(func() {
				v, err := cache.GetOrLoad(bg, keys[i], load, tiercache.Also(keys[1-i]))
				assert.NoError(b, err)
				assert.Equal(b, 7, v)
			})
		}
		wg.Wait()
		assert.LessOrEqual(b, time.Since(began), 2*time.Second+100*time.Millisecond)
		for _, cache := range caches {
			for _, key := range keys {
				_, err := cache.GetOrLoad(bg, key, unwanted[int](b.T))
				require.NoError(b, err)
			}
		}
	})
}

func TestCrossedKeysOfOneNodeDoNotDeadlock(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		keys := []string{"E", "P"}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := cache.GetOrLoad(bg, keys[i%2], func(context.Context) (int, error) { time.Sleep(time.Second); return 7, nil }, tiercache.Also(keys[1-i%2]))
				assert.NoError(b, err)
			})
		}
		wg.Wait()
		assert.LessOrEqual(b, cache.Stats().Loads, int64(2))
	})
}

// A: loads P | B: load of E, also P: ends, and leaves P to A
func TestAnExtraKeyThatAnotherNodeLoadsIsLeftAlone(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		a, other := b.cache(tiercache.Options[int]{}), b.cache(tiercache.Options[int]{})
		goOn, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_, err := a.GetOrLoad(bg, "P", func(context.Context) (int, error) { <-goOn; return 1, nil })
			assert.NoError(b, err)
		}()
		synctest.Wait()
		lease, err := b.mini.Get("t:P")
		require.NoError(b, err)
		began := time.Now()
		_, err = other.GetOrLoad(bg, "E", value(2), tiercache.Also("P"))
		require.NoError(b, err)
		assert.Zero(b, time.Since(began))
		now, err := b.mini.Get("t:P")
		require.NoError(b, err)
		assert.Equal(b, lease, now)
		close(goOn)
		<-done
		v, err := other.GetOrLoad(bg, "P", unwanted[int](b.T))
		require.NoError(b, err)
		assert.Equal(b, 1, v, "A's, that nobody invalidated")
	})
}

func TestAnExtraKeyThatHasAValueKeepsIt(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "email", value(1))
		require.NoError(t, err)
		_, err = cache.GetOrLoad(bg, "id", value(2), tiercache.Also("email"))
		require.NoError(t, err)
		v, err := cache.GetOrLoad(bg, "email", unwanted[int](t), tiercache.Fresh())
		require.NoError(t, err)
		assert.Equal(t, 1, v)
	})
}

func TestAbsenceIsKnownUnderAllKeysOfTheLoad(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "id", func(context.Context) (int, error) { return 0, tiercache.ErrNotFound }, tiercache.Also("email"))
		require.ErrorIs(t, err, tiercache.ErrNotFound)
		_, err = cache.GetOrLoad(bg, "email", unwanted[int](t))
		require.ErrorIs(t, err, tiercache.ErrNotFound)
	})
}
