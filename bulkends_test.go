package tiercache_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// How loads of many keys end, and what is served past its TTL.

func TestAPanicOfALoaderOfManyIsTheErrorOfAllAndNotAnAbsence(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		keys := manyKeys(0, 3)
		got, err := cache.GetOrLoadMany(bg, keys, func(context.Context, []string) (map[string]int, error) { panic(tiercache.ErrNotFound) })
		assert.Empty(b, got)
		var p *tiercache.PanicError
		require.ErrorAs(b, err, &p)
		assert.Equal(b, tiercache.ErrNotFound, p.Value)
		_, err = cache.GetOrLoadMany(bg, keys, func(context.Context, []string) (map[string]int, error) { runtime.Goexit(); return nil, nil })
		assert.Equal(b, tiercache.KeyErrors{"k0": tiercache.ErrGoexit, "k1": tiercache.ErrGoexit, "k2": tiercache.ErrGoexit}, err)
		began := time.Now()
		got, err = cache.GetOrLoadMany(bg, keys, new(numbers).load)
		require.NoError(b, err)
		assert.Equal(b, numbered(keys), got)
		assert.Zero(b, time.Since(began), "no lease stands in the way")
	})
}

func TestWhoLeavesACallForManyEndsOnlyWhatNobodyElseWaitsFor(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		require.NoError(b, cache.Set(bg, "k9", 9))
		ended := make(chan error, 1)
		load := func(ctx context.Context, keys []string) (map[string]int, error) {
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
			ended <- ctx.Err()
			return numbered(keys), ctx.Err()
		}
		for _, others := range []int{1, 0} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				ctx, cancel := context.WithTimeout(bg, time.Second)
				defer cancel()
				got, err := cache.GetOrLoadMany(ctx, append(manyKeys(0, 3), "k9"), load)
				assert.Equal(b, map[string]int{"k9": 9}, got, "what is there")
				assert.ErrorIs(b, err, context.DeadlineExceeded)
				assert.Len(b, err, 3)
			}()
			synctest.Wait()
			for range others {
				v, err := cache.GetOrLoad(bg, "k1", unwanted[int](b.T))
				assert.NoError(b, err)
				assert.Equal(b, 1, v)
			}
			<-done
			if err := <-ended; others == 0 {
				assert.Equal(b, context.Canceled, err)
			} else {
				assert.NoError(b, err)
				require.NoError(b, cache.Delete(bg, manyKeys(0, 3)...))
			}
		}
	})
}

func TestLoadTimeoutFreesACallForMany(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{LoadTimeout: 2 * time.Second})
		goOn := make(chan struct{})
		defer close(goOn)
		began := time.Now()
		_, err := cache.GetOrLoadMany(bg, manyKeys(0, 3), func(context.Context, []string) (map[string]int, error) { <-goOn; return nil, nil })
		assert.Equal(b, 2*time.Second, time.Since(began))
		var timeout *tiercache.LoadTimeoutError
		require.ErrorAs(b, err, &timeout)
		assert.Equal(b, "k0", timeout.Key)
	})
}

func TestManyStaleValuesAreServedWhenTheirLoadFailsOrIsSlow(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]tiercache.Options[int]{
		"fails":   lasting(),
		"is slow": {TTL: time.Second, StaleFor: time.Minute, Jitter: -1, SoftTimeout: 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
				cache := newCache(b.T, tiers, opts)
				keys := manyKeys(0, 5)
				_, err := cache.GetOrLoadMany(bg, keys, new(numbers).load)
				require.NoError(b, err)
				time.Sleep(2 * time.Second)
				var calls atomic.Int64
				got, err := cache.GetOrLoadMany(bg, append(keys, "k5"), func(_ context.Context, keys []string) (map[string]int, error) {
					calls.Add(1)
					if name == "is slow" {
						time.Sleep(time.Second)
						return numbered(keys), nil
					}
					return nil, errSource
				})
				assert.EqualValues(b, 1, calls.Load())
				if name == "is slow" { // k5 has nothing to serve
					require.NoError(b, err)
					assert.Equal(b, numbered(manyKeys(0, 6)), got)
				} else {
					assert.Equal(b, tiercache.KeyErrors{"k5": errSource}, err)
					assert.Equal(b, numbered(keys), got)
				}
				assert.EqualValues(b, 5, cache.Stats().StaleHits)
				synctest.Wait()
			})
		})
	}
}

func TestManyValuesThatAreAboutToExpireAreLoadedInTheBackgroundByOneCall(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: 10 * time.Second, Jitter: -1})
		keys := manyKeys(0, 20)
		var calls, in atomic.Int64
		load := func(_ context.Context, keys []string) (map[string]int, error) {
			calls.Add(1)
			in.Add(int64(len(keys)))
			time.Sleep(100 * time.Millisecond)
			return numbered(keys), nil
		}
		_, err := cache.GetOrLoadMany(bg, keys, load)
		require.NoError(b, err)
		ends := time.Now().Add(10 * time.Second)
		for _, k := range keys {
			inMemory(b.T, cache, k)
		}
		time.Sleep(time.Until(ends) - time.Millisecond) // of a load of 100: nearly all are renewed
		began := time.Now()
		got, err := cache.GetOrLoadMany(bg, keys, load)
		require.NoError(b, err)
		assert.Equal(b, numbered(keys), got)
		assert.Zero(b, time.Since(began), "nobody waits")
		synctest.Wait()
		time.Sleep(time.Second)
		assert.LessOrEqual(b, calls.Load(), int64(2))
		assert.EqualValues(b, cache.Stats().Loads, in.Load())
		assert.Equal(b, cache.Stats().Loads, 20+cache.Stats().Refreshes)
		assert.Greater(b, cache.Stats().Refreshes, int64(10))
	})
}

