package cachetest

import (
	"context"
	"fmt"
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
