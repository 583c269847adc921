package tiercache_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// How long values live, whose they are, and under which keys.

// servedFor tells how long Get serves what store has stored.
func servedFor(b bubble, cache *tiercache.Cache[int], store func()) time.Duration {
	b.Helper()
	store()
	began := time.Now()
	for {
		if _, ok, err := cache.Get(bg, "k"); !ok {
			require.NoError(b, err)
			return time.Since(began)
		}
		require.Less(b, time.Since(began), time.Hour)
		time.Sleep(100 * time.Millisecond)
	}
}

func TestAValueIsServedForItsTTL(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		opts tiercache.Options[int]
		call []tiercache.CallOption
		want time.Duration
	}{
		"Options.TTL":  {tiercache.Options[int]{TTL: 20 * time.Second}, nil, 20 * time.Second},
		"WithTTL":      {tiercache.Options[int]{TTL: time.Hour}, []tiercache.CallOption{tiercache.WithTTL(7 * time.Second)}, 7 * time.Second},
		"WithTTL of 0": {tiercache.Options[int]{TTL: 7 * time.Second}, []tiercache.CallOption{tiercache.WithTTL(0)}, 7 * time.Second},
		"TTLOf":        {tiercache.Options[int]{TTLOf: func(v int) time.Duration { return time.Duration(v) * time.Second }}, []tiercache.CallOption{tiercache.WithTTL(time.Minute)}, 9 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
				c := c
				c.opts.Jitter = -1
				cache := newCache(b.T, tiers, c.opts)
				assert.Equal(b, c.want, servedFor(b, cache, func() { require.NoError(b, cache.Set(bg, "k", 9, c.call...)) }), "Set")
				assert.Equal(b, c.want, servedFor(b, cache, func() {
					_, err := cache.GetOrLoad(bg, "k", value(9), c.call...)
					require.NoError(b, err)
				}), "GetOrLoad")
			})
		})
	}
}

// The TTL counts from the end of the load, however long that took.
func TestASlowLoadDoesNotShortenTheTTL(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: 2 * time.Second, Jitter: -1})
		assert.Equal(b, 2*time.Second, servedFor(b, cache, func() {
			_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) { time.Sleep(4 * time.Second); return 1, nil })
			require.NoError(b, err)
		}))
	})
}

func TestAValueThatMayNotBeStoredIsReturnedAndNotStored(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{TTLOf: func(v int) time.Duration { return time.Duration(v) * time.Hour }})
		for _, v := range []int{0, -1} {
			got, err := cache.GetOrLoad(bg, "k", value(v))
			require.NoError(t, err)
			require.Equal(t, v, got)
			_, ok, err := cache.Get(bg, "k")
			require.NoError(t, err)
			require.False(t, ok)

			require.NoError(t, cache.Set(bg, "s", 1))
			require.NoError(t, cache.Set(bg, "s", v))
			_, ok, err = cache.Get(bg, "s")
			require.NoError(t, err)
			require.False(t, ok, "what is there is older than what may not be stored")
		}
		assert.Zero(t, cache.Stats().FillsRefused)
	})
}

func TestMemoryTTLSendsReadersToRedis(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache := b.cache(tiercache.Options[int]{MemoryTTL: time.Second})
		require.NoError(b, cache.Set(bg, "k", 1))
		for range 3 {
			time.Sleep(time.Second - time.Millisecond)
			_, ok, err := cache.Get(bg, "k") // it does not refresh
			require.NoError(b, err)
			require.True(b, ok)
			time.Sleep(time.Millisecond)
			_, ok, err = cache.Get(bg, "k")
			require.NoError(b, err)
			require.True(b, ok)
		}
		assert.EqualValues(b, 3, cache.Stats().MemoryHits)
		assert.EqualValues(b, 3, cache.Stats().RedisHits)
	})
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, open(t, tiercache.Config{}), tiercache.Options[int]{MemoryTTL: time.Second, Jitter: -1})
		require.NoError(t, cache.Set(bg, "k", 1))
		time.Sleep(time.Second)
		_, ok, err := cache.Get(bg, "k")
		require.NoError(t, err)
		assert.False(t, ok)
	})
}

