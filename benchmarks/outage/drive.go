package main

import (
	"runtime"
	"sync"
	"time"

	"github.com/tiercache/tiercache/benchmarks/internal/hist"
)

const (
	callers   = 8
	bigBatch  = 1000                  // calls that are timed as one, where one is too short
	tooShort  = 10 * time.Microsecond // of a call
	hotKeys   = 8
	mostFirst = 3 // errors that are kept
)

// a window is what callers did for some time.
type window struct {
	batch  int
	times  hist.Hist // of batches
	rate   float64   // calls per second, each caller's added up
	calls  int64
	errors int64
	first  []error // some of them
	took   time.Duration
}

// per is the p-th percentile of a call, in nanoseconds: of a batch's average call.
func (w *window) per(p float64) float64 {
	return float64(w.times.Percentile(p)) / float64(w.batch)
}

func (w *window) fail(err error) {
	w.errors++
	if len(w.first) < mostFirst {
		w.first = append(w.first, err)
	}
}

func (w *window) merge(o *window) {
	w.times.Merge(&o.times)
	w.rate += o.rate
	w.calls += o.calls
	w.errors += o.errors
	w.first = append(w.first, o.first...)
	w.first = w.first[:min(len(w.first), mostFirst)]
	w.took = max(w.took, o.took)
}

// drive lets all callers make batches of calls for d. Each finishes the batch
// that it has begun, and makes at least one, and its rate counts the time that took: a call that hangs
// for longer than d is not lost.
func drive(d time.Duration, batch int, call func(caller, n int) error) *window {
	runtime.GC()
	return everyCaller(batch, func(caller int, w *window) {
		began := time.Now()
		for n := 0; w.calls == 0 || w.took < d; {
			at := time.Now()
			for range batch {
				if err := call(caller, n); err != nil {
					w.fail(err)
				}
				n++
			}
			end := time.Now()
			w.times.Add(end.Sub(at))
			w.calls += int64(batch)
			w.took = end.Sub(began)
			// A caller that never waits is taken off its core in the middle of a batch
			// after 10 ms, for as long as the others run. This one leaves by itself.
			runtime.Gosched()
		}
		w.rate = float64(w.calls) / w.took.Seconds()
	})
}

func everyCaller(batch int, run func(caller int, w *window)) *window {
	all := make([]window, callers)
	var wg sync.WaitGroup
	for i := range all {
		all[i].batch = batch
		wg.Go(func() { run(i, &all[i]) })
	}
	wg.Wait()
	total := &window{batch: batch}
	for i := range all {
		total.merge(&all[i])
	}
	return total
}
