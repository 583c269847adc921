// Package compare measures tiercache's memory tier beside other caches of the
// process: which share of the reads of a trace they answer, and how many bytes an
// entry takes.
package compare

import (
	"context"
	"fmt"
	"runtime"
)

// Options of a run.
type Options struct {
	Keys   int       // of the universe
	Reads  int       // of one trace
	Shares []float64 // how much of the universe fits, per run
	Seeds  []uint64  // a trace of each; figures are means over them

	// TightShare is the one of Shares for which tight loops are run too, with the
	// first seed alone; 0: none.
	TightShare float64

	Entries int // for the bytes of an entry; 0: not measured

	Progress func(what string) // optional
}

// Full is the run whose figures count, Quick one of seconds, whose do not.
func Full() Options {
	return Options{
		Keys: 20_000, Reads: 100_000,
		Shares: []float64{0.02, 0.1}, Seeds: []uint64{1, 2, 3}, TightShare: 0.1,
		Entries: 1_000_000,
	}
}

// Quick is a run of seconds.
func Quick() Options {
	return Options{
		Keys: 2_000, Reads: 6_000,
		Shares: []float64{0.1}, Seeds: []uint64{1}, TightShare: 0.1,
		Entries: 5_000,
	}
}

// Row is what one cache did on traces of one shape.
type Row struct {
	Trace    string
	Share    float64
	Capacity int // items
	Cache    string
	Tight    bool      // in a tight loop
	Ratios   []float64 // hits as a share of reads, a seed each
	Ratio    float64   // their mean
	Lost     float64   // share of the accesses the policy was not told of; negative: cannot be seen
}

// Result of a run.
type Result struct {
	Keys, Reads int
	Seeds       []uint64
	Rows        []Row
	Entries     int
	Bytes       []Footprint
	Verdicts    []Verdict
}

// Run measures, and judges what it measured. It sets GOMAXPROCS meanwhile.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	out := Result{Keys: o.Keys, Reads: o.Reads, Seeds: o.Seeds, Entries: o.Entries}
	most := 0
	for _, s := range Shapes() {
		for _, share := range o.Shares {
			most = max(most, s.span(o.Keys, o.Reads, o.capacity(share)))
		}
	}
	u := newUniverse(most)
	for _, share := range o.Shares {
		for _, s := range Shapes() {
			rows, err := o.rows(ctx, s, u, share)
			if err != nil {
				return out, err
			}
			out.Rows = append(out.Rows, rows...)
		}
	}
	if o.Entries > 0 {
		var err error
		if out.Bytes, err = footprints(ctx, o); err != nil {
			return out, err
		}
	}
	out.Verdicts = judge(out.Rows)
	return out, nil
}

func (o Options) capacity(share float64) int { return max(1, int(float64(o.Keys)*share)) }

// rows runs all caches on the traces of one shape.
func (o Options) rows(ctx context.Context, s Shape, u universe, share float64) ([]Row, error) {
	o.Progress(fmt.Sprintf("%s, %.3g %% of the keys fit", s.Name, 100*share))
	capacity := o.capacity(share)
	var traces []Trace
	for _, seed := range o.Seeds {
		traces = append(traces, s.Draw(seed, o.Keys, o.Reads, capacity))
	}
	var out []Row
	for _, tight := range []bool{false, true} {
		if tight && share != o.TightShare {
			continue
		}
		for _, c := range Contenders() {
			row := Row{Trace: s.Name, Share: share, Capacity: capacity, Cache: c.Name, Tight: tight}
			of := traces
			if tight {
				of = traces[:1]
			}
			for _, t := range of {
				did, err := driveOn(ctx, c, u, t, tight)
				if err != nil {
					return nil, err
				}
				ratio := float64(did.hits) / float64(did.reads)
				row.Ratios = append(row.Ratios, ratio)
				row.Ratio += ratio / float64(len(of))
				row.Lost += did.lost / float64(len(of))
			}
			out = append(out, row)
		}
	}
	return out, nil
}

// driveOn drives on one processor, if not in a tight loop: then whoever gives way
// goes on after the goroutines that it woke. On several they may have been woken
// on a processor that the system has given to another program, and ristretto has
// lost up to a third of the accesses by the time it is theirs again.
func driveOn(ctx context.Context, c Contender, u universe, t Trace, tight bool) (cell, error) {
	if !tight {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	return drive(ctx, c, u, t, tight)
}
