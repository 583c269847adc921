package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// loadMany is a loader of many keys.
type loadMany = func(context.Context, []string) (map[string]int, error)

// numbers is a loader that gives each key its number, and asked the calls of it.
type numbers struct {
	mu    sync.Mutex // guards calls
	calls [][]string
}

func (n *numbers) load(_ context.Context, keys []string) (map[string]int, error) {
	n.mu.Lock()
	n.calls = append(n.calls, slices.Sorted(slices.Values(keys)))
	n.mu.Unlock()
	return numbered(keys), nil
}

func numbered(keys []string) map[string]int {
	out := make(map[string]int)
	for _, k := range keys {
		out[k] = number(k)
	}
	return out
}

// number is that at the end of a key of manyKeys.
func number(key string) int {
	n, _ := strconv.Atoi(key[1:])
	return n
}

func manyKeys(from, to int) (keys []string) {
	for i := from; i < to; i++ {
		keys = append(keys, fmt.Sprintf("k%d", i))
	}
	return keys
}

func noneOf(t *testing.T) loadMany {
	return func(_ context.Context, keys []string) (map[string]int, error) {
		t.Errorf("the loader was called with %v", keys)
		return nil, nil
	}
}

func TestManyKeysAreLoadedByOneCallAndServedByMemory(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		var n numbers
		keys := manyKeys(0, 100)
		got, err := cache.GetOrLoadMany(bg, append(keys, keys[:10]...), n.load)
		require.NoError(t, err)
		assert.Equal(t, numbered(keys), got)
		require.Len(t, n.calls, 1)
		assert.Equal(t, slices.Sorted(slices.Values(keys)), n.calls[0], "each once")
		s := cache.Stats()
		assert.EqualValues(t, 100, s.Misses)
		assert.EqualValues(t, 100, s.Loads)
		identitiesHold(t, s)

		got, err = cache.GetMany(bg, append(keys, keys[:10]...))
		require.NoError(t, err)
		assert.Equal(t, numbered(keys), got)
		s = cache.Stats()
		assert.EqualValues(t, 100, s.MemoryHits+s.RedisHits, "each counts once")
		for _, k := range keys {
			v, err := cache.GetOrLoad(bg, k, unwanted[int](t))
			require.NoError(t, err)
			require.Equal(t, number(k), v)
		}
	})
}

func TestManyKeysAreReadFromRedisAtOnce(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		nodes, caches := pair(t, addr, tiercache.Options[int]{})
		hear(t, nodes[:]...)
		keys := manyKeys(0, 300)
		_, err := caches[0].GetOrLoadMany(bg, keys, new(numbers).load)
		require.NoError(t, err)
		got, err := caches[1].GetOrLoadMany(bg, keys, noneOf(t))
		require.NoError(t, err)
		assert.Equal(t, numbered(keys), got)
		assert.EqualValues(t, 300, caches[1].Stats().RedisHits)
		soon(t, "memory has them all, when the pushes of the fills are over", func() bool {
			before := caches[1].Stats().MemoryHits
			got, err := caches[1].GetOrLoadMany(bg, keys, noneOf(t))
			require.NoError(t, err)
			require.Equal(t, numbered(keys), got)
			return caches[1].Stats().MemoryHits == before+300
		})
	})
}

func TestWhatIsMissingIsLoadedAndTheRestIsNot(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		require.NoError(t, cache.SetMany(bg, numbered(manyKeys(0, 50))))
		var n numbers
		got, err := cache.GetOrLoadMany(bg, manyKeys(25, 75), n.load)
		require.NoError(t, err)
		assert.Equal(t, numbered(manyKeys(25, 75)), got)
		assert.Equal(t, [][]string{manyKeys(50, 75)}, n.calls)
		got, err = cache.GetMany(bg, manyKeys(60, 90))
		require.NoError(t, err)
		assert.Equal(t, numbered(manyKeys(60, 75)), got)
		require.NoError(t, cache.Delete(bg, manyKeys(0, 74)...))
		got, err = cache.GetMany(bg, manyKeys(0, 100))
		require.NoError(t, err)
		assert.Equal(t, numbered(manyKeys(74, 75)), got)
	})
}

