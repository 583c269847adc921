package memory

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/clock"
)

func TestAccountsComeToWhatTheCacheHasWhateverHappens(t *testing.T) {
	t.Parallel()
	var owners [2]*Account
	c, err := New(Config[int]{MaxBytes: 64 << 10, Now: clock.Now, Account: func(m *int) *Account { return owners[*m] }})
	require.NoError(t, err)
	for i := range owners {
		owners[i] = c.NewAccount()
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				key := strconv.Itoa(i % 300)
				if i%7 == 0 {
					c.Delete(Hash(key), key)
					continue
				}
				c.Set(&Item[int]{Hash: Hash(key), Key: key, Meta: (w + i) % 2, Size: int64(i % 500)}) // the other's too
			}
		})
	}
	wg.Wait()
	all, one, two := c.Sums(nil), c.Sums(owners[0]), c.Sums(owners[1])
	assert.Equal(t, all, Sums{one.Items + two.Items, one.Bytes + two.Bytes, one.Evictions + two.Evictions})
	assert.Positive(t, min(one.Items, two.Items, one.Bytes, two.Bytes, one.Evictions, two.Evictions))
	c.Close()
	assert.Equal(t, Sums{Evictions: one.Evictions}, c.Sums(owners[0]))
	assert.Equal(t, Sums{Evictions: all.Evictions}, c.Sums(nil))
}

func TestWhoeverAsksIsToldOfEachItemThatLeftAndHow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		left := make(map[string][]Leaving)
		var c *Cache[int]
		var err error
		c, err = New(Config[int]{MaxBytes: 8 << 10, Now: clock.Now, Left: func(it *Item[int], how Leaving) {
			assert.Same(t, it, c.Get(it.Hash, it.Key), "or somebody finds neither it nor why it went")
			mu.Lock()
			defer mu.Unlock()
			left[it.Key] = append(left[it.Key], how)
		}})
		require.NoError(t, err)
		set := func(key string, size int64, life time.Duration) *Item[int] {
			it := &Item[int]{Hash: Hash(key), Key: key, Size: size, Deadline: clock.Now() + int64(life)}
			c.Set(it)
			return it
		}
		set("deleted", 1, time.Hour)
		set("deleted", 2, time.Hour) // in the place of the other: that one has not left
		c.Delete(Hash("deleted"), "deleted")
		c.Delete(Hash("deleted"), "deleted")
		c.Discard(set("discarded", 1, time.Hour))
		set("grown", 1, time.Hour)
		set("grown", 1<<20, time.Hour)
		set("refused", 1<<20, time.Hour)
		set("swept", 1, time.Second)
		time.Sleep(time.Minute)
		mu.Lock()
		assert.Equal(t, map[string][]Leaving{"deleted": {Removed}, "discarded": {Removed}, "grown": {Removed}, "swept": {Swept}}, left)
		clear(left)
		mu.Unlock()
		for i := range 100 {
			set(strconv.Itoa(i), 100, time.Hour)
		}
		there := c.Sums(nil).Items
		mu.Lock()
		assert.Len(t, left, 100-int(there))
		for key, how := range left {
			assert.Equal(t, []Leaving{NoRoom}, how, key)
		}
		clear(left)
		mu.Unlock()
		c.Close()
		assert.Empty(t, left, "what Close frees")
	})
}
