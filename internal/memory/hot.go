package memory

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// MostHot is how many hashes are counted at a time.
const MostHot = 1 << 14

const (
	mostFed   = 128         // reads that are counted each time the policy is told
	halfLife  = time.Minute // of a count
	mostAsked = 1023        // counts that the median is taken of
)

// sketch estimates how often which hash is read, in bounded space and time, of a sample
// of the reads. When there are too many counts the median is subtracted from all of
// them, and those that have no more go: the "frequent" algorithm (Misra, Gries: Finding
// repeated elements, 1982) in the form of Anderson et al., A high-performance algorithm
// for identifying frequent items in data streams, 2017. A count is at most too small, by
// total/(MostHot/2) or so. To halve them all instead would not do: one sample may stand
// for a thousand reads, and that has to be halved ten times before it goes.
type sketch struct {
	counts map[uint64]uint64
	total  uint64 // of all reads that were fed, as old as the counts
	aged   int64  // when the counts were halved last
}

// run is what a stripe of Reads has to tell: so many reads, the last of which are those
// of the collected hashes that end at end.
type run struct {
	reads uint64
	end   int
}

// feed counts what was read. Of many reads one in step counts for step, so that what is
// read too often for all of it to be remembered has its share. It is any of those step:
// were it each step-th, of two keys that are read in turn one would count for both.
func (s *sketch) feed(hashes []uint64, runs []run, now int64) {
	s.age(now)
	var all, before uint64
	for _, r := range runs {
		all += r.reads
	}
	if all == 0 {
		return
	}
	step := (all + mostFed - 1) / mostFed
	var start, from uint64 // from: of the reads that a sample stands for
	next := rand.Uint64N(min(step, all))
	for _, r := range runs {
		recent := hashes[start:r.end]
		for from < all && next < before+r.reads {
			s.add(recent[(next-before)*uint64(len(recent))/r.reads], min(step, all-from))
			if from += step; from < all {
				next = from + rand.Uint64N(min(step, all-from))
			}
		}
		before, start = before+r.reads, uint64(r.end)
	}
}

func (s *sketch) add(hash, reads uint64) {
	if s.counts == nil {
		s.counts = make(map[uint64]uint64)
	}
	s.total += reads
	s.counts[hash] += reads
	if len(s.counts) <= MostHot {
		return
	}
	some := make([]uint64, 0, mostAsked)
	for _, n := range s.counts { // in no order that has to do with the counts
		if some = append(some, n); len(some) == mostAsked {
			break
		}
	}
	slices.Sort(some)
	median := some[len(some)/2]
	for hash, n := range s.counts {
		if n <= median {
			delete(s.counts, hash)
		} else {
			s.counts[hash] = n - median
		}
	}
}

// age halves the counts for each half-life that has passed.
func (s *sketch) age(now int64) {
	lives := (now - s.aged) / int64(halfLife)
	if lives <= 0 {
		return
	}
	s.aged = now
	s.total >>= lives
	for hash, n := range s.counts {
		if n >>= lives; n == 0 {
			delete(s.counts, hash)
		} else {
			s.counts[hash] = n
		}
	}
}

// Hot is an item that is read often.
type Hot[M any] struct {
	Item  *Item[M]
	Share float64 // of all reads that were noted, estimated
}

// Hot are the n items that are read most often, the hottest first; fewer if fewer are
// known. What was not stored any more when it was looked for is not among them.
func (c *Cache[M]) Hot(n int) []Hot[M] {
	at, open := c.gate.enter(0)
	if !open || n <= 0 {
		if open {
			c.gate.leave(at)
		}
		return nil
	}
	defer c.gate.leave(at)
	c.settleAll() // what was read up to here counts
	type count struct{ hash, reads uint64 }
	c.settling.Lock()
	c.hot.age(c.now())
	counts := make([]count, 0, len(c.hot.counts))
	for hash, reads := range c.hot.counts {
		counts = append(counts, count{hash, reads})
	}
	total := float64(c.hot.total)
	c.settling.Unlock()
	slices.SortFunc(counts, func(a, b count) int {
		return cmp.Or(cmp.Compare(b.reads, a.reads), cmp.Compare(a.hash, b.hash))
	})
	hot := make([]Hot[M], 0, min(n, len(counts)))
	for _, is := range counts {
		if it := c.stripe(is.hash).table.Load().find(is.hash); it != nil {
			if hot = append(hot, Hot[M]{it, min(1, float64(is.reads)/total)}); len(hot) == n {
				break
			}
		}
	}
	return hot
}
