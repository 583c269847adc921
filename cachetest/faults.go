package cachetest

import (
	"context"
	"math/rand/v2"
	"time"
)

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