func TestAKeyThatTheMapLacksIsAbsentAndOneThatItHasBesideIsIgnored(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		got, err := cache.GetOrLoadMany(bg, manyKeys(0, 4), func(context.Context, []string) (map[string]int, error) {
			return numbered(append(manyKeys(0, 2), "k9")), nil
		})
		require.NoError(t, err)
		assert.Equal(t, numbered(manyKeys(0, 2)), got)
		_, err = cache.GetOrLoad(bg, "k3", unwanted[int](t))
		assert.ErrorIs(t, err, tiercache.ErrNotFound)
		got, err = cache.GetOrLoadMany(bg, append(manyKeys(0, 4), manyKeys(0, 4)...), noneOf(t))
		require.NoError(t, err)
		assert.Equal(t, numbered(manyKeys(0, 2)), got)
		assert.EqualValues(t, 3, cache.Stats().AbsentHits)
		_, ok, err := cache.Get(bg, "k9")
		require.NoError(t, err)
		assert.False(t, ok)
	})
}

var errBroken = errors.New("broken")

func TestAnErrorOfTheLoaderIsThatOfEveryKeyAndKeyErrorsThoseOfSome(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		require.NoError(t, cache.Set(bg, "k0", 0))
		fails := func(context.Context, []string) (map[string]int, error) { return nil, errBroken }
		got, err := cache.GetOrLoadMany(bg, manyKeys(0, 3), fails)
		assert.Equal(t, map[string]int{"k0": 0}, got)
		assert.ErrorIs(t, err, errBroken)
		assert.Equal(t, tiercache.KeyErrors{"k1": errBroken, "k2": errBroken}, err)
		assert.EqualError(t, err, `tiercache: 2 keys failed, the first is "k1": broken`)

		got, err = cache.GetOrLoadMany(bg, manyKeys(0, 5), func(context.Context, []string) (map[string]int, error) {
			return numbered([]string{"k1"}), fmt.Errorf("shard 3: %w", tiercache.KeyErrors{"k2": io.EOF, "k3": tiercache.ErrNotFound})
		})
		assert.Equal(t, numbered(manyKeys(0, 2)), got)
		assert.Equal(t, tiercache.KeyErrors{"k2": io.EOF}, err, "k3 and k4 are absent")
		assert.ErrorIs(t, err, io.EOF)

		var n numbers
		got, err = cache.GetOrLoadMany(bg, manyKeys(0, 5), n.load)
		require.NoError(t, err)
		assert.Equal(t, numbered(manyKeys(0, 3)), got)
		assert.Equal(t, [][]string{{"k2"}}, n.calls, "an error is not cached, an absence is")

		// KeyErrors from elsewhere, passed on: nothing says that k6 is absent.
		elsewhere := tiercache.KeyErrors{"other": io.EOF}
		got, err = cache.GetOrLoadMany(bg, []string{"k6"}, func(context.Context, []string) (map[string]int, error) { return nil, elsewhere })
		assert.Empty(t, got)
		assert.EqualError(t, err, `tiercache: key "k6" failed: `+elsewhere.Error())
		named, some := errors.AsType[tiercache.KeyErrors](err.(tiercache.KeyErrors)["k6"])
		assert.True(t, some)
		assert.Equal(t, elsewhere, named)
		assert.ErrorIs(t, err, io.EOF)
	})
}

