package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
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
		got, err = caches[1].GetOrLoadMany(bg, keys, noneOf(t))
		require.NoError(t, err)
		assert.Equal(t, numbered(keys), got)
		assert.EqualValues(t, 300, caches[1].Stats().MemoryHits)
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
		assert.Equal(t, tiercache.KeyErrors{"k6": elsewhere}, err)
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
	_, err = cache.GetMany(nil, []string{"k1"}) //nolint:staticcheck // the error is what is tested
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

func TestTenThousandKeysInOneCall(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		keys := manyKeys(0, 10_000)
		var n numbers
		began := time.Now()
		got, err := cache.GetOrLoadMany(bg, keys, n.load)
		require.NoError(t, err)
		require.True(t, maps.Equal(numbered(keys), got))
		t.Log(time.Since(began), len(n.calls), cache.Stats())
		require.NoError(t, cache.SetMany(bg, got))
		t.Log(time.Since(began))
		got, err = cache.GetMany(bg, keys)
		require.NoError(t, err)
		assert.True(t, maps.Equal(numbered(keys), got), "%d", len(got))
		t.Log(time.Since(began), cache.Stats())
	})
}

var _ atomic.Int64
