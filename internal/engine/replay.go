package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstReplay = 50 * time.Millisecond
	lastReplay  = 2 * time.Second
)

func (e *Engine) wakeIf(queued bool) {
	if queued {
		e.wakeReplay()
	}
}

func (e *Engine) wakeReplay() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// replay brings what is in the journal to Redis, for as long as it takes.
func (e *Engine) replay() {
	wait := firstReplay
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-e.kick:
		}
		for e.replayOnce(e.ctx) > 0 {
			timer := time.NewTimer(wait/2 + rand.N(wait/2))
			select {
			case <-e.ctx.Done():
				timer.Stop()
				return
			case <-e.kick: // Redis is back, or there is more
				timer.Stop()
			case <-timer.C:
			}
			wait = min(2*wait, lastReplay)
		}
		wait = firstReplay
	}
}

// replayOnce tries everything that waits, and returns how much still does. An
// entry goes only after Redis has done it: a read between the two would find no
// entry and the old value (model journal, -DCLEAR_FIRST).
func (e *Engine) replayOnce(ctx context.Context) int {
	b := e.journal.Batch()
	if len(b.Keys) > 0 {
		_, failed := e.unlink(ctx, b.Keys)
		left := make(map[string]bool, len(failed))
		for _, k := range failed {
			left[k] = true
		}
		for _, k := range b.Keys {
			if !left[k] {
				e.journal.DoneKey(b, k)
			}
		}
	}
	for _, p := range b.Patterns {
		if _, err := e.remote.DeleteMatching(ctx, e.prefix, p.Glob, p.Owner); err == nil {
			e.journal.DonePattern(b, p)
		}
	}
	return e.journal.Len()
}
