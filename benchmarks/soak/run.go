package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

const (
	shortRest = 500 * time.Millisecond // after one fault of three the next comes before all is well
	rest      = 2 * time.Second        // on average, when all is well
	calmMost  = 15 * time.Second
	headEvery = 20
)

// result is what a soak found.
type result struct {
	Seed    uint64         `json:"seed"`
	Samples []sample       `json:"samples"`
	Reads   int64          `json:"reads"`
	Writes  int64          `json:"writes"`
	GaveUp  int64          `json:"gaveUp"`  // reads that ended with their own context
	Queued  int64          `json:"queued"`  // writes
	Refused int64          `json:"refused"` // Mutates that could not mark, and so did nothing
	Faults  map[string]int `json:"faults"`
	Errors  int64          `json:"errors"`
	Stale   int64          `json:"stale"`
	Flat    string         `json:"flat"`
	Trouble []string       `json:"trouble"`
	before  int            // goroutines
	after   int
	flatOK  bool
}

func (c config) run(t testing.TB, w io.Writer) result {
	fmt.Fprintf(w, "seed %d: %d nodes with %d readers each, one writer, %d rows, for %v; memory is served for %v without Redis\n",
		c.seed, nodeCount, readers, rows, c.length, bound)
	r := result{Seed: c.seed, Faults: make(map[string]int)}
	server := redistest.Start(t)
	s := &stage{server: server, direct: server.Client(), rand: rand.New(rand.NewPCG(c.seed, 1<<60))}
	for range nodeCount {
		s.places = append(s.places, newPlace(t, server))
	}
	connections(t.Context(), s.direct) // whatever a client starts when it is first used
	r.before, _ = goroutines()
	for _, p := range s.places {
		if err := p.open(); err != nil {
			t.Fatal(err)
		}
	}
	traffic := newTraffic(s.places, c.seed)
	s.told = traffic.fail

	ctx, stop := context.WithCancel(t.Context())
	ended := false
	defer func() { // a fault that fails the test ends this goroutine
		stop()
		traffic.wg.Wait()
		if !ended {
			for _, p := range s.places {
				_ = p.close()
			}
		}
	}()
	if restless := s.calm(); restless != "" {
		t.Fatalf("at the beginning, %s", restless)
	}
	traffic.start(ctx)
	c.faults(ctx, s, traffic, &r, w)
	stop()
	traffic.wg.Wait()
	if restless := s.calm(); restless != "" {
		r.Trouble = append(r.Trouble, "at the end, "+restless)
	}
	sleep(t.Context(), bound)
	traffic.last(t.Context())
	ended = true
	for _, p := range s.places {
		if err := p.close(); err != nil {
			traffic.fail("closing at the end: %v", err)
		}
	}
	r.settle(traffic)
	return r
}

// faults returns when the time is over.
func (c config) faults(ctx context.Context, s *stage, traffic *traffic, r *result, w io.Writer) {
	began := time.Now()
	var bag []fault
	last := c.look(ctx, s, traffic, r, began, nil)
	for n := 0; time.Since(began) < c.length && ctx.Err() == nil; n++ {
		f := s.draw(&bag)
		f.do(ctx, s)
		r.Faults[f.name]++
		if s.rand.IntN(3) == 0 {
			sleep(ctx, shortRest)
			continue
		}
		if restless := s.calm(); restless != "" {
			r.Trouble = append(r.Trouble, fmt.Sprintf("%s of %d faults: %s", f.name, n+1, restless))
		}
		sleep(ctx, rest/2+rand.N(rest))
		if time.Since(last.taken) < c.every || s.calm() != "" {
			continue
		}
		last = c.look(ctx, s, traffic, r, began, &last)
		if (len(r.Samples)-1)%headEvery == 0 {
			fmt.Fprintln(w, header)
		}
		fmt.Fprintln(w, r.Samples[len(r.Samples)-1])
	}
}

// mark is what the next sample counts from.
type mark struct {
	taken       time.Time
	ops         int64
	hits, loads int64
}

func (c config) look(ctx context.Context, s *stage, traffic *traffic, r *result, began time.Time, last *mark) mark {
	var sum tiercache.CacheStats
	for _, p := range s.places {
		add(&sum, p.stats())
	}
	is := mark{time.Now(), traffic.reads.Load() + traffic.writes.Load(), sum.Hits, sum.Loads}
	if last == nil {
		return is
	}
	one := sample{
		At:     time.Since(began).Seconds(),
		Ops:    float64(is.ops-last.ops) / is.taken.Sub(last.taken).Seconds(),
		Hits:   is.hits - last.hits,
		Loads:  is.loads - last.loads,
		Errors: traffic.errors.Load(),
		Heap:   heap(),
		RSS:    rss(),
	}
	one.Stale, _ = traffic.judge.breaches()
	one.Goroutines, _ = goroutines()
	one.Connections = connections(ctx, s.direct)
	for _, n := range r.Faults {
		one.Faults += n
	}
	r.Samples = append(r.Samples, one)
	return is
}

// settle takes what the traffic found, when all is closed.
func (r *result) settle(traffic *traffic) {
	r.Reads, r.Writes = traffic.reads.Load(), traffic.writes.Load()
	r.GaveUp, r.Queued, r.Refused = traffic.gaveUp.Load(), traffic.queued.Load(), traffic.refused.Load()
	r.Errors = traffic.errors.Load()
	r.Trouble = append(r.Trouble, traffic.first...)
	var first []string
	r.Stale, first = traffic.judge.breaches()
	r.Trouble = append(r.Trouble, first...)
	r.Flat, r.flatOK = flat(r.Samples)
	var stacks string
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if r.after, stacks = goroutines(); r.after <= r.before {
			return
		}
		if time.Now().After(deadline) {
			r.Trouble = append(r.Trouble, "goroutines at the end:\n"+stacks)
			return
		}
	}
}

func (r result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d reads, %d of them given up by their callers; %d writes, %d queued, %d refused\nfaults:", r.Reads, r.GaveUp, r.Writes, r.Queued, r.Refused)
	var names []string
	for name, n := range r.Faults {
		names = append(names, fmt.Sprintf(" %s %d", name, n))
	}
	slices.Sort(names)
	fmt.Fprintf(w, "%s\n%s\ngoroutines %d before Open, %d after Close\n", strings.Join(names, ","), r.Flat, r.before, r.after)
	for _, line := range r.Trouble {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "%d errors, %d stale reads\n", r.Errors, r.Stale)
}

func (r result) verdict() error {
	var all []error
	for _, v := range []struct {
		wrong bool
		what  string
	}{
		{r.Reads == 0 || r.Writes == 0, "nothing was read, or nothing written"},
		{r.Errors > 0, fmt.Sprintf("%d errors", r.Errors)},
		{r.Stale > 0, fmt.Sprintf("%d stale reads", r.Stale)},
		{!r.flatOK, "goroutines or heap grew"},
		{r.after > r.before, fmt.Sprintf("%d goroutines after Close, %d before Open", r.after, r.before)},
		{r.Errors == 0 && r.Stale == 0 && r.after <= r.before && len(r.Trouble) > 0, strings.Join(r.Trouble, "; ")},
	} {
		if v.wrong {
			all = append(all, errors.New(v.what))
		}
	}
	return errors.Join(all...)
}
