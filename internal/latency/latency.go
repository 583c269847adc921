// Package latency counts durations, as many goroutines have them.
package latency

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// A doubling has fine buckets: what is read is at most an eighth too large.
	fineBits = 3
	fine     = 1 << fineBits
	// longest is the first bucket of what took 2^37 ns (137 s) and more.
	longest = (37-fineBits)*fine + fine
	buckets = longest + 1
)

// Histogram of durations. The zero value is empty. Safe for concurrent use; Add is
// two atomic additions.
type Histogram struct {
	counts [buckets]atomic.Int64
	sum    atomic.Int64
}

// Add counts one duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))].Add(1)
	h.sum.Add(int64(d))
}

// bucket: below 2×fine every value has its own; above, a doubling has fine.
func bucket(v uint64) int {
	shift := max(0, bits.Len64(v)-fineBits-1)
	return min(shift*fine+int(v>>shift), longest)
}

// upper is the largest value of a bucket.
func upper(i int) time.Duration {
	shift := max(0, i/fine-1)
	return time.Duration((uint64(i-shift*fine)+1)<<shift - 1)
}

// Counts is a snapshot of a Histogram. The zero value is that of an empty one.
type Counts struct {
	N      int64
	Sum    time.Duration
	counts [buckets]int64
}

// Counts so far. Its parts are read one after the other.
func (h *Histogram) Counts() (c Counts) {
	for i := range h.counts {
		c.counts[i] = h.counts[i].Load()
		c.N += c.counts[i]
	}
	c.Sum = time.Duration(h.sum.Load())
	return c
}

// Merge adds what o has.
func (c *Counts) Merge(o *Counts) {
	for i, n := range o.counts {
		c.counts[i] += n
	}
	c.N += o.N
	c.Sum += o.Sum
}

// Since is what came after earlier, a snapshot of the same Histogram. Of another one it
// means nothing, and is not negative.
func (c *Counts) Since(earlier *Counts) (d Counts) {
	for i, n := range c.counts {
		d.counts[i] = max(0, n-earlier.counts[i])
		d.N += d.counts[i]
	}
	d.Sum = max(0, c.Sum-earlier.Sum)
	return d
}

// Mean is 0 of none.
func (c *Counts) Mean() time.Duration { return c.Sum / time.Duration(max(c.N, 1)) }

// Quantile is what a share of at least q, from 0 to 1, did not exceed, by nearest
// rank: the upper end of the bucket that the rank is in. What took longer than 137
// seconds reads as that. 0 of none.
func (c *Counts) Quantile(q float64) time.Duration {
	if c.N == 0 {
		return 0
	}
	rank := max(1, int64(math.Ceil(q*float64(c.N))))
	for i, n := range c.counts {
		if rank -= n; rank <= 0 {
			return upper(min(i, longest-1))
		}
	}
	return upper(longest - 1)
}
