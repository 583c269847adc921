package memory

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The table against a plain map, with hashes that crowd in a few slots.
func TestTheTableHasWhatAMapWouldHave(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, spread := range []uint64{3, 40, 5_000} {
		c := open(t, 1<<30)
		model := make(map[uint64]*Item[int])
		for n := range 20_000 {
			hash := rng.Uint64N(spread)*stripes + rng.Uint64N(2)
			if rng.IntN(3) == 0 {
				_, had := model[hash]
				if c.Delete(hash, "k") != had {
					t.Fatalf("deleting %d: it was there: %v", hash, had)
				}
				delete(model, hash)
			} else {
				it := &Item[int]{Hash: hash, Key: "k", Meta: n}
				if !c.Set(it) {
					t.Fatal("it was refused")
				}
				model[hash] = it
			}
			probe := rng.Uint64N(spread)*stripes + rng.Uint64N(2)
			if c.Get(probe, "k") != model[probe] {
				t.Fatalf("%d: not what a map has", probe)
			}
		}
		for hash, it := range model {
			require.Same(t, it, c.Get(hash, "k"))
		}
		assert.Equal(t, len(model), c.Len())
		for hash := range model {
			require.True(t, c.Delete(hash, "k"))
		}
		for i := range 2 {
			assert.LessOrEqual(t, len(c.stripes[i].table.Load().slots), 2*smallest, "what is empty is small")
			assert.Zero(t, c.stripes[i].live)
			assert.Zero(t, c.stripes[i].used, "no dead item is left before an empty slot")
		}
	}
}

func TestTheHashesOfTheDeadAreKeysLikeOthers(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	for _, hash := range []uint64{0, 1, stripes, stripes + 1} {
		assert.Nil(t, c.Get(hash, ""))
		require.True(t, c.Set(&Item[int]{Hash: hash, Key: "k"}))
	}
	for _, hash := range []uint64{0, 1} { // the dead stand in the slots of the other two, too
		require.True(t, c.Delete(hash, "k"))
		assert.Nil(t, c.Get(hash, ""))
		assert.Nil(t, c.Get(hash, "k"))
		assert.NotNil(t, c.Get(hash+stripes, "k"))
	}
	shown := 0
	c.Each(func(*Item[int]) bool { shown++; return true })
	assert.Equal(t, 2, shown)
}

// A key that stays is found at any time, while its neighbours come and go and
// the table is copied under the reader.
func TestAKeyThatStaysIsFoundWhileTheTableGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<30)
	stays := &Item[int]{Hash: 7 * stripes, Key: "stays"}
	require.True(t, c.Set(stays))
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !done.Load() {
				if c.Get(stays.Hash, "stays") != stays {
					t.Error("it was not found")
					return
				}
			}
		})
	}
	neighbour := func(n uint64) (uint64, string) { // all want slots about the seventh
		return (n%16 + (n+1)*1024) * stripes, strconv.FormatUint(n, 10)
	}
	for round := range 200 {
		for n := range uint64(100) {
			hash, key := neighbour(n)
			c.Set(&Item[int]{Hash: hash, Key: key, Meta: round})
		}
		for n := range uint64(100) {
			require.True(t, c.Delete(neighbour(n)))
		}
	}
	done.Store(true)
	readers.Wait()
}
