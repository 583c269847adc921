package tiercache_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// timeless are invalidations without their times, which are those of the bubble.
func timeless(t *testing.T, tiers *tiercache.Tiers) (all []tiercache.Invalidation) {
	t.Helper()
	last := time.Now()
	for _, is := range tiers.Recent() {
		assert.False(t, is.At.After(last), "the newest first")
		last, is.At = is.At, time.Time{}
		all = append(all, is)
	}
	return all
}

func TestRecentTellsEachCallAndKindAndWhatOthersSay(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		node, other := b.node(), b.node()
		time.Sleep(5 * time.Second) // each knows that the other hears by Pub/Sub
		cache := newCache(b.T, node, tiercache.Options[int]{Name: "things", KeyPrefix: "k"})
		require.Empty(b, node.Recent())
		for _, k := range []string{"k1", "k2", "k3"} {
			require.NoError(b, cache.Set(bg, k, 1))
		}
		require.Empty(b, node.Recent(), "a Set is none")
		began := time.Now()
		require.NoError(b, cache.Delete(bg, "k1", "k2"))
		require.NoError(b, cache.Delete(bg))
		time.Sleep(time.Minute)
		_, err := node.Invalidate(bg, tiercache.Pattern("k3*"), tiercache.Key("x"), tiercache.Tag("t"), tiercache.Pattern("y*"))
		require.NoError(b, err)
		_, err = node.Expire(bg, tiercache.Key("k9"))
		require.NoError(b, err)
		_, err = cache.InvalidatePattern(bg, "k*") // runs as Clear
		require.NoError(b, err)
		require.NoError(b, cache.Clear(bg))
		_, err = node.Clear(bg)
		require.NoError(b, err)
		_, err = node.Mutate(bg, func(context.Context) error { return nil }, tiercache.Key("m"), tiercache.Tag("t"))
		require.NoError(b, err)
		_, err = node.Invalidate(bg, tiercache.Pattern(""))
		require.Error(b, err)
		assert.Equal(b, []tiercache.Invalidation{
			{Kind: "tag", Target: "t", Count: 1},
			{Kind: "key", Target: "m", Count: 1, Keys: 0},
			{Kind: "clear", Target: "", Count: 1},
			{Kind: "clear", Target: "things", Count: 1},
			{Kind: "pattern", Target: "k*", Count: 1},
			{Kind: "key", Target: "k9", Count: 1, Expire: true},
			{Kind: "pattern", Target: "k3*", Count: 2, Keys: 1},
			{Kind: "tag", Target: "t", Count: 1},
			{Kind: "key", Target: "x", Count: 1},
			{Kind: "key", Target: "k1", Count: 2, Keys: 2},
		}, timeless(b.T, node))
		all := node.Recent()
		assert.Equal(b, began, all[len(all)-1].At)

		synctest.Wait()
		heard := timeless(b.T, other)
		for i := range heard {
			assert.True(b, heard[i].Heard)
			heard[i].Heard = false
		}
		assert.Equal(b, []tiercache.Invalidation{
			{Kind: "tag", Target: "t", Count: 1}, // Mutate says so before and after
			{Kind: "tag", Target: "t", Count: 1},
			{Kind: "clear", Target: "", Count: 1},
			{Kind: "clear", Target: "things", Count: 1},
			{Kind: "clear", Target: "things", Count: 1},
			{Kind: "pattern", Target: "y*", Count: 1},
			{Kind: "pattern", Target: "k3*", Count: 1},
			{Kind: "tag", Target: "t", Count: 1},
		}, heard)

		b.leave()
		require.NoError(b, cache.Delete(bg, "k1"))
		assert.True(b, timeless(b.T, node)[0].Queued)
	})
}

func TestRecentKeepsTheLast64(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	cache := newCache(t, tiers, tiercache.Options[int]{})
	for i := range 1000 {
		require.NoError(t, cache.Delete(bg, fmt.Sprint(i)))
	}
	all := tiers.Recent()
	require.Len(t, all, 64)
	for i, is := range all {
		assert.Equal(t, fmt.Sprint(999-i), is.Target)
	}
}