func TestBadInputOfACallForManyIsAnErrorThatNamesItAndNothingIsDone(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	cache := newCache(t, tiers, tiercache.Options[int]{KeyPrefix: "k"})
	var n numbers
	for bad, want := range map[string]string{"": "empty", "~x": `"~x"`, "other": `"other"`} {
		_, err := cache.GetOrLoadMany(bg, []string{"k1", bad}, n.load)
		assert.ErrorContains(t, err, want)
		_, err = cache.GetMany(bg, []string{"k1", bad})
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, cache.SetMany(bg, map[string]int{"k1": 1, bad: 2}), want)
	}
	_, err := cache.GetOrLoadMany(bg, []string{"k1"}, n.load, tiercache.Also("k2"))
	assert.ErrorContains(t, err, "Also")
	assert.ErrorContains(t, cache.SetMany(bg, map[string]int{"k1": 1}, tiercache.Also("k2")), "Also")
	_, err = cache.GetOrLoadMany(bg, []string{"k1"}, n.load, tiercache.WithTags(""))
	assert.ErrorContains(t, err, "tag")
	_, err = cache.GetOrLoadMany(bg, []string{"k1"}, nil)
	assert.ErrorContains(t, err, "nil")
	var none context.Context
	_, err = cache.GetMany(none, []string{"k1"})
	assert.ErrorContains(t, err, "context")
	assert.Empty(t, n.calls)
	got, err := cache.GetMany(bg, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{}, got)
	_, ok, err := cache.Get(bg, "k1")
	require.NoError(t, err)
	assert.False(t, ok, "nothing was set")

	require.NoError(t, tiers.Close())
	_, err = cache.GetOrLoadMany(bg, []string{"k1"}, n.load)
	assert.Equal(t, tiercache.ErrClosed, err)
	_, err = cache.GetMany(bg, nil)
	assert.Equal(t, tiercache.ErrClosed, err)
	assert.Equal(t, tiercache.ErrClosed, cache.SetMany(bg, nil))
}

func TestThreeThousandKeysInOneCallAreLoadedAThousandAtATime(t *testing.T) {
	t.Parallel()
	all := func(t *testing.T, cache *tiercache.Cache[int]) {
		keys := manyKeys(0, 3_000)
		var n numbers
		got, err := cache.GetOrLoadMany(bg, keys, n.load)
		require.NoError(t, err)
		require.True(t, maps.Equal(numbered(keys), got), "%d keys", len(got))
		assert.Len(t, n.calls, 3)
		got, err = cache.GetMany(bg, keys)
		require.NoError(t, err)
		assert.True(t, maps.Equal(numbered(keys), got), "%d keys", len(got))
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		all(t, newCache(t, open(t, tiercache.Config{}), tiercache.Options[int]{LoadTimeout: time.Minute}))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		tiers := open(t, patient(redistest.Start(t).Client()))
		all(t, newCache(t, tiers, tiercache.Options[int]{LoadTimeout: time.Minute}))
	})
}

func TestManyKeysOfAClusterAreReadAndWrittenInAllItsParts(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	keys := manyKeys(0, 300)
	for i := range 2 { // the second node finds what the first has stored
		cache := newCache(t, open(t, patient(c.Client())), tiercache.Options[int]{})
		var n numbers
		got, err := cache.GetOrLoadMany(bg, keys, n.load)
		require.NoError(t, err)
		assert.Equal(t, numbered(keys), got)
		assert.Len(t, n.calls, 1-i)
		if i == 1 {
			assert.EqualValues(t, 300, cache.Stats().RedisHits)
			require.NoError(t, cache.SetMany(bg, numbered(manyKeys(300, 500))))
			got, err = cache.GetMany(bg, manyKeys(0, 500))
			require.NoError(t, err)
			assert.Equal(t, numbered(manyKeys(0, 500)), got)
			require.NoError(t, cache.Delete(bg, manyKeys(0, 499)...))
			got, err = cache.GetMany(bg, manyKeys(0, 500))
			require.NoError(t, err)
			assert.Equal(t, numbered(manyKeys(499, 500)), got)
		}
	}
}

func TestManyKeysOfAMemoryOnlyCache(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		tiers := open(t, patient(client(t, addr)))
		hear(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[int]{MemoryOnly: true})
		var n numbers
		for range 2 {
			got, err := cache.GetOrLoadMany(bg, manyKeys(0, 50), n.load, tiercache.WithTags("red"))
			require.NoError(t, err)
			assert.Equal(t, numbered(manyKeys(0, 50)), got)
			soon(t, "memory has them", func() bool {
				got, err := cache.GetMany(bg, manyKeys(0, 50))
				require.NoError(t, err)
				return len(got) == 50
			})
		}
		assert.Len(t, n.calls, 1)
		void(t, tiers, "red")
		got, err := cache.GetMany(bg, manyKeys(0, 50))
		require.NoError(t, err)
		assert.Empty(t, got)
	})
}

