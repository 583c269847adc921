package tiercache_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// A node hears of its own fills too, and must not take them for another's change.

// fill | its own push: in doubt | the head is read, and is its own | memory hits
func TestWhatANodeFilledItServesFromMemoryWithoutReadingItAgain(t *testing.T) {
	t.Parallel()
	const n = 100
	fills := map[string]func(c *tiercache.Cache[int], key string) error{
		"load": func(c *tiercache.Cache[int], key string) error { _, err := c.GetOrLoad(bg, key, value(1)); return err },
		"Set":  func(c *tiercache.Cache[int], key string) error { return c.Set(bg, key, 1) },
	}
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			_, caches := pair(t, s.Addr(), tiercache.Options[int]{})
			p := spyOn(t, s)
			for i := range n {
				require.NoError(t, fill(caches[0], strconv.Itoa(i)))
			}
			soon(t, "every head was read once", func() bool { return p.calls(`"0" "47"`) >= n })
			before := p.calls(`"0" "1310815"`)
			for i := range n {
				v, err := caches[0].GetOrLoad(bg, strconv.Itoa(i), unwanted[int](t))
				require.NoError(t, err)
				require.Equal(t, 1, v)
			}
			// The last ones may still be in doubt here: the answer is on its way.
			assert.Less(t, p.calls(`"0" "1310815"`)-before, n/4)
			assert.Greater(t, caches[0].Stats().MemoryHits, int64(n*3/4))
			// Pushed are the lease and the value, mostly in one: a look for each push.
			assert.LessOrEqual(t, p.calls(`"0" "47"`), 2*n)
			for i := range n {
				inMemory(t, caches[0], strconv.Itoa(i))
			}
		})
	}
}

// By Pub/Sub a node hears what it says itself, and nothing of its loads.
func TestByPubSubALoadIsAMemoryHitAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers := b.node()
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		hear(b.T, tiers)
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		_, err = cache.GetOrLoad(bg, "k", unwanted[int](b.T))
		require.NoError(b, err)
		assert.EqualValues(b, 1, cache.Stats().MemoryHits)

		require.NoError(b, cache.Set(bg, "k", 2))
		assert.Equal(b, 2, inMemory(b.T, cache, "k"))
	})
}

func TestAFillOnOneNodeEvictsNoOtherKeyElsewhere(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		_, caches := pair(t, addr, tiercache.Options[int]{})
		_, err := caches[1].GetOrLoad(bg, "b", value(1))
		require.NoError(t, err)
		inMemory(t, caches[1], "b")
		before := caches[1].Stats().MemoryHits
		for i := range 100 {
			_, err := caches[0].GetOrLoad(bg, "a"+strconv.Itoa(i), value(i))
			require.NoError(t, err)
			require.NoError(t, caches[0].Set(bg, "c"+strconv.Itoa(i), i))
			_, err = caches[1].GetOrLoad(bg, "b", unwanted[int](t))
			require.NoError(t, err)
		}
		// Not all: the push of its own fill may come late, and a node that gets no time
		// to listen asks Redis.
		assert.Greater(t, caches[1].Stats().MemoryHits-before, int64(90))
	})
}

// fill | another node's DEL | one push for both: the head is not mine any more
func TestAnothersDeleteRightAfterAFillIsNotTakenForItsEcho(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		_, caches := pair(t, addr, tiercache.Options[int]{})
		for i := range 200 {
			_, err := caches[0].GetOrLoad(bg, "k", value(i))
			require.NoError(t, err)
			require.NoError(t, caches[1].Delete(bg, "k"))
			soon(t, "the delete", func() bool { _, ok, _ := caches[0].Get(bg, "k"); return !ok })
		}
	})
}

// fill | another node's Set: the key stands, with another's token
func TestAnothersSetRightAfterAFillIsNotTakenForItsEcho(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		_, caches := pair(t, addr, tiercache.Options[int]{})
		for i := range 100 {
			require.NoError(t, caches[0].Set(bg, "k", 2*i))
			require.NoError(t, caches[1].Set(bg, "k", 2*i+1))
			soon(t, "the other's value", func() bool { v, _, _ := caches[0].Get(bg, "k"); return v == 2*i+1 })
			require.Equal(t, 2*i+1, inMemory(t, caches[0], "k"))
			require.Equal(t, 2*i+1, inMemory(t, caches[1], "k"))
		}
	})
}

// The two tests below are about tracking, so they need a redis-server: by Pub/Sub
// nothing tells of a load, and a node skips the message of its own Set, so nothing
// ever puts a fill in doubt.

// fill | push: in doubt | look: the head is mine | another node: DEL | push | the
// look must not re-arm what was deleted since
func TestALookThatAPushOvertookDoesNotVouchForAFill(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr()
	w := worldAt(t, addr)
	other := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
	heard := w.probe(t, other)
	look := w.w.holdReply(t, "getrange", "t:k:1")
	require.NoError(t, w.cache.Set(bg, "k:1", 1))
	look.wait(t)
	require.NoError(t, other.Delete(bg, "k:1"))
	heard()
	look.release()
	w.settle(t)
	_, ok, err := w.cache.Get(bg, "k:1")
	require.NoError(t, err)
	assert.False(t, ok)
}

// fill | push: in doubt | another node: Set | look: the head is not mine
func TestALookThatFindsAnothersValueDoesNotVouchForAFill(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr()
	w := worldAt(t, addr)
	other := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
	look := w.w.holdRequest(t, "getrange", "t:k:1")
	require.NoError(t, w.cache.Set(bg, "k:1", 1))
	look.wait(t)
	require.NoError(t, other.Set(bg, "k:1", 2))
	look.release()
	w.settle(t)
	v, ok, err := w.cache.Get(bg, "k:1")
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, 2, v)
}

// settle gives looks that are under way the time of many round trips.
func (w world) settle(t *testing.T) {
	t.Helper()
	for _, key := range []string{"settled", "settled again"} {
		require.NoError(t, w.cache.Set(bg, key, 0))
		inMemory(t, w.cache, key)
	}
}
