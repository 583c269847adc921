package cachetest

import (
	"context"
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

// over tells whether ctx has ended, or should have: its timer may be late, and
// what obeys the deadline is then early.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
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
