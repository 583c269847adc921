package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache"
)

const (
	readers    = 2   // per node
	burst      = 512 // reads without a pause
	pause      = 50 * time.Microsecond
	impatient  = 256 // one read in so many does not wait long
	writeEvery = 2 * time.Millisecond
	loadTime   = 500 * time.Microsecond
	mostErrors = 10
)

// traffic is the readers of all nodes and the writer, and what they found.
type traffic struct {
	judge  *judge
	places []*place
	source []atomic.Int64 // the version of each row
	seed   uint64

	reads, writes, gaveUp, queued, refused atomic.Int64

	errors atomic.Int64
	mu     sync.Mutex // guards first
	first  []string

	wg sync.WaitGroup
}

func newTraffic(places []*place, seed uint64) *traffic {
	t := &traffic{judge: newJudge(rows, bound), places: places, source: make([]atomic.Int64, rows), seed: seed}
	for i := range t.source {
		t.source[i].Store(1)
	}
	return t
}

// start begins the traffic, which ends with ctx; wait for wg then.
func (t *traffic) start(ctx context.Context) {
	for i := range t.places {
		for k := range readers {
			t.wg.Go(func() { t.read(ctx, i, t.rand(i*readers+k)) })
		}
	}
	t.wg.Go(func() { t.write(ctx, t.rand(len(t.places)*readers)) })
}

func (t *traffic) rand(goroutine int) *rand.Rand {
	return rand.New(rand.NewPCG(t.seed, uint64(goroutine)))
}

func (t *traffic) fail(format string, args ...any) {
	t.errors.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.first) < mostErrors {
		t.first = append(t.first, fmt.Sprintf("after %v: %s", time.Since(t.judge.base).Round(time.Millisecond), fmt.Sprintf(format, args...)))
	}
}

func (t *traffic) read(ctx context.Context, i int, r *rand.Rand) {
	z := rand.NewZipf(r, 1.1, 4, rows-1)
	for ctx.Err() == nil {
		n, done := t.places[i].at(), 0
		for ; done < burst; done++ {
			row := int(z.Uint64())
			call, cancel := context.Background(), context.CancelFunc(func() {})
			if r.IntN(impatient) == 0 {
				call, cancel = context.WithTimeout(call, time.Duration(r.IntN(int(2*time.Millisecond))))
			}
			f := t.judge.before(n.own, row)
			v, err := n.read(call, row, t.loader(row))
			switch {
			case err == nil:
				t.judge.after(i, row, f, v)
			case errors.Is(err, context.DeadlineExceeded) && call != context.Background():
				t.gaveUp.Add(1)
			case !n.ended(err):
				t.fail("node %d, a read: %v", i, err)
			}
			cancel()
			if err != nil {
				break
			}
		}
		t.reads.Add(int64(done))
		sleep(ctx, pause)
	}
}

// loader yields half of the time, and takes some time before and after it looks
// at the row for the other.
func (t *traffic) loader(row int) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		if rand.IntN(2) == 0 {
			runtime.Gosched()
			return t.source[row].Load(), nil
		}
		sleep(ctx, rand.N(loadTime/4))
		v := t.source[row].Load()
		sleep(ctx, rand.N(loadTime))
		return v, nil
	}
}

// kinds of writes, and how often each is made. What voids many rows is rare: what
// is old would be gone before it is older than the bound.
var kinds = []struct {
	weight int
	write  func(t *traffic, n *node, row int) (covered []int, queued bool, err error)
}{
	{3000, (*traffic).byKey}, {550, (*traffic).byMutate}, {440, (*traffic).bySet},
	{5, (*traffic).byTag}, {5, (*traffic).byPattern}, {1, (*traffic).byClear},
}

// write is one writer, so that it knows the newest version of all.
func (t *traffic) write(ctx context.Context, r *rand.Rand) {
	z := rand.NewZipf(r, 1.1, 4, rows-1)
	var bag []int
	for i, k := range kinds {
		for range k.weight {
			bag = append(bag, i)
		}
	}
	for {
		sleep(ctx, time.Duration(r.ExpFloat64()*float64(writeEvery)))
		if ctx.Err() != nil {
			return
		}
		i, row := r.IntN(len(t.places)), int(z.Uint64())
		kind := kinds[bag[r.IntN(len(bag))]]
		n := t.places[i].at()
		covered, queued, err := kind.write(t, n, row)
		for n.ended(err) { // perhaps after the commit, of which nobody was told then
			i = (i + 1) % len(t.places)
			n = t.places[i].at()
			covered, queued, err = kind.write(t, n, row)
		}
		t.writes.Add(1)
		switch {
		case errors.Is(err, tiercache.ErrNotMarked):
			t.refused.Add(1)
		case err != nil:
			t.fail("node %d, a write: %v", i, err)
		}
		if queued {
			t.queued.Add(1)
		}
		for _, row := range covered {
			t.judge.invalidated(n.own, row, t.source[row].Load(), err == nil && !queued)
		}
	}
}

func (t *traffic) byKey(n *node, row int) ([]int, bool, error) {
	t.source[row].Add(1)
	r, err := n.tiers.Invalidate(context.Background(), tiercache.Key(keyOf(row)))
	return []int{row}, r.Queued, err
}

func (t *traffic) byTag(n *node, row int) ([]int, bool, error) {
	t.source[row].Add(1)
	r, err := n.tiers.Invalidate(context.Background(), tiercache.Tag(tagOf(row)))
	return rowsLike(row), r.Queued, err
}

func (t *traffic) byPattern(n *node, row int) ([]int, bool, error) {
	t.source[row].Add(1)
	r, err := n.tiers.Invalidate(context.Background(), tiercache.Pattern(prefixOf(row)+"*"))
	return rowsLike(row), r.Queued, err
}

func (t *traffic) byMutate(n *node, row int) (covered []int, queued bool, err error) {
	r, err := n.tiers.Mutate(context.Background(), func(context.Context) error {
		t.source[row].Add(1)
		covered = []int{row}
		return nil
	}, tiercache.Key(keyOf(row)))
	return covered, r.Queued, err
}

// bySet does not learn whether it was queued. If nothing is, it was not, or has
// been sent since.
func (t *traffic) bySet(n *node, row int) ([]int, bool, error) {
	err := n.cache.Set(context.Background(), keyOf(row), record{row, t.source[row].Add(1)})
	return []int{row}, n.tiers.Health().Queued > 0, err
}

func (t *traffic) byClear(n *node, row int) ([]int, bool, error) {
	t.source[row].Add(1)
	r, err := n.tiers.Clear(context.Background())
	all := make([]int, rows)
	for i := range all {
		all[i] = i
	}
	return all, r.Queued, err
}

func rowsLike(row int) (all []int) {
	for i := group(row); i < rows; i += groups {
		all = append(all, i)
	}
	return all
}

// last reads every row everywhere, when all is over.
func (t *traffic) last(ctx context.Context) {
	for i, p := range t.places {
		for row := range rows {
			v, err := p.at().read(ctx, row, t.loader(row))
			if err != nil {
				t.fail("node %d, the last read of row %d: %v", i, row, err)
				continue
			}
			t.judge.settled(i, row, v, t.source[row].Load())
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
