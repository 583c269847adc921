package cachetest

import (
	"context"
	"fmt"
	"time"
)

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
