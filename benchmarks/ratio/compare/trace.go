package compare

import (
	"math"
	"math/rand/v2"
	"sort"
)

// Shape is a kind of trace: in which order keys are asked for.
type Shape struct {
	Name string
	Says string // for people

	// draw returns the keys of reads accesses, each below the result of span.
	// capacity is how many items fit.
	draw func(r *rand.Rand, keys, reads, capacity int) []uint32
	// span is how many different keys a trace of this shape may name.
	span func(keys, reads, capacity int) int
}

const (
	scans      = 8  // of a trace
	scanShare  = 10 // a scan is as long as the universe divided by this
	shiftEvery = 50 // accesses
	// A loop is a fifth longer than what fits.
	loopOver, loopUnder = 6, 5
)

// Shapes returns all kinds of traces.
func Shapes() []Shape {
	universe := func(keys, _, _ int) int { return keys }
	return []Shape{
		{"Zipf 0.9", "popularity by Zipf's law, exponent 0.9", zipfian(0.9), universe},
		{"Zipf 1.01", "the same, exponent 1.01", zipfian(1.01), universe},
		{"scans", "Zipf 0.9; now and then every other access is of a scan of keys never asked for before or after", scanned,
			func(keys, _, _ int) int { return keys + scans*(keys/scanShare) }},
		{"loop", "the same keys in the same order, a fifth more than fit", looped,
			func(_, _, capacity int) int { return loopLength(capacity) }},
		{"shifting", "Zipf 1.01; every 50 accesses a key, hot ones more often, trades its rank for another's", shifting, universe},
	}
}

// zipf draws ranks from 0 with the weight 1/(rank+1)^s, for any s > 0.
// math/rand's has none below 1.
type zipf struct{ sums []float64 }

func newZipf(s float64, ranks int) zipf {
	z := zipf{make([]float64, ranks)}
	sum := 0.0
	for i := range z.sums {
		sum += math.Pow(float64(i+1), -s)
		z.sums[i] = sum
	}
	return z
}

// draw inverts the distribution.
func (z zipf) draw(r *rand.Rand) int {
	at := r.Float64() * z.sums[len(z.sums)-1]
	return min(sort.SearchFloat64s(z.sums, at), len(z.sums)-1)
}

// weight is the probability of a rank.
func (z zipf) weight(rank int) float64 {
	before := 0.0
	if rank > 0 {
		before = z.sums[rank-1]
	}
	return (z.sums[rank] - before) / z.sums[len(z.sums)-1]
}

func zipfian(s float64) func(*rand.Rand, int, int, int) []uint32 {
	return func(r *rand.Rand, keys, reads, _ int) []uint32 {
		z, of := newZipf(s, keys), r.Perm(keys)
		out := make([]uint32, reads)
		for i := range out {
			out[i] = uint32(of[z.draw(r)])
		}
		return out
	}
}

func scanned(r *rand.Rand, keys, reads, _ int) []uint32 {
	z, of := newZipf(0.9, keys), r.Perm(keys)
	length := keys / scanShare
	next, left := keys, 0
	out := make([]uint32, reads)
	for i := range out {
		if i%max(1, reads/scans) == reads/scans/2 {
			left = length
		}
		if left > 0 && i%2 == 0 && next < keys+scans*length {
			out[i] = uint32(next)
			next++
			left--
			continue
		}
		out[i] = uint32(of[z.draw(r)])
	}
	return out
}

func loopLength(capacity int) int { return max(2, capacity*loopOver/loopUnder) }

func looped(_ *rand.Rand, _, reads, capacity int) []uint32 {
	out := make([]uint32, reads)
	for i := range out {
		out[i] = uint32(i % loopLength(capacity))
	}
	return out
}

// shifting trades ranks as they are drawn, so that each key is asked for about
// as often, shiftEvery times, before its popularity is another one.
func shifting(r *rand.Rand, keys, reads, _ int) []uint32 {
	z, of := newZipf(1.01, keys), r.Perm(keys)
	out := make([]uint32, reads)
	for i := range out {
		if i%shiftEvery == 0 {
			a, b := z.draw(r), r.IntN(keys)
			of[a], of[b] = of[b], of[a]
		}
		out[i] = uint32(of[z.draw(r)])
	}
	return out
}

// Trace is one trace.
type Trace struct {
	Shape    string
	Seed     uint64
	Keys     int // different keys that it may name
	Capacity int // items that fit
	Reads    []uint32
}

// Draw returns the trace of a seed: the same for the same arguments.
func (s Shape) Draw(seed uint64, keys, reads, capacity int) Trace {
	r := rand.New(rand.NewPCG(seed, uint64(len(s.Name))))
	return Trace{
		Shape: s.Name, Seed: seed, Capacity: capacity,
		Keys:  s.span(keys, reads, capacity),
		Reads: s.draw(r, keys, reads, capacity),
	}
}
