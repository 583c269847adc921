package tiercache_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// Loads before expiry, in the place of a value that stands.

func TestAHotKeyNeverMissesAtItsExpiry(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		nodes := []*tiercache.Tiers{tiers}
		if tiers.Health().Mode != "memory" {
			nodes = append(nodes, b.node(), b.node())
		}
		var loads atomic.Int64
		done := make(chan *tiercache.Cache[int])
		for i, node := range nodes {
			cache := newCache(b.T, node, tiercache.Options[int]{TTL: 2 * time.Second, Jitter: -1})
			go func() {
				defer func() { done <- cache }()
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
				for range 10_000 { // ten seconds
					began := time.Now()
					_, err := cache.GetOrLoad(bg, "k:1", counted(&loads, func(context.Context) (int, error) {
						time.Sleep(20 * time.Millisecond)
						return 1, nil
					}))
					assert.NoError(b, err)
					if loads.Load() > 1 {
						assert.Less(b, time.Since(began), 20*time.Millisecond, "a reader waited for a load")
					}
					time.Sleep(time.Millisecond)
				}
			}()
		}
		for range nodes {
			s := (<-done).Stats()
			assert.LessOrEqual(b, s.Misses, int64(1), "the first")
		}
		assert.Greater(b, loads.Load(), int64(4))
		assert.Less(b, loads.Load(), int64(12), "one in the fleet for each life of the value")
	})
}

// refreshing leads a cache to where a refresh of "k:1" runs, and holds it there.
func refreshing(b bubble, tiers *tiercache.Tiers, cache *tiercache.Cache[int], v int) (goOn func()) {
	held, begun := make(chan struct{}), make(chan struct{}, 1)
	_, err := cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) { time.Sleep(100 * time.Millisecond); return 1, nil })
	require.NoError(b, err)
	if tiers.Health().Mode != "memory" {
		inMemory(b.T, cache, "k:1")
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, err := cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) {
			select {
			case begun <- struct{}{}:
			default:
			}
			<-held
			return v, nil
		})
		require.NoError(b, err)
		synctest.Wait()
		select {
		case <-begun:
			return func() { close(held) }
		default:
		}
		require.True(b, time.Now().Before(deadline), "nothing was refreshed")
		time.Sleep(time.Millisecond)
	}
}

// refresh: sees token X, loads old | invalidate, returns | (unfenced) refresh: writes old
func TestARefreshThatBeganBeforeAnInvalidationIsNotStored(t *testing.T) {
	t.Parallel()
	for name, inv := range invalidations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
				cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: 5 * time.Second, KeyPrefix: "k:"})
				goOn := refreshing(b, tiers, cache, 2)
				require.NoError(b, inv(tiers))
				goOn()
				synctest.Wait()
				_, ok, err := cache.Get(bg, "k:1")
				require.NoError(b, err)
				assert.False(b, ok)
				v, err := cache.GetOrLoad(bg, "k:1", value(3))
				require.NoError(b, err)
				assert.Equal(b, 3, v)
			})
		})
	}
}

// refresh: sees token X, loads old | another node: Set | (unfenced) refresh: writes old
func TestARefreshDoesNotReplaceWhatAnotherNodeHasSetMeanwhile(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers := b.node()
		synctest.Wait()
		opts := tiercache.Options[int]{TTL: 5 * time.Second}
		cache, other := newCache(b.T, tiers, opts), newCache(b.T, b.node(), opts)
		goOn := refreshing(b, tiers, cache, 2)
		require.NoError(b, other.Set(bg, "k:1", 3))
		goOn()
		synctest.Wait()
		for _, c := range []*tiercache.Cache[int]{cache, other} {
			v, err := c.GetOrLoad(bg, "k:1", value(4))
			require.NoError(b, err)
			assert.Equal(b, 3, v)
		}
	})
}

// refresh: sees token X, loads old | Expire: X' | (fenced by more than the token) refresh: writes old as fresh
func TestARefreshThatBeganBeforeAnExpireIsNotStored(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers, other := b.node(), b.node()
		synctest.Wait()
		cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: 5 * time.Second, StaleFor: time.Minute})
		goOn := refreshing(b, tiers, cache, 2)
		_, err := other.Expire(bg, tiercache.Key("k:1"))
		require.NoError(b, err)
		goOn()
		synctest.Wait()
		v, err := cache.GetOrLoad(bg, "k:1", value(3))
		require.NoError(b, err)
		assert.Equal(b, 3, v)
	})
}

func TestCloseEndsARefresh(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: 5 * time.Second})
		ended := make(chan error, 1)
		_, err := cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) { time.Sleep(time.Second); return 1, nil })
		require.NoError(b, err)
		for begun := false; !begun; time.Sleep(time.Millisecond) {
			_, err := cache.GetOrLoad(bg, "k:1", func(ctx context.Context) (int, error) {
				begun = true
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return 0, ctx.Err()
			})
			require.NoError(b, err)
			synctest.Wait()
		}
		require.NoError(b, tiers.Close())
		assert.ErrorIs(b, <-ended, tiercache.ErrClosed)
	})
}

