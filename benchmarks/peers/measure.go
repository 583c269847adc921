package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tiercache/tiercache/benchmarks/internal/host"
)

// contender is what a series measures. run does n operations as one of so many
// workers and returns how many were wrong.
type contender struct {
	name    string
	workers int
	run     func(worker, n int) (wrong int64, first error)
	strays  func() int64 // answers from elsewhere than what is measured; nil: it has none
}

// sample is one contender in one round, per operation. CPU time is the
// process's, its collector and what else runs in the background with it; the
// server is another process and not counted.
type sample struct {
	wall, cpu, allocs, bytes float64
	ops                      float64 // how many
}

// row is a contender's medians over the rounds.
type row struct {
	Name    string  `json:"name"`
	Wall    float64 `json:"wallNs"`
	CPU     float64 `json:"cpuNs"`
	Allocs  float64 `json:"allocs"`
	Bytes   float64 `json:"bytes"`
	Ratio   float64 `json:"ratio,omitempty"` // to the floor of its series
	Wrong   int64   `json:"wrong"`
	Strays  int64   `json:"elsewhere"`       // answers that came from elsewhere than is measured
	Loads   int64   `json:"loads,omitempty"` // most of a stampede
	P50     float64 `json:"p50Ns,omitempty"`
	P99     float64 `json:"p99Ns,omitempty"`
	Late    float64 `json:"lateNs,omitempty"` // p99 past the load
	samples []sample
	Cannot  bool  `json:"cannot,omitempty"` // the contender has no such call
	why     error // of the first wrong one
}

// series is contenders that were measured in turn.
type series struct {
	Name  string `json:"name"`
	Floor string `json:"floor,omitempty"`
	By    string `json:"ratioOf,omitempty"` // "cpu" or "wall"
	Rows  []row  `json:"rows"`
	Idle  idle   `json:"idle"`
	Where string `json:"where,omitempty"`
	kind  kind
	lone  bool // callers come one at a time, on one processor with the server
	brief bool // more rounds of shorter windows, as lone ones have
}

// idle is what all that is open does by itself, beside whoever is measured:
// heartbeats, sweeps, drains. Its share of CPU time is in everybody's figures, the
// floor's too; what it allocates is taken off, so that a call that allocates
// nothing shows nothing.
type idle struct {
	CPU    float64 `json:"cpu"`         // of one core, 0 to 1
	Allocs float64 `json:"allocsPerNs"` // all of them
	Bytes  float64 `json:"bytesPerNs"`
}

func idleOf(window time.Duration) idle {
	c := contender{workers: 1, run: func(int, int) (int64, error) { time.Sleep(window); return 0, nil }}
	s, _, _ := c.sample(1)
	return idle{CPU: s.cpu / s.wall, Allocs: s.allocs / s.wall, Bytes: s.bytes / s.wall}
}

// kind says which columns a series has, and what its chart shows.
type kind int

const (
	timed kind = iota
	stampeded
)

func byCPU(s sample) float64  { return s.cpu }
func byWall(s sample) float64 { return s.wall }

// muchGarbage is from how many bytes on a contender's garbage is collected before
// the next one's window, which would else pay for it.
const muchGarbage = 1 << 20

// briefRounds is how many rounds of a brief series take the time of one of others. What
// a call takes that is mostly the kernel's, or mostly a wait for memory, differs by a
// third and more from one tenth of a second to the next, with what else the host does:
// the median of few long rounds is chance.
const briefRounds = 3

// measure gives each contender one window in each round, in another order each
// time. What changes on the machine from round to round, all have.
func (b *bench) measure(ctx context.Context, s series, all []contender) (series, error) {
	rounds, window := b.rounds, b.window
	if s.lone || s.brief {
		rounds, window = rounds*briefRounds, window/briefRounds
	}
	if s.lone {
		if back, err := host.Together(b.pid); err == nil {
			defer back()
			s.Where = "on one processor, with redis-server"
		} else {
			s.Where = "on all processors, since one could not be had: " + err.Error()
		}
	}
	counts := make([]int, len(all))
	s.Rows = make([]row, len(all))
	for i, c := range all {
		s.Rows[i].Name = c.name
		counts[i] = c.calibrate(window)
	}
	shuffle := rand.New(rand.NewPCG(5, 6))
	runtime.GC()
	var quiet []idle
	for range rounds {
		quiet = append(quiet, idleOf(window))
		for _, i := range shuffle.Perm(len(all)) {
			if err := ctx.Err(); err != nil {
				return s, err
			}
			r := &s.Rows[i]
			before := all[i].strayed()
			one, wrong, err := all[i].sample(counts[i])
			r.samples = append(r.samples, one)
			r.Wrong += wrong
			r.Strays += all[i].strayed() - before
			if r.why == nil {
				r.why = err
			}
			if one.bytes*one.ops > muchGarbage {
				runtime.GC()
			}
		}
	}
	of := func(f func(idle) float64) float64 {
		v := make([]float64, len(quiet))
		for i, one := range quiet {
			v[i] = f(one)
		}
		return median(v)
	}
	s.Idle = idle{
		CPU:    of(func(i idle) float64 { return i.CPU }),
		Allocs: of(func(i idle) float64 { return i.Allocs }),
		Bytes:  of(func(i idle) float64 { return i.Bytes }),
	}
	s.settle()
	return s, nil
}

