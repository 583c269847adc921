package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/journal"
	"github.com/tiercache/tiercache/internal/remote"
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
	if ablate.Out(ablate.Replay) {
		for b := e.journal.Batch(); len(b.Entries) > 0; b.Entries = b.Entries[1:] {
			e.journal.Done(b, b.Entries[0])
		}
	}
	b := e.journal.Batch()
	of := make(map[journal.Kind][]string)
	for _, entry := range b.Entries {
		of[entry.Kind] = append(of[entry.Kind], entry.Text)
	}
	e.replayKeys(ctx, b, of[journal.Key])
	for _, scope := range of[journal.Tag] {
		failed := e.turn(ctx, scope, nil, nil)
		if len(failed) == 1 && failed[0] == scope {
			continue
		}
		var left []journal.Entry // of a scope: the others are done
		for _, name := range failed {
			left = append(left, journal.Entry{Kind: journal.Tag, Text: name})
		}
		e.dropTag(scope)
		e.journal.Replace(b, journal.Entry{Kind: journal.Tag, Text: scope}, left)
	}
	for _, text := range of[journal.Pattern] {
		entry := journal.Entry{Kind: journal.Pattern, Text: text}
		done := b.Part(entry)
		before := len(done)
		_, err := e.remote.DeleteMatching(ctx, remote.Sweep{Prefix: e.prefix, Pattern: text, Done: done})
		if err == nil {
			err = e.publish(ctx, newsPattern, text)
		}
		if e.failed(err); err == nil {
			e.dropPattern(text)
			e.journal.Done(b, entry)
		} else if len(done) > before {
			e.dropPattern(text)
			e.journal.Part(b, entry, done)
		}
	}
	return e.journal.Len()
}

// replayKeys comes first: a master is in use again once its keys are sent.
func (e *Engine) replayKeys(ctx context.Context, b journal.Batch, keys []string) {
	if len(keys) == 0 {
		return
	}
	_, failed := e.unlink(ctx, keys, false)
	left := make(map[string]bool, len(failed))
	for _, k := range failed {
		left[k] = true
	}
	keys = slices.DeleteFunc(keys, func(k string) bool { return left[k] })
	if len(keys) > 0 && e.publish(ctx, newsKey, keys...) == nil {
		for _, k := range keys {
			e.drop(k)
			e.journal.Done(b, journal.Entry{Kind: journal.Key, Text: k})
		}
	}
}
