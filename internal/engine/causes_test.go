package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/memory"
)

// causesOf are the misses so far: cold, expired, invalidated, evicted, unstored.
func causesOf(c *Cache) [5]int64 {
	n := c.Counts()
	return [5]int64{n.Cold, n.Expired, n.Invalidated, n.Evicted, n.Unstored}
}

func TestAMissIsCountedByWhatTookItsKeyAway(t *testing.T) {
	t.Parallel()
	fails := func(context.Context) (any, error) { return nil, errors.New("broken") }
	stored := func(c *Cache) {
		_, err := c.Load(bg, "k", gives(1), Call{})
		assert.NoError(t, err)
	}
	for name, tc := range map[string]struct {
		before func(e *Engine, c *Cache) // from an empty cache on, which has one cold miss if it loads
		want   cause
	}{
		"nothing": {func(*Engine, *Cache) {}, cold},
		"the end of its TTL": {func(_ *Engine, c *Cache) {
			stored(c)
			time.Sleep(time.Hour)
		}, expired},
		"the end of its TTL, long ago": {func(_ *Engine, c *Cache) {
			stored(c)
			time.Sleep(2 * time.Hour) // swept
		}, expired},
		"Delete": {func(e *Engine, c *Cache) {
			stored(c)
			assert.NoError(t, c.Delete(bg, []string{"k"}))
		}, invalidated},
		"Delete, after which its TTL ended": {func(e *Engine, c *Cache) {
			stored(c)
			assert.NoError(t, c.Delete(bg, []string{"k"}))
			time.Sleep(time.Hour)
		}, expired},
		"Delete of what was not there": {func(e *Engine, c *Cache) {
			assert.NoError(t, c.Delete(bg, []string{"k"}))
		}, cold},
		"Expire": {func(e *Engine, c *Cache) {
			stored(c)
			_, err := e.Expire(bg, []Target{{Text: "k"}})
			assert.NoError(t, err)
		}, expired},
		"a pattern": {func(e *Engine, c *Cache) {
			stored(c)
			_, err := c.InvalidatePattern(bg, "k*")
			assert.NoError(t, err)
		}, invalidated},
		"a pattern, whose pass took it": {func(e *Engine, c *Cache) {
			stored(c)
			_, err := c.InvalidatePattern(bg, "k*")
			assert.NoError(t, err)
			e.patterns.fresh = meetAfter
			e.meetPatterns()
		}, invalidated},
		"Clear": {func(e *Engine, c *Cache) {
			stored(c)
			_, err := c.Clear(bg)
			assert.NoError(t, err)
		}, invalidated},
		"a push": {func(e *Engine, c *Cache) {
			stored(c)
			time.Sleep(time.Hour / 2)
			e.heardOf("k")
		}, invalidated},
		"a push of Redis's own expiry, which is a moment before memory's": {func(e *Engine, c *Cache) {
			stored(c)
			time.Sleep(time.Hour - expiryMargin/2)
			e.heardOf("k")
		}, expired},
		"a push of its expiry when memory has swept it": {func(e *Engine, c *Cache) {
			stored(c)
			time.Sleep(2 * time.Hour)
			e.heardOf("k")
		}, expired},
		"no room": {func(e *Engine, c *Cache) {
			stored(c)
			hash := memory.Hash("k")
			e.left(e.mem.Get(hash, "k"), memory.NoRoom)
			e.mem.Delete(hash, "k")
			e.left(&item{Hash: hash, Key: "k", Meta: meta{standing: &standing{owner: c}, expires: later(now(), time.Hour), created: now()}}, memory.NoRoom)
		}, evicted},
		"a load that failed": {func(e *Engine, c *Cache) {
			_, err := c.Load(bg, "k", fails, Call{})
			assert.Error(t, err)
		}, unstored},
		"an absence that is not stored": {func(e *Engine, c *Cache) {
			_, err := c.Load(bg, "k", func(context.Context) (any, error) { return nil, errs.ErrNotFound }, Call{})
			assert.Error(t, err)
		}, unstored},
		"an invalidation while it was loaded": {func(e *Engine, c *Cache) {
			_, err := c.Load(bg, "k", func(ctx context.Context) (any, error) { return 1, c.Delete(ctx, []string{"k"}) }, Call{})
			assert.NoError(t, err)
		}, unstored},
		"a value that is too large": {func(e *Engine, c *Cache) {
			e.largest = 3
			_, err := c.Load(bg, "k", gives(12345), Call{})
			assert.NoError(t, err)
			e.largest = 1 << 20
		}, unstored},
		"a Set of a value that is too large": {func(e *Engine, c *Cache) {
			stored(c)
			e.largest = 3
			assert.NoError(t, c.Set(bg, "k", 12345, Call{}))
			e.largest = 1 << 20
		}, unstored},
		"what is larger than memory": {func(e *Engine, c *Cache) {
			c.spec.Cost = func(any) int64 { return 1 << 30 }
			stored(c)
		}, unstored},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, c := memoryOnly(t)
				tc.before(e, c)
				was, wanted := causesOf(c), [5]int64{}
				wanted[tc.want-1] = 1
				_, ok, err := c.Get(bg, "k", Call{})
				assert.NoError(t, err)
				assert.False(t, ok)
				is := causesOf(c)
				for i := range is {
					is[i] -= was[i]
				}
				assert.Equal(t, wanted, is)
				assert.NoError(t, e.Close())
			})
		})
	}
}

