package cachetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Consistency runs nodes with readers and writers, injects faults, judges every
// read, and fails the test if one returned what it may not, or if the run
// proves nothing. What it did is in the test's log, and returned.
//
// It returns when everything has ended that it started. Call it from the test's
// own goroutine.
func Consistency(t testing.TB, cfg ConsistencyConfig) Result {
	t.Helper()
	cfg, err := cfg.checked()
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if cfg.Processes != nil {
		r = runProcesses(t, cfg)
	} else {
		var nodes []node
		if nodes, err = openNodes(cfg); err != nil {
			t.Fatal(err)
		}
		r = run(t.Context(), cfg, nodes)
	}
	t.Log(r)
	if !r.OK() {
		t.Error("cachetest: not consistent")
	}
	return r
}

func openNodes(cfg ConsistencyConfig) (nodes []node, err error) {
	if cfg.Nodes == nil {
		return nil, fmt.Errorf("cachetest: ConsistencyConfig.Nodes is missing")
	}
	defer func() {
		if err != nil {
			for _, n := range nodes {
				_ = n.close()
			}
		}
	}()
	for i := range cfg.NodeCount {
		n, err := openNode(cfg.Nodes, i, cfg)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// run is Consistency with nodes of any kind, in this process. It closes them.
func run(ctx context.Context, cfg ConsistencyConfig, nodes []node) Result {
	base := time.Now()
	now := func() int64 { return int64(time.Since(base)) }
	board := shape(cfg.Rows, len(nodes), cfg.Duration)
	board.cells = make([]int64, board.size())
	judge := newJudge(board, cfg.Bound, now, nil)
	truth := newTable(cfg.Rows)
	var trouble troubles

	var stations []*station
	for i, n := range nodes {
		stations = append(stations, newStation(cfg, i, n, judge, truth, trouble.add))
	}
	// A Redis that is not new may have rows of an earlier run, with greater
	// versions than this one will ever have.
	if _, err := nodes[0].invalidate(ctx, target{kind: ByClear}); err != nil {
		trouble.add(fmt.Sprintf("clearing at the beginning: %v", err))
	}
	traffic, stop := context.WithCancel(ctx)
	var injected map[string]int
	func() {
		// A fault that fails the test ends this goroutine.
		ended := false
		defer func() {
			stop()
			for _, s := range stations {
				s.wg.Wait()
			}
			if !ended {
				closeAll(nodes, &trouble)
			}
		}()
		for _, s := range stations {
			s.start(traffic)
		}
		injected = injectFaults(ctx, cfg)
		ended = true
	}()

	awaitSettled(ctx, cfg, func() (queued int) {
		for _, n := range nodes {
			queued += n.queued()
		}
		return queued
	}, &trouble)
	for _, s := range stations {
		s.last(ctx)
		memory, redis := s.node.answers()
		board.add(s.index, countMemory, memory)
		board.add(s.index, countRedis, redis)
	}
	closeAll(nodes, &trouble)

	r := resultOf(cfg, board)
	r.Duration = time.Since(base)
	r.Faults = injected
	r.Breaches = judge.first
	r.Trouble = trouble.list()
	return r
}

func closeAll(nodes []node, trouble *troubles) {
	for i, n := range nodes {
		if err := n.close(); err != nil {
			trouble.add(fmt.Sprintf("node %d, closing: %v", i, err))
		}
	}
}

// injectFaults returns when the traffic has run for the Duration and every fault
// is healed.
func injectFaults(ctx context.Context, cfg ConsistencyConfig) map[string]int {
	done := make(map[string]int)
	r := rand.New(rand.NewPCG(cfg.Seed, 1<<60))
	began := time.Now()
	left := func() time.Duration { return cfg.Duration - time.Since(began) }
	if len(cfg.Faults) > 0 {
		wait(ctx, cfg.Duration/8)
	}
	for n := r.IntN(1000); len(cfg.Faults) > 0 && ctx.Err() == nil; n++ {
		f := cfg.Faults[n%len(cfg.Faults)]
		rest := f.Rest
		setDefault(&rest, 2*time.Second)
		if done[f.Name] > 0 && left() < f.For+rest/2 {
			break
		}
		inject(ctx, f)
		done[f.Name]++
		wait(ctx, rest/2+time.Duration(r.Int64N(int64(rest))))
	}
	wait(ctx, max(left(), time.Millisecond))
	return done
}

func inject(ctx context.Context, f Fault) {
	if f.Heal != nil {
		defer f.Heal()
	}
	f.Inject(ctx)
	if f.For > 0 {
		wait(ctx, f.For)
	}
}

// awaitSettled waits until nothing is queued anywhere, and then for the bound.
func awaitSettled(ctx context.Context, cfg ConsistencyConfig, queued func() int, trouble *troubles) {
	for deadline := time.Now().Add(cfg.Settle); ; wait(ctx, 10*time.Millisecond) {
		n := queued()
		if n == 0 {
			break
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			trouble.add(fmt.Sprintf("after %v of no faults still queued: %d", cfg.Settle, n))
			break
		}
	}
	wait(ctx, cfg.Bound+10*time.Millisecond)
}

// last reads every row, which must be the newest.
func (s *station) last(ctx context.Context) {
	for row := range s.cfg.Rows {
		load := func(context.Context) (int64, error) { return newestOf(s.source, row) }
		call, cancel := context.WithTimeout(ctx, 10*time.Second)
		got, err := s.node.getOrLoad(call, row, load)
		cancel()
		newest, truthErr := newestOf(s.source, row)
		if err != nil || truthErr != nil {
			s.count(countErrors)
			s.told(fmt.Sprintf("node %d, the last read of row %d: %v %v", s.index, row, err, truthErr))
			continue
		}
		s.count(countReads)
		s.judge.settled(s.index, row, got, newest)
	}
}

func newestOf(s source, row int) (int64, error) {
	v, err := s.versions([]int{row})
	if err != nil {
		return 0, err
	}
	return v[0].version, nil
}

// resultOf is what the board has.
func resultOf(cfg ConsistencyConfig, b *board) Result {
	r := Result{
		Seed:    cfg.Seed,
		Nodes:   cfg.NodeCount,
		Reads:   b.sum(countReads),
		Misses:  b.sum(countMisses),
		GaveUp:  b.sum(countGaveUp),
		Errors:  b.sum(countErrors),
		Queued:  b.sum(countQueued),
		Refused: b.sum(countRefused),
		Crashes: b.sum(countCrashes),
		Memory:  b.sum(countMemory),
		Redis:   b.sum(countRedis),
		Loads:   b.sum(countLoads),
		I1:      b.sum(countI1),
		I2:      b.sum(countI2),
		I3:      b.sum(countI3),
		Oldest:  b.oldest(),
		Writes:  make(map[Kind]int64),
	}
	for i, k := range kinds {
		if n := b.sum(countKinds + i); n > 0 {
			r.Writes[k] = n
		}
	}
	return r
}

// troubles keeps the first few reasons why a run proves nothing.
type troubles struct {
	n     atomic.Int64
	mu    sync.Mutex // guards first
	first []string
}

const mostTroubles = 10

func (t *troubles) add(what string) {
	if t.n.Add(1) > mostTroubles {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.first = append(t.first, what)
}

func (t *troubles) list() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.n.Load(); n > mostTroubles {
		return append(t.first, fmt.Sprintf("and %d more", n-mostTroubles))
	}
	return t.first
}
