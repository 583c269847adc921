package cachetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// station is one node with its readers and writers.
type station struct {
	cfg    ConsistencyConfig
	index  int
	life   int // how often the node's process has been started before
	node   node
	judge  *judge
	source source
	told   func(trouble string)

	// crash, if set, is called inside each marked Mutate after its commit, and may
	// end the process.
	crash func(committed rowVersion)

	// alone is held by whoever writes one of the rows that are Set, by row, from
	// before the commit until all know.
	alone []sync.Mutex

	wg sync.WaitGroup
}

func newStation(cfg ConsistencyConfig, index int, n node, j *judge, s source, told func(string)) *station {
	return &station{cfg: cfg, index: index, node: n, judge: j, source: s, told: told, alone: make([]sync.Mutex, cfg.Rows)}
}

// start begins the traffic, which ends with ctx; wait for wg then.
func (s *station) start(ctx context.Context) {
	for i := range s.cfg.Readers {
		s.wg.Go(func() { s.read(ctx, s.rand(i)) })
	}
	for i := range s.cfg.Writers {
		s.wg.Go(func() { s.write(ctx, s.rand(1000+i)) })
	}
}

func (s *station) rand(goroutine int) *rand.Rand {
	return rand.New(rand.NewPCG(s.cfg.Seed, uint64(s.index)<<40|uint64(s.life)<<20|uint64(goroutine)))
}

// rows chooses among the rows, the first ones most often.
func (s *station) rows(r *rand.Rand) func() int {
	z := rand.NewZipf(r, 1.1, 4, uint64(s.cfg.Rows-1))
	return func() int { return int(z.Uint64()) }
}

func (s *station) count(which int) { s.judge.board.add(s.index, which, 1) }

// burst is how many reads follow each other without a pause, so that what is
// tested is the cache and not the scheduler.
const burst = 16

func (s *station) read(ctx context.Context, r *rand.Rand) {
	next := s.rows(r)
	for n := 0; ctx.Err() == nil; n++ {
		row, how := next(), r.IntN(64)
		before, after := s.loadTimes(r)
		if n%burst == 0 {
			wait(ctx, time.Duration(r.IntN(int(time.Millisecond))))
		}
		call, cancel := context.Background(), context.CancelFunc(func() {})
		if how == 0 { // one who will not wait
			call, cancel = context.WithTimeout(call, time.Duration(r.IntN(int(2*time.Millisecond))))
		}
		s.readOnce(call, row, how%8 == 1, before, after)
		cancel()
	}
}

func (s *station) readOnce(ctx context.Context, row int, get bool, before, after time.Duration) {
	f := s.judge.before(s.index, row)
	var v int64
	var err error
	if get {
		var ok bool
		v, ok, err = s.node.get(ctx, row)
		if err == nil && !ok {
			s.count(countMisses)
			return
		}
	} else {
		v, err = s.node.getOrLoad(ctx, row, func(ctx context.Context) (int64, error) {
			s.count(countLoads)
			wait(ctx, before)
			found, err := s.source.versions([]int{row})
			if err != nil {
				return 0, err
			}
			wait(ctx, after)
			return found[0].version, nil
		})
	}
	switch {
	case err == nil:
		s.judge.after(s.index, row, f, v)
	case over(ctx) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
		s.count(countGaveUp)
	default:
		s.count(countErrors)
		s.told(fmt.Sprintf("node %d, a read: %v", s.index, err))
	}
}

// loadTimes are how long a load takes before it looks at the row and after.
func (s *station) loadTimes(r *rand.Rand) (before, after time.Duration) {
	longest := 0
	switch n := r.IntN(50); {
	case n == 0:
		longest = 20 * int(s.cfg.LoadTime)
	case n < 25:
		longest = int(s.cfg.LoadTime)
	}
	return time.Duration(r.IntN(longest/4 + 1)), time.Duration(r.IntN(2*longest + 1))
}

