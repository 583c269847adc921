package tiercache_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// since are the misses since earlier: cold, expired, invalidated, evicted, refused.
func since(s, earlier tiercache.CacheStats) [5]int64 {
	d := s.Sub(earlier)
	return [5]int64{d.ColdMisses, d.ExpiredMisses, d.InvalidatedMisses, d.EvictedMisses, d.RefusedMisses}
}

func TestWhatRedisHasAndIsNoAnswerSaysWhyAnOperationMisses(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		for name, tc := range map[string]struct {
			before func(other *tiercache.Tiers, theirs *tiercache.Cache[thing]) // "k" is stored by the other node
			want   [5]int64
		}{
			"bytes of nobody": {func(*tiercache.Tiers, *tiercache.Cache[thing]) {
				require.NoError(t, raw.Set(bg, "t:k", "something", 0).Err())
			}, [5]int64{4: 1}},
			"a dead tag": {func(other *tiercache.Tiers, _ *tiercache.Cache[thing]) {
				void(t, other, "x")
			}, [5]int64{2: 1}},
			"a Clear": {func(_ *tiercache.Tiers, theirs *tiercache.Cache[thing]) {
				require.NoError(t, theirs.Clear(bg))
			}, [5]int64{2: 1}},
			"an Expire": {func(other *tiercache.Tiers, _ *tiercache.Cache[thing]) {
				_, err := other.Expire(bg, tiercache.Key("k"))
				require.NoError(t, err)
			}, [5]int64{1: 1}},
			"nothing": {func(*tiercache.Tiers, *tiercache.Cache[thing]) {
				require.NoError(t, raw.Del(bg, "t:k").Err())
			}, [5]int64{1}},
		} {
			opts := tiercache.Options[thing]{Tags: thingTags, StaleFor: time.Minute}
			node, other := open(t, patient(client(t, addr))), open(t, patient(client(t, addr)))
			hear(t, node, other)
			mine, theirs := newCache(t, node, opts), newCache(t, other, opts)
			require.NoError(t, theirs.Delete(bg, "k"))
			store(t, theirs, "k", tagged(1, "x"))
			tc.before(other, theirs)
			_, ok, err := mine.Get(bg, "k")
			require.NoError(t, err)
			require.False(t, ok, name)
			assert.Equal(t, tc.want, since(mine.Stats(), tiercache.CacheStats{}), name)
			require.NoError(t, node.Close())
			require.NoError(t, other.Close())
		}
	})
}

// in this node's memory | another deletes it, and says so | a miss
func TestWhatAnotherNodeDeletesIsInvalidatedHere(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		_, caches := pair(t, addr, tiercache.Options[int]{})
		store(t, caches[0], "k", value(1))
		inMemory(t, caches[0], "k")
		before := caches[0].Stats()
		require.NoError(t, caches[1].Delete(bg, "k"))
		soon(t, "it is gone", func() bool { _, ok, err := caches[0].Get(bg, "k"); return err == nil && !ok })
		assert.Equal(t, [5]int64{2: 1}, since(caches[0].Stats(), before))
	})
}

func TestTheEndOfATTLIsNoInvalidationWhateverRedisSays(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache := b.cache(tiercache.Options[int]{TTL: time.Minute, MemoryTTL: time.Second})
		for range 3 {
			before := cache.Stats()
			_, err := cache.GetOrLoad(bg, "k", value(1))
			require.NoError(b, err)
			time.Sleep(10 * time.Second) // memory alone has lost it
			_, err = cache.GetOrLoad(bg, "k", unwanted[int](b.T))
			require.NoError(b, err)
			assert.EqualValues(b, 1, cache.Stats().Sub(before).RedisHits)
			time.Sleep(time.Minute)
			before = cache.Stats()
			_, ok, err := cache.Get(bg, "k")
			require.NoError(b, err)
			assert.False(b, ok)
			assert.Equal(b, [5]int64{1: 1}, since(cache.Stats(), before))
		}
	})
}

// Each key of many is an operation, and misses for its own reason.
func TestTheKeysOfOneCallMissEachForItsOwnReason(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[int]{})
		for _, k := range []string{"hit", "deleted", "expired"} {
			require.NoError(t, cache.Set(bg, k, 1))
		}
		_, err := cache.GetOrLoad(bg, "broken", failing)
		require.Error(t, err)
		require.NoError(t, cache.Delete(bg, "deleted"))
		_, err = tiers.Expire(bg, tiercache.Key("expired"))
		require.NoError(t, err)
		before := cache.Stats()
		got, err := cache.GetMany(bg, []string{"hit", "deleted", "expired", "broken", "new"})
		require.NoError(t, err)
		assert.Len(t, got, 1)
		assert.Equal(t, [5]int64{1, 1, 1, 0, 1}, since(cache.Stats(), before))
		got, err = cache.GetOrLoadMany(bg, []string{"hit", "deleted", "expired", "broken", "new"}, func(_ context.Context, keys []string) (map[string]int, error) {
			return map[string]int{"deleted": 1, "expired": 1, "broken": 1, "new": 1}, nil
		})
		require.NoError(t, err)
		assert.Len(t, got, 5)
		assert.Equal(t, [5]int64{2, 2, 2, 0, 2}, since(cache.Stats(), before))
		identitiesHold(t, cache.Stats())
	})
}

// its connection is killed | it hears again, under another epoch
func TestHealthTellsOfTheHearingThatWasLost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	tiers := open(t, patient(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	store(t, cache, "k", value(1))
	inMemory(t, cache, "k")
	was := tiers.Health().Masters[0]
	assert.Zero(t, was.Losses)
	assert.Positive(t, was.Lag)
	assert.Positive(t, was.Epoch)
	assert.Positive(t, was.PoolTotal)
	assert.GreaterOrEqual(t, was.PoolTotal, was.PoolIdle)
	require.Positive(t, s.Client().ClientKillByFilter(bg, "TYPE", "pubsub").Val())
	soon(t, "it is noticed, and the node hears again", func() bool { is := tiers.Health().Masters[0]; return is.Losses == 1 && is.Fresh })
	assert.Equal(t, was.Epoch+1, tiers.Health().Masters[0].Epoch)
	require.NoError(t, s.Client().FlushAll(bg).Err())
	soon(t, "a flush is one too", func() bool { is := tiers.Stats().Masters[0]; return is.Losses == 2 && is.Fresh })
	before := cache.Stats()
	_, _, err := cache.Get(bg, "k")
	require.NoError(t, err)
	assert.Equal(t, [5]int64{2: 1}, since(cache.Stats(), before), "what an earlier epoch had in memory")
}
