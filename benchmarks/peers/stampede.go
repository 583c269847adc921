package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/benchmarks/internal/hist"
	"github.com/tiercache/tiercache/benchmarks/peers/rivals"
)

const (
	stampeders = 1000
	// sourceDelay is how long the source takes.
	sourceDelay = 50 * time.Millisecond
	// lateBy is how much later than the load's end a caller may have its answer.
	lateBy = 10 * time.Millisecond
)

func stampedeSeries(instances int) string {
	return fmt.Sprintf("%s on %s, one cold key", plural(stampeders, "goroutine"), plural(instances, "instance"))
}

// stampede asks for a key that nobody has, from all goroutines at once. Instances
// are caches of their own in this process, on one Redis, as those of several
// processes would be.
func stampede(ctx context.Context, b *bench) (r report, err error) {
	for _, instances := range []int{1, 4} {
		s, err := b.stampedes(ctx, instances)
		if err != nil {
			return r, err
		}
		r.Series = append(r.Series, s)
	}
	return r, nil
}

func (b *bench) stampedes(ctx context.Context, instances int) (s series, err error) {
	s = series{Name: stampedeSeries(instances), kind: stampeded}
	var c closer
	defer c.close(&err)
	var fleets []*fleet
	var cannot []string
	for _, o := range rivals.All {
		if again(o) {
			continue
		}
		if !o.Loads && !o.Redis {
			cannot = append(cannot, o.Name)
			continue
		}
		f := &fleet{source: &rivals.Source{Size: kilobyte, Delay: sourceDelay}, user: b.user()}
		for range instances {
			one, err := o.Open(rivals.Env{Addr: b.addr, Source: f.source})
			if err != nil {
				return s, fmt.Errorf("%s: %w", o.Name, err)
			}
			c.add(one.Close)
			f.all = append(f.all, one)
		}
		fleets = append(fleets, f)
		s.Rows = append(s.Rows, row{Name: o.Name})
	}
	times := make([]hist.Hist, len(fleets))
	loads, late := make([][]float64, len(fleets)), make([][]float64, len(fleets))
	for round := range b.rounds + 1 { // the first opens connections, and is not counted
		for k := range fleets {
			if err := ctx.Err(); err != nil {
				return s, err
			}
			i := (round + k) % len(fleets)
			one := fleets[i].storm(ctx)
			s.Rows[i].Wrong += one.wrong
			if one.err != nil && s.Rows[i].why == nil {
				s.Rows[i].why = one.err
			}
			if round == 0 {
				continue
			}
			times[i].Merge(&one.times)
			loads[i] = append(loads[i], float64(one.loads))
			late[i] = append(late[i], float64(one.times.Percentile(99)-one.load))
		}
	}
	for i := range s.Rows {
		r := &s.Rows[i]
		r.P50, r.P99 = float64(times[i].Percentile(50)), float64(times[i].Percentile(99))
		r.Loads, r.Late = int64(slices.Max(loads[i])), median(late[i])
	}
	s.without(cannot...)
	return s, nil
}

// fleet is the instances of one contender.
type fleet struct {
	all    []*rivals.Cache
	source *rivals.Source
	user   int
	ids    int64 // the last that was asked for
}

// storm is one stampede.
type storm struct {
	times hist.Hist
	loads int64
	load  time.Duration // the last load's, which everybody waits for
	wrong int64
	err   error
}

func (f *fleet) storm(ctx context.Context) *storm {
	f.ids++
	one := item{rivals.Key(f.user, f.ids), f.ids}
	before := f.source.Loads.Load()
	took := make([]time.Duration, stampeders)
	var wrong atomic.Int64
	var first atomic.Pointer[error]
	var ready, wg sync.WaitGroup
	start := make(chan struct{})
	for g := range stampeders {
		cache := f.all[g%len(f.all)]
		ready.Add(1)
		wg.Go(func() {
			ready.Done()
			<-start
			begun := time.Now()
			err := one.check(cache.Get(ctx, one.key))
			took[g] = time.Since(begun)
			if err != nil {
				wrong.Add(1)
				first.CompareAndSwap(nil, &err)
			}
		})
	}
	ready.Wait()
	close(start)
	wg.Wait()
	s := &storm{loads: f.source.Loads.Load() - before, load: time.Duration(f.source.Last.Load()), wrong: wrong.Load()}
	if e := first.Load(); e != nil {
		s.err = *e
	}
	for _, d := range took {
		s.times.Add(d)
	}
	return s
}

func stampedeRequired(r report) []requirement {
	s := r.find(stampedeSeries(4))
	loads := requirement{What: s.Name + ": loads", Limit: 1}
	late := requirement{What: s.Name + ": p99 past the load", Limit: float64(lateBy), Unit: "ns"}
	wrong := requirement{What: s.Name + ": wrong answers"}
	our := s.measured(rivals.Tiercache)
	if our == nil {
		our = new(row)
		loads.Missing, late.Missing, wrong.Missing = "not measured", "not measured", "not measured"
	}
	loads.Got, late.Got, wrong.Got = float64(our.Loads), our.Late, float64(our.Wrong)
	return []requirement{loads, late, wrong}
}
