package memory

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachShowsWhatIsStoredSettledOrNot(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	for n := range 1_000 {
		require.True(t, c.Set(item("settled:"+strconv.Itoa(n), n)))
	}
	c.settleAll()
	for n := range 100 {
		require.True(t, c.Set(item("fresh:"+strconv.Itoa(n), n)))
		require.True(t, c.Delete(Hash("settled:"+strconv.Itoa(n)), "settled:"+strconv.Itoa(n)))
	}
	c.settleAll() // a deletion that waits may still be shown
	shown := make(map[string]bool)
	c.Each(func(it *Item[int]) bool { shown[it.Key] = true; return true })
	assert.Len(t, shown, 1_000)
	for n := range 100 {
		require.True(t, shown["fresh:"+strconv.Itoa(n)])
		require.False(t, shown["settled:"+strconv.Itoa(n)])
	}
}

func TestEachEndsWhenToldAndShowsNothingOnceClosed(t *testing.T) {
	t.Parallel()
	for name, settled := range map[string]bool{"in the overlay": false, "in ristretto": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, 64<<20)
			for n := range 100 {
				require.True(t, c.Set(item(strconv.Itoa(n), n)))
			}
			if settled {
				c.settleAll()
			}
			shown := 0
			c.Each(func(*Item[int]) bool { shown++; return shown < 3 })
			assert.Equal(t, 3, shown)
			c.Close()
			c.Each(func(*Item[int]) bool { t.Error("an item of a closed cache"); return true })
		})
	}
}

// An item is in the overlay, then in both, then in ristretto alone, while Each
// looks at one after the other.
func TestEachMissesNoItemThatIsSettledMeanwhile(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	for n := range 500 {
		kept := item("kept:"+strconv.Itoa(n), n)
		require.True(t, c.Set(kept))
		var wg sync.WaitGroup
		wg.Go(c.settleAll)
		found := false
		c.Each(func(it *Item[int]) bool { found = found || it == kept; return true })
		wg.Wait()
		require.True(t, found, "round %d", n)
	}
}

func TestDiscardRemovesTheItemItWasGivenAndNoOther(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	old, fresh := item("k", 1), item("k", 2)
	require.True(t, c.Set(old))
	require.True(t, c.Set(fresh))
	assert.False(t, c.Discard(old))
	assert.Same(t, fresh, get(c, "k"))
	assert.True(t, c.Discard(fresh))
	assert.Nil(t, get(c, "k"))
	assert.False(t, c.Discard(fresh))
	require.True(t, c.Set(item("k", 3)))
	c.Close()
	assert.False(t, c.Discard(fresh))
}
