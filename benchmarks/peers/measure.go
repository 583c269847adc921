package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// contender is what a series measures. run does n operations as one of so many
// workers and returns how many were wrong.
type contender struct {
	name    string
	workers int
	run     func(worker, n int) (wrong int64)
	loads   func() int64 // nil: it has no source
	per     int          // operations that one of run counts as; 0 is 1
}

// sample is one contender in one round, per operation. CPU time is the
// process's, its collector and what else runs in the background with it; the
// server is another process and not counted.
type sample struct {
	wall, cpu, allocs, bytes float64
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
	Loads   int64   `json:"loads"` // in a stampede per key; elsewhere none was wanted
	P50     float64 `json:"p50Ns,omitempty"`
	P99     float64 `json:"p99Ns,omitempty"`
	Late    float64 `json:"lateNs,omitempty"` // p99 past the load
	samples []sample
	why     error // of the first wrong one
}

// series is contenders that were measured in turn.
type series struct {
	Name  string `json:"name"`
	Floor string `json:"floor,omitempty"`
	By    string `json:"ratioOf,omitempty"` // "cpu" or "wall"
	Rows  []row  `json:"rows"`
	kind  kind
}

// kind says which columns a series has, and what its chart shows.
type kind int

const (
	timed kind = iota
	stampeded
)

func byCPU(s sample) float64  { return s.cpu }
func byWall(s sample) float64 { return s.wall }

// measure gives each contender one window in each round, another first each
// time. What changes on the machine from round to round, all have.
func (b *bench) measure(ctx context.Context, s series, all []contender) (series, error) {
	counts := make([]int, len(all))
	s.Rows = make([]row, len(all))
	for i, c := range all {
		s.Rows[i].Name = c.name
		counts[i] = c.calibrate(b.window)
	}
	for round := range b.rounds {
		for k := range all {
			if err := ctx.Err(); err != nil {
				return s, err
			}
			i := (round + k) % len(all)
			r := &s.Rows[i]
			before := all[i].loaded()
			one, wrong := all[i].sample(counts[i])
			r.samples = append(r.samples, one)
			r.Wrong += wrong
			r.Loads += all[i].loaded() - before
		}
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
		r.Allocs = medianOf(r.samples, func(s sample) float64 { return s.allocs })
		r.Bytes = medianOf(r.samples, func(s sample) float64 { return s.bytes })
		if s.Floor != "" {
			r.Ratio = s.ratio(r.Name, s.Floor, by)
		}
	}
}

func (c contender) loaded() int64 {
	if c.loads == nil {
		return 0
	}
	return c.loads()
}

// calibrate finds how many operations fill a window, by doubling.
func (c contender) calibrate(window time.Duration) int {
	for n := c.workers; ; n *= 2 {
		wall, _ := c.drive(n)
		if wall >= window/8 || n >= 1<<30 {
			return max(c.workers, int(float64(n)*float64(window)/float64(max(wall, 1))))
		}
	}
}

// drive does n operations, a share by each worker.
func (c contender) drive(n int) (time.Duration, int64) {
	if c.workers == 1 {
		begun := time.Now()
		wrong := c.run(0, n)
		return time.Since(begun), wrong
	}
	var wg sync.WaitGroup
	var wrong atomic.Int64
	begun := time.Now()
	for w := range c.workers {
		wg.Go(func() { wrong.Add(c.run(w, max(1, n/c.workers))) })
	}
	wg.Wait()
	return time.Since(begun), wrong.Load()
}

func (c contender) sample(n int) (sample, int64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime()
	wall, wrong := c.drive(n)
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	ops := float64(max(1, n/c.workers) * c.workers * max(1, c.per))
	return sample{
		wall:   float64(wall) / ops,
		cpu:    float64(cpu) / ops,
		allocs: float64(after.Mallocs-before.Mallocs) / ops,
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / ops,
	}, wrong
}

// cpuTime is what this process has used, in user mode and in the kernel.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("bug: getrusage of the process itself: %v", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
