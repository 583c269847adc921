package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/benchmarks/internal/host"
)

const (
	windows     = 5
	hotWindows  = 21 // of a hotShare of the time each: a ratio of two of them is as good as their number
	hotShare    = 4
	before      = 100 * time.Millisecond // of calls, when the fault begins
	warmTime    = 200 * time.Millisecond
	giveUp      = 30 * time.Second // waiting for Redis to be used again
	hotPerCold  = 10               // calls of the mix
	recoverPoll = time.Millisecond
	shortTurn   = 500 * time.Millisecond
)

// measured is one contender in one fault.
type measured struct {
	name       string
	mixCold    window // as Redis goes, each call timed
	mixHot     window
	cold, hot  []*window
	back       window          // calls after Redis had returned, until it was used
	backTimes  []time.Duration // until then, of each return; 0: not within giveUp
	coldFloors []*window       // the bare loader, of ours only
	hotFloors  []*window       // memory-only Tiers, of ours only
}

// bench measures one contender after another, never two at a time.
type bench struct {
	window, settle time.Duration
	turns          int          // of ours: how often Redis goes, the last times for shortTurn only
	cold           atomic.Int64 // keys used up
	hot            [hotKeys]string
}

func newBench(window, settle time.Duration, turns int) *bench {
	b := &bench{window: window, settle: settle, turns: turns}
	for i := range b.hot {
		// As long as keys are in services: in short ones some costs do not show.
		b.hot[i] = "tenant:42:user:100000" + strconv.Itoa(i) + ":profile"
	}
	return b
}

func (b *bench) newKey() string { return "tenant:42:user:cold:" + strconv.FormatInt(b.cold.Add(1), 10) }

func (b *bench) coldCalls(get func(context.Context, string) error) func(caller, n int) error {
	return func(int, int) error { return get(context.Background(), b.newKey()) }
}

func (b *bench) hotCalls(get func(context.Context, string) error) func(caller, n int) error {
	return func(caller, n int) error { return get(context.Background(), b.hot[(caller+n)%hotKeys]) }
}

func (b *bench) measure(ctx context.Context, f fault, open func(addr string) (contender, error)) (m measured, err error) {
	err = host.Run(ctx, f.name, func(t testing.TB) {
		r := f.rig(t)
		direct := r.server.Client()
		if f.early {
			r.begin()
		}
		c, err := open(r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.close() }) // it may tell of invalidations that were not sent
		m = measured{name: c.name, mixCold: window{batch: 1}, mixHot: window{batch: 1}, back: window{batch: 1}}
		if !f.early {
			b.warm(t, c)
		}
		b.mix(&m, c, r, f.early, b.settle)
		// Hot keys first: memory may not serve for ever what it had before.
		batch := bigBatch
		if f.unsteady || m.mixHot.per(50) > float64(tooShort) {
			batch = 1
		}
		hot, cold := series{hotWindows, b.window / hotShare, batch}, series{windows, b.window, 1}
		if c.name == oursName {
			floor, err := memoryOnly()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = floor.close() }()
			b.warm(t, floor)
			m.hot, m.hotFloors = hot.beside(b.hotCalls(c.get), b.hotCalls(floor.get))
			m.cold, m.coldFloors = cold.beside(b.coldCalls(c.get), b.coldCalls(bare))
		} else {
			m.hot = hot.alone(b.hotCalls(c.get))
			m.cold = cold.alone(b.coldCalls(c.get))
		}
		r.end()
		b.recover(t, &m, c, direct)
		for turn := 1; turn < b.turns && c.name == oursName; turn++ {
			b.mix(&m, c, r, false, shortTurn)
			r.end()
			b.recover(t, &m, c, direct)
		}
	})
	return m, err
}

// warm has the hot keys in memory, if there is one, and connections open.
func (b *bench) warm(t testing.TB, c contender) {
	t.Helper()
	for deadline := time.Now().Add(giveUp); c.inUse != nil && !c.inUse(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not use Redis before the fault", c.name)
		}
		time.Sleep(recoverPoll)
	}
	w := drive(warmTime, 1, func(caller, n int) error {
		if n%2 == 0 {
			return b.coldCalls(c.get)(caller, n)
		}
		return b.hotCalls(c.get)(caller, n/2)
	})
	if w.errors > 0 {
		t.Fatalf("%s before the fault: %v", c.name, w.first)
	}
}

// mix makes calls of both kinds while the fault begins, and until it is settled.
func (b *bench) mix(m *measured, c contender, r rig, begun bool, settle time.Duration) {
	var mu sync.Mutex // guards the two
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		everyCaller(1, func(caller int, _ *window) {
			cold, hot := &window{batch: 1}, &window{batch: 1}
			timed := func(w *window, call func(caller, n int) error, n int) {
				at := time.Now()
				if err := call(caller, n); err != nil {
					w.fail(err)
				}
				w.times.Add(time.Since(at))
				w.calls++
			}
			for n := 0; !over.Load(); n++ {
				if n%(1+hotPerCold) == 0 {
					timed(cold, b.coldCalls(c.get), n)
				} else {
					timed(hot, b.hotCalls(c.get), n)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			m.mixCold.merge(cold)
			m.mixHot.merge(hot)
		})
	}()
	defer func() { <-done }()
	defer over.Store(true)
	if !begun {
		time.Sleep(before)
		r.begin()
	}
	time.Sleep(settle)
}

// series is how many windows of calls, how long each, and how many calls are timed as one.
type series struct {
	windows int
	window  time.Duration
	batch   int
}

// beside measures windows of calls and of their floor in turn.
func (s series) beside(calls, floor func(caller, n int) error) (of, ofFloor []*window) {
	for range s.windows {
		ofFloor = append(ofFloor, drive(s.window, s.batch, floor))
		of = append(of, drive(s.window, s.batch, calls))
	}
	return of, ofFloor
}

// alone stops after a window that took twice its time: its calls are so slow that
// the next would tell the same.
func (s series) alone(calls func(caller, n int) error) (of []*window) {
	for range s.windows {
		w := drive(s.window, s.batch, calls)
		of = append(of, w)
		if w.took > 2*s.window {
			break
		}
	}
	return of
}

// recover calls until a value that was just loaded is found in Redis, and the
// contender says that it uses it, if it says anything.
func (b *bench) recover(t testing.TB, m *measured, c contender, direct *redis.Client) {
	began := time.Now()
	var found atomic.Int64
	var over atomic.Bool
	ended := func() bool { return over.Load() || time.Since(began) > giveUp }
	m.back.merge(everyCaller(1, func(_ int, w *window) {
		for !ended() {
			key := b.newKey()
			at := time.Now()
			if err := c.get(t.Context(), key); err != nil {
				w.fail(err)
			}
			w.times.Add(time.Since(at))
			w.calls++
			n, err := direct.Exists(t.Context(), c.key(key)).Result()
			if err != nil {
				w.fail(fmt.Errorf("asking Redis itself: %w", err))
			}
			if n > 0 && (c.inUse == nil || c.inUse()) {
				found.CompareAndSwap(0, int64(time.Since(began)))
				over.Store(true)
			}
		}
	}))
	m.backTimes = append(m.backTimes, time.Duration(found.Load()))
}
