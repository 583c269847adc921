package memory

import (
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// payload stands for what the engine keeps of a value: 1 KiB in one piece.
type payload struct{ data []byte }

func payloadOf(key string, size int) *Item[payload] {
	return &Item[payload]{Key: key, Hash: Hash(key), Size: int64(size), Meta: payload{make([]byte, size)}}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTheBudgetIsInBytes(t *testing.T) {
	before := heap()
	const budget = 1 << 20
	c, err := New(Config[payload]{MaxBytes: budget, Now: sinceBase})
	require.NoError(t, err)
	defer c.Close()
	empty := heap()
	for n := range 20_000 {
		c.Set(payloadOf("key:"+strconv.Itoa(n), 1024))
	}
	each := c.cost(payloadOf("key:12345", 1024))
	assert.InDelta(t, budget/each, c.Len(), 3, "as many as fit, and no fewer")
	assert.LessOrEqual(t, c.Bytes(), int64(budget))
	assert.Positive(t, c.Evictions())

	used := heap() - empty
	t.Logf("%d items cost %d bytes and take %d, beside %d of the empty cache", c.Len(), c.Bytes(), used, empty-before)
	assert.Less(t, used, int64(budget*5/4), "within a quarter of the budget")
	assert.Less(t, empty-before, int64(480<<10), "the fixed part")
	runtime.KeepAlive(c)
}

func TestTheCostOfAnItemIsTheMemoryItTakes(t *testing.T) {
	// Go's maps double: an entry costs least just before that, and most after.
	sizes := []int{60_000, 100_000, 180_000}
	if raceEnabled {
		sizes = sizes[:1] // the same figures, much slower
	}
	for _, n := range sizes {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			const size = 64
			c, err := New(Config[payload]{MaxBytes: 256 << 20, Now: sinceBase})
			require.NoError(t, err)
			defer c.Close()
			before := heap() // counters are not counted
			for i := range n {
				require.True(t, c.Set(payloadOf("key:"+strconv.Itoa(100_000+i), size)))
			}
			taken := float64(heap()-before) / float64(n)
			cost := float64(c.Bytes()) / float64(c.Len())
			t.Logf("an item takes %.0f bytes and costs %.0f, of which %d are overhead", taken, cost, c.overhead)
			assert.InEpsilon(t, taken, cost, 0.25)
			runtime.KeepAlive(c)
		})
	}
}

func TestUpdatesKeepToTheBudget(t *testing.T) {
	t.Parallel()
	const budget = 1 << 20
	c, err := New(Config[payload]{MaxBytes: budget, Now: sinceBase})
	require.NoError(t, err)
	defer c.Close()
	for n := range 500 {
		require.True(t, c.Set(payloadOf("key:"+strconv.Itoa(n), 10)))
	}
	var all sync.WaitGroup
	for g := range 4 { // every key that is there grows a thousandfold
		all.Go(func() {
			for n := g; n < 500; n += 4 {
				it := payloadOf("key:"+strconv.Itoa(n), 10_000)
				stored := c.Set(it)
				if got := c.Get(it.Hash, it.Key); !stored && got != nil {
					t.Errorf("%s was refused and is there", it.Key)
				}
				if n%8 == 0 {
					c.settleAll()
				}
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, c.Bytes(), int64(budget))
	assert.Greater(t, c.Bytes(), int64(budget/2))
}

func TestTheAccountIsThatOfWhatIsStored(t *testing.T) {
	t.Parallel()
	c := open(t, 32<<10)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for n := range 2_000 {
				key := "key:" + strconv.Itoa((n*13+g*5)%300)
				it := item(key, n)
				it.Size = int64(n % 700)
				c.Set(it)
				get(c, key)
				if n%5 == 0 {
					c.Delete(Hash(key), key)
				}
			}
		})
	}
	all.Wait()
	c.settleAll()
	var items int
	var bytes int64
	c.Each(func(it *Item[int]) bool {
		items++
		bytes += c.cost(it)
		return true
	})
	assert.Equal(t, items, c.Len())
	assert.Equal(t, bytes, c.Bytes())
	assert.Equal(t, c.maxBytes-c.policy.(*ristrettoPolicy).r.RemainingCost(), c.Bytes(), "ristretto's account is the same")
	assert.Positive(t, c.Evictions())
}