func TestCloseEndsACallForMany(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		began, done := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := cache.GetOrLoadMany(bg, manyKeys(0, 3), func(ctx context.Context, _ []string) (map[string]int, error) {
				close(began)
				<-ctx.Done()
				return nil, ctx.Err()
			})
			done <- err
		}()
		<-began
		require.NoError(b, tiers.Close())
		assert.ErrorIs(b, <-done, tiercache.ErrClosed)
	})
}

// Else what was not read would pass for what is not there.
func TestWhoseContextHasEndedGetsItsErrorForEachKeyThatWasNotRead(t *testing.T) {
	t.Parallel()
	tiers := open(t, hasty(client(t, redistest.Start(t).Addr())))
	hear(t, tiers)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	ctx, cancel := context.WithCancel(bg)
	cancel()
	got, err := cache.GetMany(ctx, manyKeys(0, 2))
	assert.Empty(t, got)
	var failed tiercache.KeyErrors
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, tiercache.KeyErrors{"k0": context.Canceled, "k1": context.Canceled}, failed)
}

func TestALoaderOfManyMayChangeTheKeysThatItIsGiven(t *testing.T) {
	t.Parallel()
	cache := newCache(t, open(t, tiercache.Config{}), tiercache.Options[int]{})
	got, err := cache.GetOrLoadMany(bg, manyKeys(0, 3), func(_ context.Context, keys []string) (map[string]int, error) {
		values := make(map[string]int)
		for i, key := range keys {
			keys[i] = strings.TrimPrefix(key, "k") // ids, in place
			values[key] = 7
		}
		return values, nil
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"k0": 7, "k1": 7, "k2": 7}, got)
}

// k0: not found, and of k1 nothing is said
func TestThatOneKeyDoesNotExistSaysNothingOfAKeyThatFailed(t *testing.T) {
	t.Parallel()
	cache := newCache(t, open(t, tiercache.Config{}), tiercache.Options[int]{NotFound: func(err error) bool { return errors.Is(err, io.EOF) }})
	for _, absent := range []error{tiercache.ErrNotFound, io.EOF} {
		_, err := cache.GetOrLoadMany(bg, []string{"k0", "k1"}, func(context.Context, []string) (map[string]int, error) {
			return nil, tiercache.KeyErrors{"k0": absent}
		})
		failed, some := errors.AsType[tiercache.KeyErrors](err)
		require.True(t, some)
		assert.Len(t, failed, 1)
		require.Error(t, failed["k1"])
		assert.NotErrorIs(t, failed["k1"], tiercache.ErrNotFound)
		_, named := errors.AsType[tiercache.KeyErrors](failed["k1"])
		assert.True(t, named, "it is still seen what the loader gave")
	}
	v, err := cache.GetOrLoad(bg, "k1", value(1))
	require.NoError(t, err, "nor is it kept that it does not")
	assert.Equal(t, 1, v)
}

// Expire | loader of many: another key has not changed | (unguarded) this one is fresh again
func TestThatAnotherKeyHasNotChangedSaysNothingOfThisOne(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	cache := newCache(t, tiers, tiercache.Options[int]{StaleFor: time.Hour, ServeStale: func(error) bool { return false }})
	require.NoError(t, cache.Set(bg, "k", 1))
	_, err := tiers.Expire(bg, tiercache.Key("k"))
	require.NoError(t, err)
	elsewhere := tiercache.KeyErrors{"other": tiercache.ErrNotModified}
	_, err = cache.GetOrLoadMany(bg, []string{"k"}, func(context.Context, []string) (map[string]int, error) { return nil, elsewhere })
	require.Error(t, err)
	_, err = cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { return 0, elsewhere })
	require.Error(t, err)
	assert.Zero(t, cache.Stats().Unmodified)
}

type leaving struct{ asItIs }

func (leaving) Append(dst []byte, v string) ([]byte, error) {
	if v == "exit" {
		runtime.Goexit()
	}
	return append(dst, v...), nil
}

func TestAGoexitWhileManyAreSetIsTheErrorOfItsKey(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		hear(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[string]{Codec: leaving{}})
		err := cache.SetMany(bg, map[string]string{"a": "exit", "b": "exit", "c": "exit", "d": "new"})
		failed, some := errors.AsType[tiercache.KeyErrors](err)
		require.True(t, some)
		require.Len(t, failed, 3)
		assert.ErrorIs(t, failed["a"], tiercache.ErrGoexit)
		v, ok, err := cache.Get(bg, "d")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, "new", v)
	})
}