// settle computes medians, and ratios to the floor.
func (s *series) settle() {
	by := byCPU
	if s.By == "wall" {
		by = byWall
	}
	for i := range s.Rows {
		r := &s.Rows[i]
		r.Wall = medianOf(r.samples, byWall)
		r.CPU = medianOf(r.samples, byCPU)
		r.Allocs = medianOf(r.samples, func(one sample) float64 { return max(0, one.allocs-one.wall*s.Idle.Allocs) })
		r.Bytes = medianOf(r.samples, func(one sample) float64 { return max(0, one.bytes-one.wall*s.Idle.Bytes) })
		if s.Floor != "" {
			r.Ratio = s.ratio(r.Name, s.Floor, by)
		}
	}
}

func (c contender) strayed() int64 {
	if c.strays == nil {
		return 0
	}
	return c.strays()
}

// calibrate finds how many operations fill a window, by doubling. Of two runs the
// shorter one counts: a single call that was held up is not how long calls take.
func (c contender) calibrate(window time.Duration) int {
	for n := c.workers; ; n *= 2 {
		wall, _, _ := c.drive(n)
		if wall >= window/8 {
			again, _, _ := c.drive(n)
			wall = min(wall, again)
		}
		if wall >= window/8 || n >= 1<<30 {
			return max(c.workers, int(float64(n)*float64(window)/float64(max(wall, 1))))
		}
	}
}

// drive does n operations, a share by each worker.
func (c contender) drive(n int) (wall time.Duration, wrong int64, first error) {
	if c.workers == 1 {
		begun := time.Now()
		wrong, first = c.run(0, n)
		return time.Since(begun), wrong, first
	}
	var wg sync.WaitGroup
	wrongs, firsts := make([]int64, c.workers), make([]error, c.workers)
	begun := time.Now()
	for w := range c.workers {
		wg.Go(func() { wrongs[w], firsts[w] = c.run(w, max(1, n/c.workers)) })
	}
	wg.Wait()
	wall = time.Since(begun)
	for w := range c.workers {
		wrong += wrongs[w]
		first = cmp.Or(first, firsts[w])
	}
	return wall, wrong, first
}

func (c contender) sample(n int) (sample, int64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime()
	wall, wrong, first := c.drive(n)
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	ops := float64(max(1, n/c.workers) * c.workers)
	return sample{
		wall:   float64(wall) / ops,
		cpu:    float64(cpu) / ops,
		allocs: float64(after.Mallocs-before.Mallocs) / ops,
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / ops,
		ops:    ops,
	}, wrong, first
}

// cpuTime is what this process has used, in user mode and in the kernel.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("bug: getrusage of the process itself: %v", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// without adds rows of those that have no such call.
func (s *series) without(names ...string) {
	for _, name := range names {
		s.Rows = append(s.Rows, row{Name: name, Cannot: true})
	}
}

func (s series) row(name string) *row {
	for i := range s.Rows {
		if s.Rows[i].Name == name {
			return &s.Rows[i]
		}
	}
	return nil
}

// ratio is the median over the rounds of what name took in a round, as a multiple
// of what floor took in the same. 0 if one of them is not there.
func (s series) ratio(name, floor string, by func(sample) float64) float64 {
	a, b := s.row(name), s.row(floor)
	if a == nil || b == nil {
		return 0
	}
	var all []float64
	for i := range min(len(a.samples), len(b.samples)) {
		if f := by(b.samples[i]); f > 0 {
			all = append(all, by(a.samples[i])/f)
		}
	}
	return median(all)
}

func medianOf(all []sample, f func(sample) float64) float64 {
	v := make([]float64, len(all))
	for i, s := range all {
		v[i] = f(s)
	}
	return median(v)
}

// median is 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
