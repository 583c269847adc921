package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// sample is how things stand in a calm moment, and what was done since the last.
type sample struct {
	At          float64 `json:"atSeconds"`
	Ops         float64 `json:"opsPerSecond"`
	Hits        int64   `json:"hits"`
	Loads       int64   `json:"loads"`
	Errors      int64   `json:"errors"` // so far
	Stale       int64   `json:"stale"`  // so far
	Goroutines  int     `json:"goroutines"`
	Heap        int64   `json:"heapBytes"`
	RSS         int64   `json:"rssBytes"`    // 0: this system does not say
	Connections int     `json:"connections"` // of the server
	Faults      int     `json:"faults"`      // so far
}

// heap is what live objects take.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one found in pools is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func rss() int64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if fields := bytes.Fields(raw); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

// goroutines counts those that are not a proxy's, which has four for each
// connection.
func goroutines() (n int, stacks string) {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return 0, err.Error()
	}
	var kept []string
	for _, one := range strings.Split(all.String(), "\n\n") {
		count, at, ok := strings.Cut(one, " @ ")
		if !ok || strings.Contains(at, "/redistest.") {
			continue
		}
		k, _ := strconv.Atoi(count[strings.LastIndexByte(count, '\n')+1:]) // after the profile's own first line
		n += k
		kept = append(kept, one)
	}
	return n, strings.Join(kept, "\n\n")
}

func connections(ctx context.Context, direct *redis.Client) int {
	info, err := direct.Info(ctx, "clients").Result()
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(info, "connected_clients:")
	number, _, _ := strings.Cut(rest, "\r\n")
	n, _ := strconv.Atoi(number)
	return n - 1 // the one that asks
}

const header = "   time      ops/s  memory+Redis hits      loads  errors  stale  goroutines     heap      RSS  connections  faults"

func (s sample) String() string {
	return fmt.Sprintf("%7s  %9.0f  %17d  %9d  %6d  %5d  %10d  %4.1f MiB  %3.0f MiB  %11d  %6d",
		time.Duration(s.At*float64(time.Second)).Round(time.Second), s.Ops, s.Hits, s.Loads, s.Errors, s.Stale,
		s.Goroutines, mib(s.Heap), mib(s.RSS), s.Connections, s.Faults)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

const (
	warmShare      = 10 // one in so many samples is warm-up, and at least one
	leastSamples   = 9  // after it, or nothing is said
	moreGoroutines = 10
	moreHeap       = 1.10
)

// flat compares the medians of the first and the last third after warm-up.
func flat(all []sample) (verdict string, ok bool) {
	all = all[min(len(all), len(all)/warmShare+1):]
	if len(all) < leastSamples {
		return fmt.Sprintf("%d samples after warm-up are too few to say whether goroutines and heap are flat", len(all)), true
	}
	third := len(all) / 3
	of := func(some []sample, f func(sample) int64) int64 {
		var v []int64
		for _, s := range some {
			v = append(v, f(s))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	first, last := all[:third], all[len(all)-third:]
	g := func(s sample) int64 { return int64(s.Goroutines) }
	h := func(s sample) int64 { return s.Heap }
	g1, g2, h1, h2 := of(first, g), of(last, g), of(first, h), of(last, h)
	return fmt.Sprintf("goroutines %d in the first third, %d in the last, at most %d more wanted; heap %.1f MiB and %.1f MiB, at most %.0f %% more wanted",
		g1, g2, moreGoroutines, mib(h1), mib(h2), 100*(moreHeap-1)), g2 <= g1+moreGoroutines && float64(h2) <= moreHeap*float64(h1)
}
