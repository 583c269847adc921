package memory

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var base = time.Now()

func sinceBase() int64 { return int64(time.Since(base)) }

func open(t testing.TB, maxBytes int64) *Cache[int] {
	c, err := New(Config[int]{MaxBytes: maxBytes, Now: sinceBase})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func item(key string, n int) *Item[int] { return &Item[int]{Key: key, Hash: Hash(key), Meta: n} }

func get(c *Cache[int], key string) *Item[int] { return c.Get(Hash(key), key) }

func TestABudgetOfNothingIsAnError(t *testing.T) {
	t.Parallel()
	for _, budget := range []int64{0, -1, math.MinInt64} {
		_, err := New(Config[int]{MaxBytes: budget, Now: sinceBase})
		require.ErrorContains(t, err, "memory: maxBytes is "+strconv.FormatInt(budget, 10))
	}
	_, err := New(Config[int]{MaxBytes: 1})
	require.ErrorContains(t, err, "memory: now is nil")
}

func TestASetIsVisibleWhenItReturns(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	for n := range 10_000 {
		it := item("key:"+strconv.Itoa(n), n)
		require.True(t, c.Set(it))
		require.Same(t, it, get(c, it.Key))
	}
	assert.Equal(t, 10_000, c.Len())
	assert.Zero(t, c.Evictions())
}

func TestOfTwoQuickSetsTheLastIsKept(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	for n := range 2_000 {
		first, last := item("key:"+strconv.Itoa(n), 1), item("key:"+strconv.Itoa(n), 2)
		require.True(t, c.Set(first))
		require.True(t, c.Set(last))
		require.Same(t, last, get(c, last.Key))
	}
	assert.Equal(t, 2_000, c.Len())
	assert.Equal(t, 2_000*c.cost(item("key:1234", 0)), c.Bytes()+shorterThan4(2_000))
}

// shorterThan4 is by how much the decimal forms of 0…n-1 are shorter than 4 digits each.
func shorterThan4(n int) (missing int64) {
	for i := range n {
		missing += int64(4 - len(strconv.Itoa(i)))
	}
	return missing
}

func TestADeletedItemDoesNotComeBack(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	for n := range 3_000 {
		key := "key:" + strconv.Itoa(n%7)
		h := Hash(key)
		var writers sync.WaitGroup
		for range 2 {
			writers.Go(func() {
				for range 3 {
					c.Set(item(key, n))
				}
			})
		}
		if n%2 == 0 {
			writers.Wait()
			require.True(t, c.Delete(h, key))
			require.Nil(t, c.Get(h, key), "round %d", n)
			continue
		}
		c.Delete(h, key) // amid the Sets: either order, but only one
		writers.Wait()
		c.Delete(h, key)
		for range 20 {
			require.Nil(t, c.Get(h, key), "round %d", n)
		}
	}
	assert.Zero(t, c.Len())
	assert.Zero(t, c.Bytes())
}

func TestReadersNeverSeeADeletedItem(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	const key = "hot"
	h := Hash(key)
	// dead is the number of the newest item known to be deleted: all numbers up
	// to it were set, and deleted after that.
	var dead atomic.Int64
	var done atomic.Bool
	var readers, settlers sync.WaitGroup
	defer settlers.Wait()
	for range 3 {
		readers.Go(func() {
			for !done.Load() {
				floor := dead.Load()
				if it := c.Get(h, key); it != nil && int64(it.Meta) <= floor {
					t.Errorf("item %d is back, %d was deleted", it.Meta, floor)
					return
				}
			}
		})
	}
	for n := 1; n <= 3_000; n++ {
		c.Set(item(key, n))
		if n%3 == 0 {
			c.settleAll() // so that deletions meet items wherever they are
		}
		c.Delete(h, key)
		dead.Store(int64(n))
	}
	done.Store(true)
	readers.Wait()
}

func TestReadersNeverSeeAnOlderItemThanTheLastSet(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	const key = "hot"
	var set atomic.Int64
	var done atomic.Bool
	var readers, settlers sync.WaitGroup
	defer settlers.Wait()
	for range 3 {
		readers.Go(func() {
			for !done.Load() {
				floor := set.Load()
				it := get(c, key)
				if floor > 0 && (it == nil || int64(it.Meta) < floor) {
					t.Errorf("item %d was set, Get gave %v", floor, it)
					return
				}
			}
		})
	}
	for n := 1; n <= 3_000; n++ {
		c.Set(item(key, n))
		if n%3 == 0 {
			settlers.Go(c.settleAll)
		}
		set.Store(int64(n))
	}
	done.Store(true)
	readers.Wait()
}

func TestTwoKeysOfOneHashAreNotTakenForEachOther(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	a := &Item[int]{Key: "a", Hash: 42, Meta: 1}
	b := &Item[int]{Key: "b", Hash: 42, Meta: 2}
	require.True(t, c.Set(a))
	assert.Nil(t, c.Get(42, "b"))
	assert.False(t, c.Delete(42, "b"))
	assert.Same(t, a, c.Get(42, "a"), "deleting the other key left it alone")

	require.True(t, c.Set(b))
	assert.Nil(t, c.Get(42, "a"))
	assert.Same(t, b, c.Get(42, "b"))
	assert.Equal(t, 1, c.Len())
	assert.Equal(t, c.cost(b), c.Bytes())
	assert.True(t, c.Delete(42, "b"))
	assert.Zero(t, c.Len())
}

func TestKeysOfOneHashStayApartWhenEverythingRuns(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	var all sync.WaitGroup
	for g := range 4 {
		key := strconv.Itoa(g)
		all.Go(func() {
			for n := range 1_000 {
				c.Set(&Item[int]{Key: key, Hash: 7, Meta: g})
				if it := c.Get(7, key); it != nil && it.Meta != g {
					t.Errorf("key %q got the item of %d", key, it.Meta)
				}
				if n%3 == 0 {
					c.Delete(7, key)
				}
			}
		})
	}
	all.Wait()
	for g := range 4 {
		c.Delete(7, strconv.Itoa(g))
	}
	assert.Zero(t, c.Len())
	assert.Zero(t, c.Bytes())
}

// together returns a barrier for n goroutines. They leave it within nanoseconds
// of each other, where a channel would wake them microseconds apart.
func together(n int64) (wait func()) {
	var there atomic.Int64
	return func() {
		there.Add(1)
		for there.Load() < n {
			runtime.Gosched()
		}
	}
}

func TestSetsOfOneNewKeyAtOnceAreAllTaken(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	for n := range 2_000 {
		key := strconv.Itoa(n)
		var all sync.WaitGroup
		start := together(2)
		for g := range 2 {
			all.Go(func() {
				start()
				if !c.Set(item(key, g)) {
					t.Errorf("%s was refused with room for all", key)
				}
			})
		}
		all.Wait()
		require.NotNil(t, get(c, key))
	}
}

func TestADeleteDoesNotTakeTheKeyThatReplacedItsOwn(t *testing.T) {
	t.Parallel()
	c := open(t, 64<<20)
	for h := range uint64(3_000) {
		a := &Item[int]{Key: "a", Hash: h}
		b := &Item[int]{Key: "b", Hash: h}
		require.True(t, c.Set(a))
		var all sync.WaitGroup
		start := together(2)
		all.Go(func() {
			start()
			c.Delete(h, "a")
		})
		all.Go(func() {
			start()
			if !c.Set(b) {
				t.Error("b was refused with room for all")
			}
		})
		all.Wait()
		require.Same(t, b, c.Get(h, "b"))
	}
}

func TestDeleteSaysWhetherThereWasAnything(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	assert.False(t, c.Delete(Hash("k"), "k"))
	require.True(t, c.Set(item("k", 1)))
	assert.True(t, c.Delete(Hash("k"), "k"))
	assert.False(t, c.Delete(Hash("k"), "k"))
}

func TestGetOfAPresentItemAllocatesNothing(t *testing.T) {
	c := open(t, 1<<20)
	require.True(t, c.Set(item("k", 1)))
	h := Hash("k")
	assert.Zero(t, testing.AllocsPerRun(1_000, func() { c.Get(h, "k") }))
}

func TestASetThatIsRefusedLeavesNothingOfItsKey(t *testing.T) {
	t.Parallel()
	const budget = 256 << 10
	sized := func(key string, size int64) *Item[int] {
		it := item(key, 0)
		it.Size = size
		return it
	}
	t.Run("larger than the budget, nothing there", func(t *testing.T) {
		c := open(t, budget)
		assert.False(t, c.Set(sized("k", budget)))
		assert.Zero(t, c.Len())
	})
	for name, size := range map[string]int64{
		"larger than the budget":            budget,
		"larger than the budget by a key":   budget - 1,
		"so large that a sum may overflow":  math.MaxInt64,
		"a hundred times what is there now": budget * 100,
	} {
		t.Run(name+", an older one there", func(t *testing.T) {
			c := open(t, budget)
			require.True(t, c.Set(sized("k", 1)))
			assert.False(t, c.Set(sized("k", size)))
			assert.Nil(t, get(c, "k"))
			assert.Zero(t, c.Len())
			assert.Zero(t, c.Bytes())
		})
	}
	t.Run("by the policy, for its size", func(t *testing.T) {
		c := open(t, budget)
		it := sized("k", budget) // Set would not have asked
		c.change(it.Hash, it, Removed, always)
		c.settleAll()
		assert.Nil(t, get(c, "k"))
		assert.Zero(t, c.Len())
		assert.Zero(t, c.Bytes())
	})
	t.Run("by the policy, whatever it decides", func(t *testing.T) {
		c := open(t, budget)
		var taken, refused int
		set := func(key string) {
			it := sized(key, 512)
			require.True(t, c.Set(it))
			require.Same(t, it, get(c, key), "until the policy has seen it")
			c.settleAll()
			if got := get(c, key); got == it {
				taken++
			} else {
				refused++
				require.Nil(t, got)
			}
		}
		for n := range 300 {
			set(fmt.Sprint("old", n))
		}
		// What is read often is worth more than newcomers.
		reads := c.NewReads()
		for n := 0; n < 5_000 && (refused == 0 || taken < 310); n++ {
			for o := range 300 {
				if it := get(c, fmt.Sprint("old", o)); it != nil {
					reads.Note(it.Hash)
				}
			}
			set(fmt.Sprint("new", n))
			if raceEnabled && n == 50 {
				t.Skip("under the race detector a sync.Pool forgets much, and ristretto's policy with it")
			}
		}
		assert.NotZero(t, taken)
		assert.NotZero(t, refused)
		assert.LessOrEqual(t, c.Bytes(), int64(budget))
	})
}

func TestANegativeSizeIsABug(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	assert.PanicsWithValue(t, "bug: memory: an item of -1 bytes", func() { c.Set(&Item[int]{Size: -1}) })
	assert.True(t, c.Set(item("k", 1)), "nothing is left locked")
}

// Large items come faster than the policy is told of them: each caller finds the budget
// exceeded by an eighth at the most, and by one item of each of the others
func TestItemsThatThePolicyIsYetToHearOfGoLittleOverTheBudget(t *testing.T) {
	t.Parallel()
	const budget, size, callers = 1 << 20, 64 << 10, 4
	c := open(t, budget)
	var most atomic.Int64
	var all sync.WaitGroup
	for g := range callers {
		all.Go(func() {
			for n := range 500 {
				it := item(strconv.Itoa(g)+":"+strconv.Itoa(n), n)
				it.Size = size
				assert.True(t, c.Set(it))
				now := c.all.bytes.Load()
				for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
				}
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, most.Load(), int64(budget+budget/mostOver+callers*(size+1<<10)))
	assert.Greater(t, c.Len(), 0)
}

func TestABudgetWithoutALimitIsNeverExceeded(t *testing.T) {
	t.Parallel()
	c, err := New(Config[int]{MaxBytes: math.MaxInt64, Now: sinceBase,
		Policy: func(int64, int64) (Policy, error) { return new(told), nil }})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	c.settling.Lock() // whoever would tell the policy waits
	done := make(chan bool)
	go func() { done <- c.Set(item("k", 1)) }()
	select {
	case <-done:
		c.settling.Unlock()
	case <-time.After(10 * time.Second):
		c.settling.Unlock()
		<-done
		t.Error("a Set tells the policy")
	}
}