// counting counts how often it encodes.
type counting struct{ appended *atomic.Int64 }

func (c counting) Append(dst []byte, v int) ([]byte, error) {
	c.appended.Add(1)
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

func (counting) Decode(src []byte) (v int, err error) { err = json.Unmarshal(src, &v); return v, err }

func TestWhatHasNotChangedLivesOnInEveryTierAndIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		codec := counting{new(atomic.Int64)}
		opts := lasting()
		opts.Codec, opts.Tags = codec, func(int) []string { return []string{"t"} }
		tiers := b.node()
		cache := newCache(b.T, tiers, opts)
		_, err := cache.GetOrLoad(bg, "k:1", value(41))
		require.NoError(b, err)
		time.Sleep(1500 * time.Millisecond)
		before, err := b.mini.Get("t:k:1")
		require.NoError(b, err)
		v, err := cache.GetOrLoad(bg, "k:1", func(ctx context.Context) (int, error) {
			old, ok := tiercache.Previous[int](ctx)
			assert.True(b, ok)
			assert.Equal(b, 41, old.Value)
			assert.True(b, old.Stale)
			assert.InDelta(b, 1500*time.Millisecond, old.Age, float64(50*time.Millisecond))
			_, ok = tiercache.Previous[string](ctx)
			assert.False(b, ok, "of another type")
			return 0, tiercache.ErrNotModified
		})
		require.NoError(b, err)
		assert.Equal(b, 41, v)
		assert.EqualValues(b, 1, codec.appended.Load(), "the first time")
		after, err := b.mini.Get("t:k:1")
		require.NoError(b, err)
		assert.Len(b, after, len(before))
		assert.NotEqual(b, before, after)
		assert.Equal(b, before[len(before)-2:], after[len(after)-2:])
		assert.Greater(b, b.mini.TTL("t:k:1"), time.Minute)
		for _, c := range []*tiercache.Cache[int]{cache, newCache(b.T, b.node(), opts)} {
			e, ok, err := c.Lookup(bg, "k:1")
			require.NoError(b, err)
			assert.True(b, ok)
			assert.Equal(b, 41, e.Value)
			assert.False(b, e.Stale)
			assert.Less(b, e.Age, 100*time.Millisecond)
		}
		s := cache.Stats()
		assert.EqualValues(b, 1, s.Unmodified)
		assert.Zero(b, s.LoadErrors)
		_, err = tiers.Invalidate(bg, tiercache.Tag("t"))
		require.NoError(b, err)
		_, ok, err := cache.Get(bg, "k:1")
		require.NoError(b, err)
		assert.False(b, ok, "its tags live on too")
	})
}

func TestNotModifiedWithoutAPreviousValueIsAnError(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, lasting())
		_, err := cache.GetOrLoad(bg, "k:1", func(ctx context.Context) (int, error) {
			_, ok := tiercache.Previous[int](ctx)
			assert.False(b, ok)
			return 0, tiercache.ErrNotModified
		})
		assert.Equal(b, tiercache.ErrNotModified, err)
		_, ok := tiercache.Previous[int](bg)
		assert.False(b, ok)
	})
}

func TestNotModifiedWithoutRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, open(t, tiercache.Config{}), lasting())
		_, err := cache.GetOrLoad(bg, "k:1", value(1))
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		v, err := cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) { return 0, tiercache.ErrNotModified })
		require.NoError(t, err)
		assert.Equal(t, 1, v)
		e, ok, err := cache.Lookup(bg, "k:1")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.False(t, e.Stale)
	})
}

func TestAValueThatIsTooLargeIsReturnedAndNotStored(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, _ *tiercache.Tiers) {
		for _, remote := range []bool{false, true} {
			cfg := tiercache.Config{LargestValue: 1000}
			if remote {
				cfg = patient(b.client())
				cfg.LargestValue = 1000
			}
			cache := newCache(b.T, open(b.T, cfg), tiercache.Options[string]{})
			long := strings.Repeat("x", 1001)
			for range 2 {
				v, err := cache.GetOrLoad(bg, "k:1", func(context.Context) (string, error) { return long, nil })
				require.NoError(b, err)
				assert.Equal(b, long, v)
			}
			assert.EqualValues(b, 2, cache.Stats().Loads)
			_, err := cache.GetOrLoad(bg, "k:1", func(context.Context) (string, error) { return long[:1000], nil })
			require.NoError(b, err)
			require.NoError(b, cache.Set(bg, "k:1", long))
			_, ok, err := cache.Get(bg, "k:1")
			require.NoError(b, err)
			assert.False(b, ok, "what was there is older than what was set")
			assert.EqualValues(b, 3, cache.Stats().TooLarge)
		}
	})
}