func TestAnotherCachesItemIsAMissThatIsNotBelieved(t *testing.T) {
	t.Parallel()
	e, c := memoryOnly(t)
	spec := c.spec
	spec.Name = "other"
	other, err := e.NewCache(spec)
	require.NoError(t, err)
	_, err = other.Load(bg, "k", gives(1), Call{})
	require.NoError(t, err)
	_, _, err = c.Get(bg, "k", Call{})
	require.NoError(t, err)
	assert.Equal(t, [5]int64{4: 1}, causesOf(c))
}

func TestWhatWasEvictedIsSoUntilItsTTLEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryOnly(t)
		for i := range 5000 { // 1 MiB has room for some 2,500
			_, err := c.Load(bg, strconv.Itoa(i), gives(i), Call{})
			assert.NoError(t, err)
		}
		n := c.Counts()
		assert.Equal(t, int64(5000), n.Cold)
		gone := 5000 - n.Stored.Items
		assert.Positive(t, gone)
		look := func() {
			for i := range 5000 {
				if c.Hit(strconv.Itoa(i), false).OK() {
					continue
				}
				_, _, err := c.Get(bg, strconv.Itoa(i), Call{})
				assert.NoError(t, err)
			}
		}
		look()
		n = c.Counts()
		assert.Equal(t, gone, n.Evicted+n.Cold-5000)
		assert.Greater(t, n.Evicted, gone/2, "of 4,096 ghosts some have taken others' places")
		time.Sleep(2 * time.Hour)
		was := n
		look()
		n = c.Counts()
		assert.Equal(t, was.Evicted, n.Evicted)
		assert.Greater(t, n.Expired, int64(2500))
		assert.NoError(t, e.Close())
	})
}

func TestGhostsTellKeysOfOnePlaceApart(t *testing.T) {
	t.Parallel()
	g := newGhosts(1)
	require.Len(t, g.slots, leastGhosts)
	one := uint64(0xfeed_face_cafe_0000)
	for name, other := range map[string]uint64{"top": one ^ 1<<63, "lowest that is kept": one ^ 1<<37, "index": one ^ 1} {
		g.note(one, evicted, never)
		assert.Equal(t, cold, g.of(other, now()), name)
		assert.Equal(t, evicted, g.of(one, now()), name)
		g.note(other, expired, never)
		assert.Equal(t, expired, g.of(other, now()), name)
	}
	for until := range uint64(3) {
		g.note(one, evicted, until)
		for ticks := range int64(4) {
			want := evicted
			if uint64(ticks) >= until {
				want = expired
			}
			assert.Equal(t, want, g.of(one, g.base+ticks<<tickBits), fmt.Sprint(until, ticks))
		}
	}
	for _, tc := range []struct{ was, want cause }{{cold, invalidated}, {evicted, invalidated}, {faded, invalidated},
		{unstored, invalidated}, {expired, expired}, {invalidated, invalidated}} {
		g.note(one, tc.was, never)
		g.removed(one)
		assert.Equal(t, tc.want, g.of(one, now()), "was %d", tc.was)
	}
}

func TestGhostsGrowWithMemory(t *testing.T) {
	t.Parallel()
	assert.Len(t, newGhosts(64<<20).slots, 1<<18)
	assert.Len(t, newGhosts(1<<62).slots, mostGhosts)
}

func TestAValueThatLivesForEverHasNoTimeToExpire(t *testing.T) {
	t.Parallel()
	e, c := memoryOnly(t)
	_, err := c.Load(bg, "k", gives(1), Call{TTL: 1<<63 - 1})
	require.NoError(t, err)
	require.NoError(t, c.Delete(bg, []string{"k"}))
	assert.Equal(t, invalidated, e.ghosts.of(memory.Hash("k"), now()+int64(50*365*24*time.Hour)))
}

func BenchmarkMissThatIsExplained(b *testing.B) {
	_, c := memoryOnly(b)
	hash := memory.Hash("k")
	for b.Loop() {
		c.because(hash, "k", nil, false)
	}
}

func BenchmarkDelete(b *testing.B) {
	_, c := memoryOnly(b)
	keys := []string{"k"}
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Delete(bg, keys)
	}
}

func BenchmarkRecent(b *testing.B) {
	var r recent
	b.ReportAllocs()
	for b.Loop() {
		r.note(Invalidation{Kind: ofKeys, Target: "k", Count: 1})
	}
}
