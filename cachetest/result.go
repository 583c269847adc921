package cachetest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Breach is one read that returned what it may not.
type Breach struct {
	Rule string // "I1", "I2" or "I3", see the package's documentation
	Node int
	Row  int
	Got  int64 // the version that was read
	Want int64 // the least, for I3 the only, version that is right

	// Age is how long the read began after an invalidation of something newer
	// than Got was out; for what is younger than Bound at least how long.
	Age time.Duration
}

func (b Breach) String() string {
	return fmt.Sprintf("%s node %d row %d: got version %d, want %d, out for %v", b.Rule, b.Node, b.Row, b.Got, b.Want, b.Age.Round(time.Millisecond))
}

// Result is what a run did and found.
type Result struct {
	Seed     uint64
	Nodes    int
	Duration time.Duration // settling included

	Reads  int64 // judged: each of them
	Misses int64 // Gets that found nothing, which is always right
	GaveUp int64 // reads that ended with their own context
	Errors int64 // reads and writes that ended in any other error

	Writes  map[Kind]int64 // commits that were invalidated
	Queued  int64          // those whose invalidation was queued, judged by I1 and I3 only
	Refused int64          // changes not made: Mutate could not mark, or its context had ended
	Crashes int64          // processes that killed themselves between commit and invalidation

	Memory int64 // answers from memory
	Redis  int64 // answers from Redis
	Loads  int64 // runs of the loader

	Faults map[string]int // how often each was injected

	I1, I2, I3 int64         // breaches
	Oldest     time.Duration // the oldest breach
	Breaches   []Breach      // the first few of each node and rule

	// Trouble is what kept the run from proving anything: the first unexpected
	// error, nodes that did not settle or close.
	Trouble []string
}

// OK tells whether the run proved that nothing stale was served.
func (r Result) OK() bool {
	return r.I1 == 0 && r.I2 == 0 && r.I3 == 0 && r.Errors == 0 && len(r.Trouble) == 0
}

// Line is the result in one line: reads, I1, I2, I3, oldest.
func (r Result) Line() string {
	return fmt.Sprintf("%9d %7d %7d %5d %9v", r.Reads, r.I1, r.I2, r.I3, r.Oldest.Round(time.Millisecond))
}

func (r Result) String() string {
	var s strings.Builder
	answers := max(1, r.Memory+r.Redis+r.Loads)
	share := func(n int64) float64 { return 100 * float64(n) / float64(answers) }
	fmt.Fprintf(&s, "seed %d: %d nodes for %v\n", r.Seed, r.Nodes, r.Duration.Round(10*time.Millisecond))
	fmt.Fprintf(&s, "  reads    %d (memory %.1f %%, Redis %.1f %%, loads %.1f %%), %d found nothing, %d gave up, %d errors\n",
		r.Reads, share(r.Memory), share(r.Redis), share(r.Loads), r.Misses, r.GaveUp, r.Errors)
	fmt.Fprintf(&s, "  writes  ")
	for _, k := range kinds {
		if r.Writes[k] > 0 {
			fmt.Fprintf(&s, " %s %d", k, r.Writes[k])
		}
	}
	fmt.Fprintf(&s, "; queued %d, refused %d, crashed %d\n", r.Queued, r.Refused, r.Crashes)
	if len(r.Faults) > 0 {
		fmt.Fprintf(&s, "  faults  ")
		var names []string
		for name := range r.Faults {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&s, " %s %d", name, r.Faults[name])
		}
		fmt.Fprintln(&s)
	}
	fmt.Fprintf(&s, "  breaches I1 %d, I2 %d, I3 %d, oldest %v", r.I1, r.I2, r.I3, r.Oldest.Round(time.Millisecond))
	for _, b := range r.Breaches {
		fmt.Fprintf(&s, "\n    %v", b)
	}
	for _, trouble := range r.Trouble {
		fmt.Fprintf(&s, "\n  trouble: %s", trouble)
	}
	return s.String()
}