func TestWhatAnotherNodeSetsArrivesLongBeforeTheTTL(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache, other := b.cache(tiercache.Options[int]{}), b.cache(tiercache.Options[int]{})
		synctest.Wait()
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		inMemory(b.T, cache, "k")
		require.NoError(b, other.Set(bg, "k", 2))
		synctest.Wait() // all that is on its way has arrived, and no time has passed
		v, _, err := cache.Get(bg, "k")
		require.NoError(b, err)
		assert.Equal(b, 2, v)
	})
}

func TestAValueReadLateFromRedisLivesNoLonger(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		writer, reader := b.cache(tiercache.Options[int]{TTL: 10 * time.Second}), b.cache(tiercache.Options[int]{TTL: time.Hour})
		require.NoError(b, writer.Set(bg, "k", 1))
		time.Sleep(9 * time.Second)
		assert.Equal(b, time.Second, servedFor(b, reader, func() {}))
		assert.Greater(b, reader.Stats().MemoryHits, int64(5))
	})
}

func TestJitterShortensWithinItsBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ jitter, most float64 }{"default": {0, 0.1}, "half": {0.5, 0.5}, "none": {-1, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b bubble) {
				cache := newCache(b.T, b.node(), tiercache.Options[int]{TTL: 1000 * time.Second, Jitter: c.jitter})
				seen := make(map[time.Duration]bool)
				var least time.Duration = 1000 * time.Second
				for i := range 200 {
					key := fmt.Sprint(i)
					require.NoError(b, cache.Set(bg, key, 1))
					ttl := b.mini.TTL("t:" + key)
					require.LessOrEqual(b, ttl, 1000*time.Second)
					require.GreaterOrEqual(b, ttl.Seconds(), 1000*(1-c.most)-0.001)
					seen[ttl] = true
					least = min(least, ttl)
				}
				if c.most > 0 {
					assert.Greater(b, len(seen), 150)
					assert.Less(b, least.Seconds(), 1000*(1-c.most*0.8), "spread over the whole range")
				} else {
					assert.Len(b, seen, 1)
				}
			})
		})
	}
}

func TestALifeBelowAMillisecondIsNoFailure(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "k", value(1), tiercache.WithTTL(time.Microsecond))
		require.NoError(t, err)
		require.NoError(t, cache.Set(bg, "k", 1, tiercache.WithTTL(time.Microsecond)))
		assert.Zero(t, cache.Stats().Errors)
	})
}

func TestCloneKeepsCallersApart(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[map[string]int]{Clone: maps.Clone[map[string]int]})
		want := map[string]int{"a": 1}
		spoil := func(m map[string]int) { m["a"], m["b"] = 99, 99 }
		get := func(opts ...tiercache.CallOption) map[string]int {
			m, err := cache.GetOrLoad(bg, "k", value(maps.Clone(want)), opts...)
			require.NoError(t, err)
			return m
		}
		for range 3 { // loaded, and from memory
			m := get()
			require.Equal(t, want, m)
			spoil(m)
		}
		require.Equal(t, want, get(tiercache.Fresh()))
		m, ok, err := cache.Get(bg, "k")
		require.NoError(t, err)
		require.True(t, ok)
		spoil(m)
		require.Equal(t, want, get())

		given := maps.Clone(want)
		require.NoError(t, cache.Set(bg, "k", given))
		spoil(given)
		require.Equal(t, want, get())
	})
}

func TestCostIsWhatAValueTakesOfTheBudget(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	plain := newCache(t, tiers, tiercache.Options[string]{Name: "plain"})
	big := newCache(t, tiers, tiercache.Options[string]{Name: "big", Cost: func(s string) int64 { return 1 << 20 }})
	require.NoError(t, plain.Set(bg, "a", strings.Repeat("x", 1000)))
	before := tiers.Stats().MemoryBytes
	assert.Greater(t, before, int64(1000))
	assert.Less(t, before, int64(2000))
	require.NoError(t, big.Set(bg, "b", "x"))
	assert.Greater(t, tiers.Stats().MemoryBytes-before, int64(1<<20))
	assert.Less(t, tiers.Stats().MemoryBytes-before, int64(1<<20+1000))
	require.NoError(t, big.Delete(bg, "b"))
	assert.Equal(t, before, tiers.Stats().MemoryBytes)

	for i := range 200 {
		require.NoError(t, big.Set(bg, fmt.Sprint(i), "x"))
	}
	s := tiers.Stats()
	assert.LessOrEqual(t, s.MemoryBytes, int64(64<<20), "the default budget")
	assert.Positive(t, s.MemoryEntries)
}

