package memory

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever comes between whose changes: once all is told, the policy has the hashes that
// the table has, at what their items cost, and the accounts come to their sum.
func TestThePolicyHasWhatTheTableHasWhoeverChangesIt(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed", seed)
	var owners [2]*Account
	c, err := New(Config[int]{
		MaxBytes: 200_000, Now: func() int64 { return time.Now().UnixNano() },
		Account: func(owner *int) *Account { return owners[*owner] },
	})
	require.NoError(t, err)
	defer c.Close()
	owners[0], owners[1] = c.NewAccount(), c.NewAccount()
	reads := c.NewReads()
	for round := range uint64(6) {
		var all sync.WaitGroup
		for worker := range uint64(8) {
			all.Go(func() {
				r := rand.New(rand.NewPCG(seed, round<<8|worker))
				for range 1_000 {
					owner := r.IntN(2)
					hash, key := r.Uint64N(2_000), string(rune('a'+owner)) // collisions of two keys
					switch r.IntN(8) {
					case 0:
						c.Delete(hash, key)
					case 1:
						if it := c.Get(hash, key); it != nil {
							c.Discard(it)
						}
					case 2:
						reads.Note(hash)
					case 3:
						c.settleAll()
					default:
						c.Set(&Item[int]{Hash: hash, Key: key, Meta: owner, Size: 100 * r.Int64N(3) * int64(1+round%3)})
					}
				}
			})
		}
		all.Wait()
		c.settleAll()
		c.settleAll() // what was pending when it would have been lost
		c.settling.Lock()
		p := c.policy.(*ristrettoPolicy)
		var items, bytes int64
		var of [2]Sums
		c.Each(func(it *Item[int]) bool {
			assert.True(t, p.has(it.Hash))
			items++
			bytes += c.cost(it)
			of[it.Meta].Items++
			of[it.Meta].Bytes += c.cost(it)
			return true
		})
		assert.Equal(t, bytes, p.r.MaxCost()-p.r.RemainingCost())
		assert.LessOrEqual(t, bytes, c.maxBytes)
		assert.Equal(t, []int64{items, bytes}, []int64{c.all.items.Load(), c.all.bytes.Load()})
		for i, a := range owners {
			assert.Equal(t, of[i], Sums{Items: a.items.Load(), Bytes: a.bytes.Load()})
		}
		c.settling.Unlock()
		if t.Failed() {
			return
		}
	}
}
