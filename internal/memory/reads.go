package memory

import (
	"sync/atomic"
	"unsafe"
)

const (
	readStripes = 32  // power of two; two goroutines that share one take half as long again for a hit
	recentReads = 256 // of a stripe that the policy may yet learn of; power of two, and far more than tellAfter
	tellAfter   = 64  // reads of a stripe that are worth telling; power of two
)

// Reads counts the hits of somebody, and remembers which the last of them were, for
// the policy to know what is popular. That costs a hit one atomic addition and a
// store. When hits come faster than the policy is told, the older ones are forgotten:
// the rest is a sample. Safe for concurrent use.
type Reads struct {
	stripes [readStripes]readStripe
	due     func()
}

type readStripe struct {
	n      atomic.Uint64
	told   uint64 // guarded by Cache.settling
	_      [48]byte
	recent [recentReads]atomic.Uint64
}

// NewReads returns one whose hits the policy learns of, until Close.
func (c *Cache[M]) NewReads() *Reads {
	r := &Reads{due: c.due}
	c.settling.Lock()
	defer c.settling.Unlock()
	c.reads = append(c.reads, r)
	return r
}

// Note counts a hit. It returns the hit's number in its stripe: a number that is as
// good as a random one for picking one hit in so many.
func (r *Reads) Note(hash uint64) (n uint64) {
	s := &r.stripes[stripeHere()]
	n = s.n.Add(1)
	if last := &s.recent[n%recentReads]; last.Load() != hash { // a store costs more than a look
		last.Store(hash)
	}
	if n%tellAfter == 0 {
		r.due()
	}
	return n
}

// Count is how many were noted.
func (r *Reads) Count() (n int64) {
	for i := range r.stripes {
		n += int64(r.stripes[i].n.Load())
	}
	return n
}

// stripeHere is a number that depends on the stack of the goroutine: the same
// goroutine comes back to a cache line that its processor has, and different ones
// seldom meet. A random number costs more, and every line would be everywhere.
func stripeHere() uint32 {
	var here byte
	return uint32(uintptr(unsafe.Pointer(&here))>>11) * 0x9E3779B1 >> 27 % readStripes
}

// collectLocked is what was read since the last time. A hit may be counted and not
// yet written down: then an older one is told instead.
//
// What is returned holds until the next call.
func (c *Cache[M]) collectLocked() []uint64 {
	hashes, runs := c.hashes[:0], c.runs[:0]
	for _, r := range c.reads {
		for i := range r.stripes {
			s := &r.stripes[i]
			n := s.n.Load()
			if n == s.told {
				continue
			}
			for at := max(s.told, n-min(n, recentReads)) + 1; at <= n; at++ {
				hashes = append(hashes, s.recent[at%recentReads].Load())
			}
			runs = append(runs, run{n - s.told, len(hashes)})
			s.told = n
		}
	}
	c.hashes, c.runs = hashes, runs
	c.hot.feed(hashes, runs, c.now())
	return hashes
}