func TestAKeyThatMayNotBeIsAnErrorThatNamesIt(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[int]{KeyPrefix: "user:"})
		for key, why := range map[string]string{
			"":        "empty",
			"~clock":  "reserved",
			"order:1": `"order:1" does not begin with the KeyPrefix "user:"`,
			"user":    "KeyPrefix",
		} {
			uses := map[string]func() error{
				"GetOrLoad": func() error { _, err := cache.GetOrLoad(bg, key, unwanted[int](t)); return err },
				"Get":       func() error { _, _, err := cache.Get(bg, key); return err },
				"Set":       func() error { return cache.Set(bg, key, 1) },
				"Delete":    func() error { return cache.Delete(bg, "user:1", key) },
				"Also": func() error {
					_, err := cache.GetOrLoad(bg, "user:2", unwanted[int](t), tiercache.Also(key))
					return err
				},
				"Set with Also": func() error { return cache.Set(bg, "user:2", 1, tiercache.Also(key)) },
			}
			for name, use := range uses {
				err := use()
				require.ErrorContains(t, err, why, "%s of %q", name, key)
				require.ErrorContains(t, err, "tiercache: ", "%s of %q", name, key)
			}
		}
		_, err := tiers.Invalidate(bg, tiercache.Key("user:1"), tiercache.Pattern("~*"))
		require.ErrorContains(t, err, "reserved")
		_, err = tiers.Invalidate(bg, tiercache.Key("user:1"), tiercache.Pattern(""))
		require.ErrorContains(t, err, "empty")
		_, err = tiers.Invalidate(bg, tiercache.Pattern("user:*"), tiercache.Key("~"))
		require.ErrorContains(t, err, "reserved")
		s := tiers.Stats()
		assert.Zero(t, s.KeyInvalidations+s.PatternInvalidations, "a bad target, and nothing is done")
		assert.Zero(t, s.Total.Operations)
		_, err = cache.GetOrLoad(bg, "user:~", value(1))
		assert.NoError(t, err, "reserved only at the beginning")
	})
}

func TestAPatternDoesNotReachTheReservedKeys(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		require.NoError(t, raw.Set(bg, "t:~clock", "x", 0).Err())
		require.NoError(t, raw.Set(bg, "t:k", "x", 0).Err())
		cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
		for _, p := range []string{"*", "?*", "[~k]*", `\~*`} {
			_, err := cache.InvalidatePattern(bg, p)
			require.NoError(t, err)
		}
		assert.EqualValues(t, 1, raw.Exists(bg, "t:~clock").Val())
		assert.EqualValues(t, 0, raw.Exists(bg, "t:k").Val())
	})
}

func TestClearWithAPrefixOfGlobCharactersClearsThatPrefixOnly(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		odd := newCache(t, tiers, tiercache.Options[int]{Name: "odd", KeyPrefix: `[a]*?\:`})
		all := newCache(t, tiers, tiercache.Options[int]{Name: "all"})
		require.NoError(t, odd.Set(bg, `[a]*?\:1`, 1))
		require.NoError(t, all.Set(bg, "axy:1", 1))
		require.NoError(t, odd.Clear(bg))
		_, ok, err := odd.Get(bg, `[a]*?\:1`)
		require.NoError(t, err)
		assert.False(t, ok)
		_, ok, err = all.Get(bg, "axy:1")
		require.NoError(t, err)
		assert.True(t, ok)
	})
}

func TestForEverIsATTL(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{TTL: math.MaxInt64, Jitter: -1})
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(t, err)
		_, err = cache.GetOrLoad(bg, "k", unwanted[int](t))
		require.NoError(t, err)
		require.NoError(t, cache.Set(bg, "k", 2))
		v, err := cache.GetOrLoad(bg, "k", unwanted[int](t))
		require.NoError(t, err)
		assert.Equal(t, 2, v)
		assert.Zero(t, cache.Stats().Errors)
	})
}
