package memory

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func until(key string, deadline time.Time) *Item[int] {
	it := item(key, 0)
	it.Deadline = int64(deadline.Sub(base))
	return it
}

func TestWhatIsPastItsDeadlineIsFreed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config[int]{MaxBytes: 64 << 20, Now: sinceBase})
		require.NoError(t, err)
		defer c.Close()
		for n := range 3_000 {
			require.True(t, c.Set(until("short:"+strconv.Itoa(n), time.Now().Add(time.Minute))))
		}
		long := until("long", time.Now().Add(time.Hour))
		forever := item("forever", 1)
		require.True(t, c.Set(long))
		require.True(t, c.Set(forever))

		time.Sleep(59 * time.Second)
		synctest.Wait()
		assert.Equal(t, 3_002, c.Len())

		time.Sleep(time.Second + sweepEvery)
		synctest.Wait()
		assert.Equal(t, 2, c.Len())
		assert.Equal(t, c.cost(long)+c.cost(forever), c.Bytes())
		assert.Nil(t, get(c, "short:1"))
		assert.Same(t, long, get(c, "long"))
		assert.Zero(t, c.Evictions())

		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Nil(t, get(c, "long"))
		assert.Same(t, forever, get(c, "forever"))
	})
}

func TestAKeySetAgainIsNotSweptForItsOldDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config[int]{MaxBytes: 1 << 20, Now: sinceBase})
		require.NoError(t, err)
		defer c.Close()
		for range 300 { // a hot key: one item, whatever was overwritten
			require.True(t, c.Set(until("hot", time.Now().Add(2*time.Second))))
			time.Sleep(time.Second)
			require.NotNil(t, get(c, "hot"))
			require.Equal(t, 1, c.Len())
		}
	})
}

func TestASweepLeavesTheItemThatTookThePlaceOfADueOne(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	due := item("k", 1)
	due.Deadline = 1
	require.True(t, c.Set(due))
	found := c.expired(2, nil)
	require.Equal(t, []*Item[int]{due}, found)

	fresh := item("k", 2)
	require.True(t, c.Set(fresh)) // between the look and the removal
	c.free(found)
	assert.Same(t, fresh, get(c, "k"))

	assert.Empty(t, c.expired(1<<62, nil), "no deadline, never due")
}

func TestACacheWithASweepEndsInsideABubble(t *testing.T) {
	t.Parallel()
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(Config[int]{MaxBytes: 1 << 20, Now: sinceBase})
			require.NoError(t, err)
			c.Set(until("k", time.Now().Add(time.Second)))
			time.Sleep(time.Hour)
			c.Close()
		})
	}
}
