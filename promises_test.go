package tiercache_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// P1: one load. P2: own context. P9: absent is an answer.

func TestAThousandCallersOfAColdKeyLoadOnce(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		var loads atomic.Int64
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				<-start
				v, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) {
					loads.Add(1)
					runtime.Gosched()
					return 7, nil
				})
				assert.NoError(t, err)
				assert.Equal(t, 7, v)
			})
		}
		close(start)
		wg.Wait()
		assert.EqualValues(t, 1, loads.Load())
	})
}

type contextKey struct{}

func TestALoadHasTheValuesOfItsCallersContextAndNotItsDeadline(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[string]{LoadTimeout: 3 * time.Second})
		ctx, cancel := context.WithTimeout(context.WithValue(bg, contextKey{}, "trace"), time.Second)
		defer cancel()
		v, err := cache.GetOrLoad(ctx, "k", func(ctx context.Context) (string, error) {
			end, ok := ctx.Deadline()
			assert.True(b, ok)
			assert.Equal(b, 3*time.Second, time.Until(end), "LoadTimeout, not the caller's second")
			return ctx.Value(contextKey{}).(string), nil
		})
		require.NoError(b, err)
		assert.Equal(b, "trace", v)
	})
}

func TestALoadEndsWhenItsLastWaiterHasLeft(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		began := time.Now()
		ended := make(chan time.Duration, 1)
		load := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			ended <- time.Since(began)
			return 0, ctx.Err()
		}
		for _, d := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second} {
			go func() {
				ctx, cancel := context.WithTimeout(bg, d)
				defer cancel()
				_, err := cache.GetOrLoad(ctx, "k", load)
				assert.Equal(b, context.DeadlineExceeded, err)
			}()
			synctest.Wait()
		}
		assert.Equal(b, 3*time.Second, <-ended)
		began = time.Now()
		v, err := cache.GetOrLoad(bg, "k", value(7))
		require.NoError(b, err)
		assert.Equal(b, 7, v, "an abandoned load is not joined")
		assert.Less(b, time.Since(began), 100*time.Millisecond, "and its lease was given back")
	})
}

func TestLoadTimeoutFreesEveryCaller(t *testing.T) {
	t.Parallel()
	loaders := map[string]func(goOn chan struct{}) func(context.Context) (int, error){
		"a loader that ignores its context": func(goOn chan struct{}) func(context.Context) (int, error) {
			return func(context.Context) (int, error) { <-goOn; return 1, nil }
		},
		"a loader that minds it": func(chan struct{}) func(context.Context) (int, error) {
			return func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		},
	}
	for name, loader := range loaders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
				cache := newCache(b.T, tiers, tiercache.Options[int]{LoadTimeout: 2 * time.Second})
				goOn := make(chan struct{})
				defer close(goOn)
				load, began := loader(goOn), time.Now()
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						_, err := cache.GetOrLoad(bg, "k", load)
						assert.Equal(b, 2*time.Second, time.Since(began))
						assert.ErrorIs(b, err, context.DeadlineExceeded)
						var timeout *tiercache.LoadTimeoutError
						if assert.ErrorAs(b, err, &timeout) {
							assert.Equal(b, "k", timeout.Key)
							assert.Equal(b, 2*time.Second, timeout.After)
						}
					})
					synctest.Wait()
				}
				wg.Wait()
				v, err := cache.GetOrLoad(bg, "k", value(7))
				require.NoError(b, err)
				assert.Equal(b, 7, v)
			})
		})
	}
}

// Which of two things that happen at one moment a caller hears of must not be
// left to chance.
func TestTheErrorOfALoadThatTimesOutIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{LoadTimeout: time.Second})
		for range 100 {
			_, err := cache.GetOrLoad(bg, "k", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
			var timeout *tiercache.LoadTimeoutError
			require.ErrorAs(b, err, &timeout)
		}
	})
}

func explode(cause any) (int, error) { panic(cause) }

func TestAPanicOfALoaderIsAnErrorWithItsStack(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		for _, cause := range []any{io.ErrUnexpectedEOF, "a string"} {
			goOn := make(chan struct{})
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { <-goOn; return explode(cause) })
					var p *tiercache.PanicError
					if assert.ErrorAs(b, err, &p) {
						assert.Equal(b, cause, p.Value)
						assert.Contains(b, string(p.Stack), "tiercache_test.explode")
						assert.Contains(b, err.Error(), fmt.Sprint(cause))
					}
					if e, ok := cause.(error); ok {
						assert.ErrorIs(b, err, e)
					}
				})
				synctest.Wait()
			}
			close(goOn)
			wg.Wait()
		}
		assert.EqualValues(b, 2, cache.Stats().Loads)
		began := time.Now()
		v, err := cache.GetOrLoad(bg, "k", value(7))
		require.NoError(b, err)
		assert.Equal(b, 7, v)
		assert.Zero(b, time.Since(began), "no lease stands in the way")
	})
}

type ownError struct{ detail string }

func (e *ownError) Error() string { return e.detail }

func TestALoadersErrorReachesEveryCallerAsItIs(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		for _, want := range []error{&ownError{"broken"}, fmt.Errorf("wrapped: %w", io.EOF), context.Canceled, context.DeadlineExceeded, fmt.Errorf("no row: %w", tiercache.ErrNotFound)} {
			goOn := make(chan struct{})
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { <-goOn; return 1, want })
					assert.True(b, err == want, "got %v, want %v itself", err, want)
				})
				synctest.Wait()
			}
			close(goOn)
			wg.Wait()
		}
	})
}

