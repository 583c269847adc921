package tiercache_test

import (
	"context"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

func TestTwoHundredColdKeysWithinTwoMillisecondsAreAtMostThreeCalls(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		var n numbers
		loader, err := tiercache.NewBatchLoader(n.load, tiercache.BatchOptions{})
		require.NoError(b, err)
		var wg sync.WaitGroup
		for i := range 200 {
			key := "k" + strconv.Itoa(i)
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Microsecond)
				v, err := cache.GetOrLoad(bg, key, loader.Load(key))
				assert.NoError(b, err)
				assert.Equal(b, i, v)
			})
		}
		wg.Wait()
		assert.LessOrEqual(b, len(n.calls), 3)
		assert.EqualValues(b, 200, cache.Stats().Loads)
	})
}

func TestABatchLoaderWorksWithoutACacheAndTellsEachKeyItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		loader, err := tiercache.NewBatchLoader(func(ctx context.Context, keys []string) (map[string]int, error) {
			calls.Add(1)
			_, ok := tiercache.Previous[int](ctx)
			assert.False(t, ok)
			return map[string]int{"a": 1}, tiercache.KeyErrors{"b": io.EOF}
		}, tiercache.BatchOptions{Window: time.Second, Limit: 10})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for key, want := range map[string]error{"a": nil, "b": io.EOF, "c": tiercache.ErrNotFound} {
			for range 2 {
				wg.Go(func() {
					v, err := loader.Load(key)(bg)
					assert.Equal(t, want, err)
					assert.Equal(t, key == "a", v == 1)
				})
			}
		}
		wg.Wait()
		assert.EqualValues(t, 1, calls.Load())
	})
}

func TestAPanicOfABatchIsAnErrorForEachAndNotAnAbsence(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		var broken atomic.Bool
		broken.Store(true)
		loader, err := tiercache.NewBatchLoader(func(_ context.Context, keys []string) (map[string]int, error) {
			if broken.Load() {
				panic(tiercache.ErrNotFound)
			}
			return numbered(keys), nil
		}, tiercache.BatchOptions{})
		require.NoError(b, err)
		var wg sync.WaitGroup
		for _, key := range manyKeys(0, 3) {
			wg.Go(func() {
				_, err := cache.GetOrLoad(bg, key, loader.Load(key))
				var p *tiercache.PanicError
				assert.ErrorAs(b, err, &p)
			})
		}
		wg.Wait()
		broken.Store(false)
		v, err := cache.GetOrLoad(bg, "k1", loader.Load("k1"))
		require.NoError(b, err)
		assert.Equal(b, 1, v)
	})
}

// What one of its keys replaces is not what the others do.
func TestALoaderOfManyHasNoPrevious(t *testing.T) {
	t.Parallel()
	inEveryStaleWorld(t, lasting(), func(b bubble, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		load := func(ctx context.Context, keys []string) (map[string]int, error) {
			_, ok := tiercache.Previous[int](ctx)
			assert.False(b, ok)
			return map[string]int{"k": 2}, nil
		}
		loader, err := tiercache.NewBatchLoader(load, tiercache.BatchOptions{})
		require.NoError(b, err)
		v, err := cache.GetOrLoad(bg, "k", loader.Load("k"))
		require.NoError(b, err)
		assert.Equal(b, 2, v)
	})
}

func TestABatchIsGivenUpWhenAllHaveLeft(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		ended := make(chan time.Duration, 1)
		began := time.Now()
		loader, err := tiercache.NewBatchLoader(func(ctx context.Context, _ []string) (map[string]int, error) {
			<-ctx.Done()
			ended <- time.Since(began)
			return nil, ctx.Err()
		}, tiercache.BatchOptions{})
		require.NoError(b, err)
		for i, key := range manyKeys(0, 3) {
			go func() {
				ctx, cancel := context.WithTimeout(bg, time.Duration(1+i)*time.Second)
				defer cancel()
				_, err := cache.GetOrLoad(ctx, key, loader.Load(key))
				assert.Equal(b, context.DeadlineExceeded, err)
				assert.Equal(b, time.Duration(1+i)*time.Second, time.Since(began))
			}()
		}
		assert.Equal(b, 3*time.Second, <-ended)
	})
}

func TestABatchLoaderThatMakesNoSenseIsAnErrorThatNamesTheField(t *testing.T) {
	t.Parallel()
	var n numbers
	for want, opts := range map[string]tiercache.BatchOptions{"Window": {Window: -1}, "Limit": {Limit: -1}} {
		_, err := tiercache.NewBatchLoader(n.load, opts)
		assert.ErrorContains(t, err, want)
	}
	_, err := tiercache.NewBatchLoader[int](nil, tiercache.BatchOptions{})
	assert.ErrorContains(t, err, "nil")
}
