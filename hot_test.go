package tiercache_test

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

func TestTheHottestKeysAreTold(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		hear(b.T, tiers)
		assert.Empty(b, tiers.HotKeys(5))
		pages := newCache(b.T, tiers, tiercache.Options[int]{Name: "pages"})
		local := newCache(b.T, tiers, tiercache.Options[int]{Name: "local", MemoryOnly: true})
		for i := range 20 {
			key := strconv.Itoa(i)
			store(b.T, pages, key, value(i))
			inMemory(b.T, pages, key)
		}
		store(b.T, local, "l", value(1))
		for range 500 {
			_, _, _ = pages.Get(bg, "7")
			_, _, _ = local.Get(bg, "l")
			_, _, _ = local.Get(bg, "l")
		}
		hot := tiers.HotKeys(2)
		require.Len(b, hot, 2)
		assert.Equal(b, tiercache.HotKey{Cache: "local", Key: "l", Share: hot[0].Share}, hot[0])
		assert.InDelta(b, 2./3, hot[0].Share, 0.05)
		assert.Equal(b, tiercache.HotKey{Cache: "pages", Key: "7", Share: hot[1].Share}, hot[1])
		assert.InDelta(b, 1./3, hot[1].Share, 0.05)
		assert.LessOrEqual(b, len(tiers.HotKeys(100)), 21)
		assert.Empty(b, tiers.HotKeys(0))
		require.NoError(b, local.Delete(bg, "l"))
		assert.Equal(b, "7", tiers.HotKeys(1)[0].Key, "only what is in memory")
	})
}

// A process that is killed leaves what it left a minute ago.
func TestHotKeysAreHandedOverOnceAMinute(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers := b.node()
		cache := newCache(b.T, tiers, tiercache.Options[int]{TTL: time.Hour})
		hear(b.T, tiers)
		handedOver := func() bool {
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			return b.mini.Exists("t:~hot:" + cache.Stats().Name)
		}
		require.False(b, handedOver(), "nothing was read")
		store(b.T, cache, "k", value(1))
		inMemory(b.T, cache, "k")
		require.True(b, handedOver())
		assert.InDelta(b, 24*time.Hour, b.mini.TTL("t:~hot:"+cache.Stats().Name), float64(3*time.Minute))
		b.mini.Del("t:~hot:" + cache.Stats().Name)
		require.False(b, handedOver(), "nothing was read since")

		next := b.node()
		newCache(b.T, next, tiercache.Options[int]{TTL: time.Hour})
		require.NoError(b, next.Warm(bg), "no list is no error")
		assert.Zero(b, next.Stats().MemoryEntries)
	})
}

// What Warm has filled is refreshed as if the process had loaded it.
func TestAKeyThatWarmHasFilledNeverMissesAtItsExpiry(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		opts := tiercache.Options[int]{TTL: 2 * time.Second, Jitter: -1}
		load := func(context.Context) (int, error) { time.Sleep(20 * time.Millisecond); return 1, nil }
		old := b.node()
		cache := newCache(b.T, old, opts)
		hear(b.T, old)
		store(b.T, cache, "k", load)
		inMemory(b.T, cache, "k")
		require.NoError(b, old.Close())
		log := new(lines)
		cfg := patient(b.client())
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		next := open(b.T, cfg)
		cache = newCache(b.T, next, opts)
		require.NoError(b, next.Warm(bg))
		require.Contains(b, log.String(), "memory was warmed")
		for range 5000 {
			_, err := cache.GetOrLoad(bg, "k", load)
			require.NoError(b, err)
			time.Sleep(time.Millisecond)
		}
		s := cache.Stats()
		assert.Zero(b, s.Misses+s.RedisHits, "neither at the start nor at an expiry")
		assert.EqualValues(b, 5000, s.MemoryHits)
	})
}