func TestAnErrorIsNeverCached(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		for i := range 3 {
			_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 1, fmt.Errorf("try %d", i) })
			require.EqualError(t, err, fmt.Sprintf("try %d", i))
			_, ok, err := cache.Get(bg, "k")
			require.NoError(t, err)
			require.False(t, ok)
		}
		v, err := cache.GetOrLoad(bg, "k", value(7))
		require.NoError(t, err)
		assert.Equal(t, 7, v)
		assert.EqualValues(t, 3, cache.Stats().LoadErrors)
		assert.EqualValues(t, 4, cache.Stats().Loads)
	})
}

func TestALoaderThatIsNilIsAnErrorAndNoCrash(t *testing.T) {
	t.Parallel()
	cache := newCache(t, open(t, tiercache.Config{}), tiercache.Options[int]{})
	_, err := cache.GetOrLoad(bg, "k", nil)
	require.Error(t, err)
}

func TestAbsenceIsCachedForNegativeTTL(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{
		"ErrNotFound": tiercache.ErrNotFound,
		"wrapped":     fmt.Errorf("user 42: %w", tiercache.ErrNotFound),
		"by NotFound": fmt.Errorf("user 42: %w", sql.ErrNoRows),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
				opts := tiercache.Options[int]{
					NegativeTTL: 2 * time.Second, Jitter: -1,
					NotFound: func(err error) bool { return errors.Is(err, sql.ErrNoRows) },
				}
				cache := newCache(b.T, tiers, opts)
				_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 1, answer })
				require.True(b, err == answer)
				for _, opt := range [][]tiercache.CallOption{nil, {tiercache.Fresh()}} {
					if opt != nil && tiers.Health().Mode == "memory" {
						continue // fresh is then a load
					}
					_, err = cache.GetOrLoad(bg, "k", unwanted[int](b.T), opt...)
					require.ErrorIs(b, err, tiercache.ErrNotFound)
					require.ErrorIs(b, err, sql.ErrNoRows, "what recognised the loader's error recognises this one")
					require.NotErrorIs(b, err, io.EOF)
				}
				_, ok, err := cache.Get(bg, "k")
				require.NoError(b, err)
				require.False(b, ok)
				time.Sleep(1500 * time.Millisecond) // later somebody may refresh it
				_, err = cache.GetOrLoad(bg, "k", unwanted[int](b.T))
				require.ErrorIs(b, err, tiercache.ErrNotFound)
				time.Sleep(500 * time.Millisecond)
				v, err := cache.GetOrLoad(bg, "k", value(7))
				require.NoError(b, err)
				require.Equal(b, 7, v)
				require.EqualValues(b, 2, cache.Stats().Loads)
				require.Zero(b, cache.Stats().LoadErrors, "not found is no failure")
			})
		})
	}
}

func TestAbsenceIsSharedByTheFleet(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		a := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
		b := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
		_, err := a.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 0, tiercache.ErrNotFound })
		require.ErrorIs(t, err, tiercache.ErrNotFound)
		_, err = b.GetOrLoad(bg, "k", unwanted[int](t))
		require.ErrorIs(t, err, tiercache.ErrNotFound)
		require.NotErrorIs(t, err, sql.ErrNoRows, "nobody asked for that")
		_, ok, err := b.Get(bg, "k")
		require.NoError(t, err)
		require.False(t, ok)
		assert.EqualValues(t, 2, b.Stats().AbsentHits)
		assert.EqualValues(t, 2, b.Stats().Hits)
	})
}

func TestANegativeNegativeTTLCachesNoAbsence(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{NegativeTTL: -1})
		for range 3 {
			_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 0, tiercache.ErrNotFound })
			require.ErrorIs(t, err, tiercache.ErrNotFound)
		}
		assert.EqualValues(t, 3, cache.Stats().Loads)
	})
}

func TestAnInsertShowsAtOnce(t *testing.T) {
	t.Parallel()
	inserts := map[string]func(*tiercache.Cache[string]) error{
		"Delete": func(c *tiercache.Cache[string]) error { return c.Delete(bg, "k") },
		"Set":    func(c *tiercache.Cache[string]) error { return c.Set(bg, "k", "new") },
		"pattern": func(c *tiercache.Cache[string]) error {
			_, err := c.InvalidatePattern(bg, "[k]")
			return err
		},
		"Clear": func(c *tiercache.Cache[string]) error { return c.Clear(bg) },
	}
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		for name, insert := range inserts {
			cache := newCache(t, open(t, config()), tiercache.Options[string]{Name: strings.ToLower(name)})
			_, err := cache.GetOrLoad(bg, "k", func(context.Context) (string, error) { return "", tiercache.ErrNotFound })
			require.ErrorIs(t, err, tiercache.ErrNotFound, name)
			require.NoError(t, insert(cache), name)
			v, err := cache.GetOrLoad(bg, "k", value("new"))
			require.NoError(t, err, name)
			require.Equal(t, "new", v, name)
			require.NoError(t, cache.Delete(bg, "k"))
		}
	})
}
