package memory

import (
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

// getBuffer is how many reads ristretto gathers before it counts them.
const getBuffer = 64

// ristrettoPolicy is ristretto as it should be used: one writer, one change of a
// hash in a batch, and a wait after each batch leave none of its ways to lose, keep
// or bring back something:
//
//   - a new key is never set twice before the policy has seen it, where the first
//     would stay;
//   - a deletion never stands in the buffer behind a Set of its key, which would
//     be seen for a moment;
//   - the buffer has room.
type ristrettoPolicy struct {
	r    *ristretto.Cache[uint64, struct{}]
	left []Left // appended to by ristretto's goroutine; read after a Wait
	told int
	shut atomic.Bool // what Close clears has not lost its place
}

func newRistretto(maxBytes, items int64) (Policy, error) {
	p := new(ristrettoPolicy)
	var err error
	p.r, err = ristretto.NewCache(&ristretto.Config[uint64, struct{}]{
		NumCounters:        counters(items),
		MaxCost:            maxBytes,
		BufferItems:        getBuffer,
		IgnoreInternalCost: true,
		// No boxing of keys, and no second hash: Get compares the keys.
		KeyToHash: func(h uint64) (uint64, uint64) { return h, 0 },
		OnEvict:   func(e *ristretto.Item[struct{}]) { p.leaves(e.Key, true) },
		OnReject:  func(e *ristretto.Item[struct{}]) { p.leaves(e.Key, false) },
		// Nothing is stored with a TTL, so its sweep has nothing to look for.
		TtlTickerDurationInSec: 24 * 60 * 60,
	})
	return p, err
}

// counters is how many counters of past use there are for so many items: 16 to 32 for
// each. It is one more than a power of two, since that many is the length of what
// ristretto remembers before it halves all counts, and a row has the next power: 32 to 64
// for an item. What hash to the same one are taken for each other. Ristretto has four
// rows, but what shares a counter in one shares one in every row (its index is the hash
// XOR a seed, cut off), so they count no better than one row would: with 20 to 40 a small
// skewed set was hit 2 points less often. They take 96 to 192 bytes for an item. From 4
// million items on their number stays the same, 805 MB.
func counters(items int64) int64 {
	const least, most = 1 << 10, 1 << 27
	n := int64(least)
	for n < 16*items && n < most {
		n *= 2
	}
	return n + 1
}

func (p *ristrettoPolicy) leaves(hash uint64, evicted bool) {
	if !p.shut.Load() {
		p.left = append(p.left, Left{hash, evicted})
	}
}

func (p *ristrettoPolicy) Apply(batch []Change) []Left {
	p.left = p.left[:0]
	p.send(batch)
	for _, c := range batch {
		if c.Cost != 0 { // somebody asked for it, or it would not be here
			p.count(c.Hash, newWeight)
		}
	}
	p.shrink(batch)
	// One may have gone for another of the batch and come in again.
	p.left = slices.DeleteFunc(p.left, func(l Left) bool { return p.has(l.Hash) })
	return p.left
}

// send has ristretto decide about batch.
func (p *ristrettoPolicy) send(batch []Change) {
	for _, c := range batch {
		if c.Cost == 0 {
			p.r.Del(c.Hash)
		} else if !p.r.Set(c.Hash, struct{}{}, c.Cost) {
			panic("bug: memory: ristretto's buffer is full")
		}
	}
	p.r.Wait()
}

func (p *ristrettoPolicy) has(hash uint64) bool {
	_, has := p.r.GetTTL(hash) // which counts no read
	return has
}

// shrink keeps to the budget: ristretto makes room for a new key, never for an update,
// so keys that are there and grow would pass it and stay. Those come in again as new
// ones.
func (p *ristrettoPolicy) shrink(batch []Change) {
	for i, c := range batch {
		if p.r.RemainingCost() >= 0 {
			return
		}
		if c.Cost != 0 && p.has(c.Hash) {
			p.r.Del(c.Hash)
			p.send(batch[i : i+1])
		}
	}
}

// A hit counts four times, and the read that brought an item once, after it was judged.
// Of two that are as popular ristretto lets the newer one in: in a loop through more than
// there is room for, all would come and go and none be hit; and what was popular would
// stay for too long when that changes. The figures are from make ratio: others are better
// on one trace and worse on another.
const hitWeight, newWeight = 4, 1

func (p *ristrettoPolicy) Touch(hashes []uint64) {
	for _, h := range hashes {
		p.count(h, hitWeight)
	}
}

// count yields after each buffer: ristretto's counting goroutine drops what comes
// faster than it counts, and it was made ready to run here.
func (p *ristrettoPolicy) count(hash uint64, weight int) {
	for range weight {
		p.r.Get(hash)
		if p.told++; p.told%getBuffer == 0 {
			runtime.Gosched()
		}
	}
}

func (p *ristrettoPolicy) Close() {
	p.shut.Store(true)
	p.r.Close()
}
