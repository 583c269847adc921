package tiercache_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// P11: nothing leaks. That no goroutine stays is TestMain's to tell, and in a
// bubble the bubble's.

func TestAfterCloseEverythingIsErrClosed(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[int]{})
		require.NoError(t, cache.Set(bg, "k", 1))
		_, err := cache.GetOrLoad(bg, "k", unwanted[int](t))
		require.NoError(t, err)
		require.NoError(t, tiers.Close())
		uses := map[string]func() error{
			"GetOrLoad":         func() error { _, err := cache.GetOrLoad(bg, "k", unwanted[int](t)); return err },
			"GetOrLoad, fresh":  func() error { _, err := cache.GetOrLoad(bg, "k", unwanted[int](t), tiercache.Fresh()); return err },
			"Get":               func() error { _, _, err := cache.Get(bg, "k"); return err },
			"Set":               func() error { return cache.Set(bg, "k", 2) },
			"Delete":            func() error { return cache.Delete(bg, "k") },
			"Delete of nothing": func() error { return cache.Delete(bg) },
			"InvalidatePattern": func() error { _, err := cache.InvalidatePattern(bg, "*"); return err },
			"SetMany":           func() error { return cache.SetMany(bg, map[string]int{"k": 2}) },
			"Clear":             func() error { return cache.Clear(bg) },
			"Invalidate":        func() error { _, err := tiers.Invalidate(bg, tiercache.Key("k")); return err },
			"New": func() error {
				_, err := tiercache.New(tiers, tiercache.Options[int]{Name: "late", TTL: time.Second})
				return err
			},
		}
		for name, use := range uses {
			assert.ErrorIs(t, use(), tiercache.ErrClosed, name)
		}
		assert.EqualValues(t, 1, tiers.Stats().Total.Operations, "a refused call is no operation")
		_ = tiers.Health()
		assert.NoError(t, tiers.Close())
	})
}

func TestCloseWhileEverythingRuns(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		for range 5 {
			tiers := open(t, config())
			cache := newCache(t, tiers, tiercache.Options[int]{})
			var wg, busy sync.WaitGroup
			for g := range 8 {
				busy.Add(1)
				wg.Go(func() {
					for i := 0; ; i++ {
						key := "k" + strconv.Itoa((g*31+i)%20)
						var err error
						switch (g + i) % 6 {
						case 0:
							err = cache.Set(bg, key, i)
						case 1:
							err = cache.Delete(bg, key)
						case 2:
							_, err = cache.InvalidatePattern(bg, "k1*")
						case 3:
							_, _, err = cache.Get(bg, key)
						default:
							_, err = cache.GetOrLoad(bg, key, value(i))
						}
						if err != nil {
							assert.ErrorIs(t, err, tiercache.ErrClosed)
							return
						}
						if i == 30 {
							busy.Done()
						}
					}
				})
			}
			busy.Wait()
			for range 3 {
				wg.Go(func() { assert.NoError(t, tiers.Close()) })
			}
			wg.Wait()
		}
	})
}

func TestCloseEndsLoadsAndTellsTheirCallers(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := cache.GetOrLoad(bg, "k"+strconv.Itoa(i%10), func(ctx context.Context) (int, error) {
					<-ctx.Done()
					assert.Equal(b, tiercache.ErrClosed, context.Cause(ctx))
					return 0, ctx.Err()
				})
				assert.Equal(b, tiercache.ErrClosed, err)
			})
		}
		synctest.Wait()
		require.NoError(b, tiers.Close())
		wg.Wait()
		assert.Zero(b, time.Since(began))
	})
}

func TestCloseDoesNotWaitForEverForALoaderThatIgnoresIt(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		goOn := make(chan struct{})
		got := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { <-goOn; return 1, nil })
			assert.Zero(b, time.Since(began), "the caller is free at once")
			got <- err
		}()
		synctest.Wait()
		err := tiers.Close()
		require.ErrorContains(b, err, "context: 1")
		assert.Equal(b, tiercache.ErrClosed, <-got)
		assert.Equal(b, 5*time.Second, time.Since(began))
		assert.Equal(b, err, tiers.Close(), "the second says the same")
		close(goOn)
	})
}

// A load given up at its LoadTimeout still runs, and Close knows of it.
func TestCloseWaitsForALoaderThatWasGivenUp(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{LoadTimeout: time.Second})
		began := time.Now()
		ended := false
		_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) {
			time.Sleep(3 * time.Second)
			ended = true
			return 1, nil
		})
		require.ErrorIs(b, err, context.DeadlineExceeded)
		require.NoError(b, tiers.Close())
		assert.True(b, ended)
		assert.Equal(b, 3*time.Second, time.Since(began))
	})
}

func TestCloseGivesLeasesBack(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers := b.node()
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		go func() {
			_, _ = cache.GetOrLoad(bg, "k", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		}()
		synctest.Wait()
		require.True(b, b.mini.Exists("t:k"))
		require.NoError(b, tiers.Close())
		assert.False(b, b.mini.Exists("t:k"), "or the fleet would wait 3 s for nobody")
	})
}

// a renewal is on its way | Close ends the load's context | the loader returns
// context.Canceled: its callers still learn that it was Close
func TestCloseAtTheMomentOfARenewalIsErrClosedToo(t *testing.T) {
	t.Parallel()
	for range 20 {
		inBubble(t, func(b bubble) {
			tiers := b.node()
			cache := newCache(b.T, tiers, tiercache.Options[int]{})
			got := make(chan error, 1)
			go func() {
				_, err := cache.GetOrLoad(bg, "k", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
				got <- err
			}()
			synctest.Wait()
			time.Sleep(time.Second)
			require.NoError(b, tiers.Close())
			require.Equal(b, tiercache.ErrClosed, <-got)
		})
	}
}
