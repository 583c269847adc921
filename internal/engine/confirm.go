package engine

import (
	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/envelope"
)

// A fill comes back to its node as a push, and the server merges pushes of one
// key: mine and another's change cannot be told apart. So for a while after a fill
// a push puts its item in doubt: it is not served until the head of what stands in
// Redis was read and carries the fill's token (model echo).

const (
	ownFor       = int64(1e9) // how long a push may be that of one's own fill, nanoseconds
	confirmLimit = 1 << 12    // items in doubt that may wait
	confirmBatch = 128
	confirmTries = 3
)

// doubtLocked puts an item in doubt. The shard of its key is locked.
func (e *Engine) doubtLocked(it *item) {
	if ablate.Out(ablate.Doubt) {
		return
	}
	if it.Meta.doubt.Swap(true) {
		return // it waits already, or is being looked at: the move of the generation tells
	}
	it.Meta.plain.Store(0)
	select {
	case e.doubted <- it:
	default: // the item stays in doubt: a miss, until Redis is read
	}
}

// confirm looks after items in doubt until the engine closes.
func (e *Engine) confirm() {
	for {
		var batch []*item
		select {
		case <-e.ctx.Done():
			return
		case it := <-e.doubted:
			batch = append(batch, it)
		}
	gather:
		for len(batch) < confirmBatch {
			select {
			case it := <-e.doubted:
				batch = append(batch, it)
			default:
				break gather
			}
		}
		for try := 0; len(batch) > 0 && try < confirmTries; try++ {
			batch = e.confirmAll(batch)
		}
	}
}

// confirmAll returns the items whose generation moved meanwhile.
func (e *Engine) confirmAll(batch []*item) (left []*item) {
	keys := make([]string, len(batch))
	seen := make([]validity, len(batch))
	for i, it := range batch {
		keys[i] = e.prefix + it.Key
		seen[i] = e.sample(it.Hash, keys[i])
	}
	heads, err := e.remote.Heads(e.ctx, keys)
	if err != nil {
		return nil
	}
	for i, it := range batch {
		h, ok := envelope.OpenHead(heads[i].Raw)
		same := ok && (h.Kind == envelope.Value || h.Kind == envelope.Absent) && h.Stamp == heads[i].Stamp &&
			(h.Token == it.Meta.token || ablate.Out(ablate.RearmToken))
		if !e.judgeDoubt(it, seen[i], same) {
			left = append(left, it)
		}
	}
	return left
}

// judgeDoubt is false if a push came after the look:
//
//	look: the head is mine | another: DEL | push | (unguarded) served again
func (e *Engine) judgeDoubt(it *item, seen validity, same bool) bool {
	s := e.shard(it.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.mem.Get(it.Hash, it.Key) != it {
		return true
	}
	if !same {
		e.mem.Delete(it.Hash, it.Key)
		return true
	}
	if s.pushed.Load() != seen.pushed && !ablate.Out(ablate.RearmMoved) {
		return false
	}
	it.Meta.doubt.Store(false)
	if !it.Meta.absent {
		it.Meta.plain.Store(it.Meta.early)
	}
	return true
}
