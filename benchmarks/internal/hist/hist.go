// Package hist counts durations without keeping them.
package hist

import (
	"math"
	"math/bits"
	"time"
)

// fine is how many buckets a doubling has: what is read from them is at most
// 1/fine too large.
const (
	fineBits = 7
	fine     = 1 << fineBits
)

// Hist is a histogram of durations from 1 ns to 292 years. The zero value is
// empty. Not safe for concurrent use.
type Hist struct {
	counts [(64 - fineBits) * fine]int64
	n      int64
	sum    time.Duration
	max    time.Duration
}

// Add counts one duration; a negative one counts as 0.
func (h *Hist) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

// Merge adds what o has.
func (h *Hist) Merge(o *Hist) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// N is how many were counted.
func (h *Hist) N() int64 { return h.n }

// Max is the longest, exactly; 0 of none.
func (h *Hist) Max() time.Duration { return h.max }

// Mean is the average; 0 of none.
func (h *Hist) Mean() time.Duration { return h.sum / time.Duration(max(h.n, 1)) }

// Percentile is what at least p percent do not exceed, by nearest rank: the
// upper end of the bucket that the rank is in. 0 of none.
func (h *Hist) Percentile(p float64) time.Duration {
	rank := max(1, int64(math.Ceil(p/100*float64(h.n))))
	for i, n := range h.counts {
		if rank -= n; rank <= 0 && n > 0 {
			return min(h.max, time.Duration(upper(i)))
		}
	}
	return h.max
}

// bucket: below 2×fine every value has its own; above, a doubling has fine.
func bucket(v uint64) int {
	shift := max(0, bits.Len64(v)-fineBits-1)
	return shift*fine + int(v>>shift)
}

// upper is the largest value of a bucket.
func upper(i int) uint64 {
	shift := max(0, i/fine-1)
	return (uint64(i-shift*fine)+1)<<shift - 1
}