func (s *station) write(ctx context.Context, r *rand.Rand) {
	next, kind := s.rows(r), s.kinds(r)
	for {
		pause := time.Duration(r.ExpFloat64() * float64(s.cfg.WriteEvery))
		to := target{kind: kind(), row: next(), variant: r.IntN(64)}
		short := r.IntN(16)
		wait(ctx, pause)
		if ctx.Err() != nil {
			return
		}
		call, cancel := context.Background(), context.CancelFunc(func() {})
		switch short {
		case 0: // the request that made the change has gone
			call, cancel = context.WithCancel(call)
			cancel()
		case 1:
			call, cancel = context.WithTimeout(call, time.Millisecond)
		}
		s.writeOnce(call, to)
		cancel()
	}
}

// kinds chooses a kind by the weights.
func (s *station) kinds(r *rand.Rand) func() Kind {
	var bag []Kind
	for _, k := range kinds {
		if s.node.can(k) {
			for range s.cfg.Kinds[k] {
				bag = append(bag, k)
			}
		}
	}
	if len(bag) == 0 {
		bag = []Kind{ByKey}
	}
	return func() Kind { return bag[r.IntN(len(bag))] }
}

// place moves a write to where it is allowed: a group of rows is Set, each row
// by one node, and no other commits them.
func (s *station) place(to target) (_ target, alone bool) {
	if s.cfg.Kinds[BySet] == 0 || s.cfg.Rows < groups {
		if to.kind == BySet {
			to.kind = ByKey
		}
		return to, false
	}
	ofSets := func(row int) bool { return group(row) == groups-1 }
	mine := func(row int) bool { return row/groups%s.cfg.NodeCount == s.index }
	if to.kind == BySet {
		to.row = to.row/groups*groups + groups - 1
		for n := 0; n < s.cfg.NodeCount && to.row < s.cfg.Rows; n++ {
			if mine(to.row) {
				return to, true
			}
			to.row += groups
		}
		to.kind, to.row = ByKey, 0
		return to, false
	}
	if ofSets(to.row) && !mine(to.row) {
		to.row--
	}
	return to, ofSets(to.row)
}

func (s *station) writeOnce(ctx context.Context, to target) {
	to, alone := s.place(to)
	if alone {
		s.alone[to.row].Lock()
		defer s.alone[to.row].Unlock()
	}
	var covered []rowVersion
	commit := func() error {
		version, err := s.source.commit(to.row)
		if err != nil {
			return err
		}
		if to.kind == ByMutate && !to.unmarked() && s.crash != nil {
			s.crash(rowVersion{to.row, version})
		}
		covered, err = s.source.versions(to.covers(s.cfg.Rows))
		return err
	}
	var queued bool
	var err error
	if to.kind == ByMutate {
		queued, err = s.node.mutate(ctx, to, func(context.Context) error {
			return commit()
		})
		if covered == nil {
			s.count(countRefused)
			s.refused(ctx, err)
			return
		}
	} else if err = commit(); err == nil {
		if to.kind == BySet {
			err = s.node.set(ctx, to.row, covered[0].version)
			// A Set does not say whether it was queued. If nothing is, it was not, or
			// has been sent since.
			queued = s.node.queued() > 0
		} else {
			queued, err = s.node.invalidate(ctx, to)
		}
	}
	s.judge.invalidated(s.index, covered, err == nil && !queued)
	s.judge.board.add(s.index, countKinds+indexOf(to.kind), 1)
	if queued {
		s.count(countQueued)
	}
	if err != nil {
		s.count(countErrors)
		s.told(fmt.Sprintf("node %d, a write (%s): %v", s.index, to.kind, err))
	}
}

// refused judges a Mutate that did not run its function: that is right if it
// could not mark, or was not to wait.
func (s *station) refused(ctx context.Context, err error) {
	if err == nil || !notMarked(err) && !over(ctx) {
		s.count(countErrors)
		s.told(fmt.Sprintf("node %d, a mutate that did nothing: %v", s.index, err))
	}
}

// over tells whether ctx has ended, or should have: its timer may be late, and
// what obeys the deadline is then early.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

func indexOf(k Kind) int {
	for i, one := range kinds {
		if one == k {
			return i
		}
	}
	panic("bug: no such kind: " + string(k))
}

// wait waits for d or the end of ctx. No time at all is a few yields of the
// processor, which is where races are.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		for range 3 {
			runtime.Gosched()
		}
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