func TestOptionsOfACallAreForEachOfItsKeys(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{Jitter: -1})
		keys := manyKeys(0, 5)
		var n numbers
		_, err := cache.GetOrLoadMany(bg, keys, n.load, tiercache.WithTTL(time.Second), tiercache.WithTags("red"))
		require.NoError(b, err)
		require.NoError(b, cache.SetMany(bg, map[string]int{"k5": 5, "k6": 6}, tiercache.WithTTL(time.Minute), tiercache.WithTags("red")))
		have := func(n int) {
			b.Helper()
			got, err := cache.GetMany(bg, manyKeys(0, 7))
			require.NoError(b, err)
			assert.Len(b, got, n)
		}
		have(7)
		time.Sleep(2 * time.Second)
		have(2)
		void(b.T, tiers, "red")
		have(0)
	})
}

func TestEveryCallForManyHasClonesOfItsOwn(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[[]int]{Clone: slices.Clone[[]int]})
		mine := []int{1}
		require.NoError(t, cache.SetMany(bg, map[string][]int{"set": mine}))
		mine[0] = 2
		for range 3 {
			got, err := cache.GetOrLoadMany(bg, []string{"set", "loaded"}, func(_ context.Context, keys []string) (map[string][]int, error) {
				assert.Equal(t, []string{"loaded"}, keys)
				return map[string][]int{"loaded": {1}}, nil
			})
			require.NoError(t, err)
			assert.Equal(t, map[string][]int{"set": {1}, "loaded": {1}}, got)
			got["set"][0], got["loaded"][0] = 3, 3
		}
	})
}

func TestAFrozenRedisCostsACallForManyAsMuchAsOneForOneKey(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	cfg := hasty(client(t, s.Addr()))
	cfg.ReadTimeout = 2 * time.Second
	tiers := open(t, cfg)
	hear(t, tiers)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	s.Pause()
	began := time.Now()
	var n numbers
	got, err := cache.GetOrLoadMany(bg, manyKeys(0, 200), n.load, tiercache.Fresh())
	require.NoError(t, err)
	assert.Equal(t, numbered(manyKeys(0, 200)), got)
	assert.Len(t, n.calls, 1)
	assert.Less(t, time.Since(began), 20*time.Second, "of 400 in budgets")
	s.Resume()
}

func TestWhatNobodyCanEncodeIsAnErrorOfItsKeyAndTheOthersAreSet(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[float64]{})
		err := cache.SetMany(bg, map[string]float64{"a": 1, "b": math.NaN()})
		var failed tiercache.KeyErrors
		require.ErrorAs(t, err, &failed)
		assert.Len(t, failed, 1)
		assert.ErrorContains(t, failed["b"], "NaN")
		got, err := cache.GetMany(bg, []string{"a", "b"})
		require.NoError(t, err)
		assert.Equal(t, map[string]float64{"a": 1}, got)
	})
}

func TestManyMemoryHitsAllocateTheMapAndLittleElse(t *testing.T) {
	cache := newCache(t, open(t, tiercache.Config{}), tiercache.Options[int]{})
	keys := manyKeys(0, 100)
	require.NoError(t, cache.SetMany(bg, numbered(keys)))
	var out map[string]int
	plain := testing.AllocsPerRun(1000, func() {
		out = make(map[string]int, len(keys))
		for _, k := range keys { // what a hit allocates under the race detector is not ours
			out[k], _, _ = cache.Get(bg, k)
		}
	})
	var n numbers
	load := n.load
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { out, _ = cache.GetMany(bg, keys) }), plain+5)
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { out, _ = cache.GetOrLoadMany(bg, keys, load) }), plain+5)
	assert.Len(t, out, 100)
}
