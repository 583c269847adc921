package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	firstReplay = 50 * time.Millisecond
	lastReplay  = 2 * time.Second
)

// wake tells the reader of c, who may be busy: once is enough.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// replay brings what is in the journal to Redis, for as long as it takes. What
// is queued while it waits does not end its waiting: in an outage every change
// would start all over.
func (e *Engine) replay() {
	wait := firstReplay
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-e.queued:
		case <-e.restored:
		}
		for e.replayOnce(e.ctx) > 0 {
			timer := time.NewTimer(wait/2 + rand.N(wait/2))
			select {
			case <-e.ctx.Done():
				timer.Stop()
				return
			case <-e.restored:
				timer.Stop()
				wait = firstReplay
			case <-timer.C:
				wait = min(2*wait, lastReplay)
			}
		}
		wait = firstReplay
	}
}

// replayOnce tries everything that waits, and returns how much still does. An
// entry goes only after Redis has done it: a read between the two would find no
// entry and the old value (model journal, -DCLEAR_FIRST).
func (e *Engine) replayOnce(ctx context.Context) int {
	b := e.journal.Batch()
	try := slices.DeleteFunc(b.Keys, func(k string) bool { return !e.remote.Usable(e.prefix + k) })
	if len(try) > 0 {
		_, failed := e.unlink(ctx, try)
		left := make(map[string]bool, len(failed))
		for _, k := range failed {
			left[k] = true
		}
		for _, k := range try {
			if !left[k] {
				e.journal.DoneKey(b, k)
			}
		}
	}
	for _, p := range b.Patterns {
		_, err := e.remote.DeleteMatching(ctx, e.prefix, p.Glob, false, nil)
		if e.failed(err); err == nil {
			e.journal.DonePattern(b, p)
		}
	}
	return e.journal.Len()
}
