package batch

import (
	"context"
	"sync"
)

// Batch is a number of keys of which some will be loaded, each by a load of its own
// that comes when it comes. The loader is called once for them, as soon as each of
// the others is known not to come with them.
//
// Who waits for somebody else must leave first, or two batches wait for each other:
//
//	A of {1, 2}: leads 1, waits for B's 2 | B of {2, 1}: leads 2, waits for A's 1
//
// With the 2 of A and the 1 of B gone, both batches load what they lead.
type Batch[V any] struct {
	load    Loader[V]
	running func(delta int)
	base    context.Context

	mu   sync.Mutex // guards what follows; taken before run's
	left int        // how many have neither come nor gone
	run  *run[V]
}

// Part is one key of a batch. The nil Part is of none.
type Part[V any] struct {
	of   *Batch[V]
	key  string
	told bool // has come or gone; guarded by of.mu
}

// New makes a batch of keys, and a Part for each. The context of the loader has the
// values of ctx. running, if it is not nil, is called with 1 when the loader is
// about to be called, and with -1 when it has returned.
func New[V any](ctx context.Context, keys []string, load Loader[V], running func(delta int)) []Part[V] {
	b := &Batch[V]{load: load, running: running, base: ctx, left: len(keys), run: newRun[V](ctx, len(keys))}
	parts := make([]Part[V], len(keys))
	for i, k := range keys {
		parts[i] = Part[V]{of: b, key: k}
	}
	return parts
}

// Leave says that the key will not be loaded together with the others: somebody else
// loads it, or it has an answer. After Load it does nothing.
func (p *Part[V]) Leave() {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.tellLocked()
}

// Load loads the key with the others of its batch, and returns at the end of ctx at
// the latest. If the key has left it, or was loaded before, it is loaded alone.
func (p *Part[V]) Load(ctx context.Context) (V, error) {
	b := p.of
	b.mu.Lock()
	r := b.run
	if p.told {
		r = newRun[V](b.base, 1)
		r.add(p.key)
		r.start(b.load, b.running)
	} else {
		r.add(p.key)
		p.tellLocked()
	}
	b.mu.Unlock()
	return r.result(ctx, p.key)
}

func (p *Part[V]) tellLocked() {
	if p.told {
		return
	}
	p.told = true
	if p.of.left--; p.of.left == 0 {
		p.of.run.start(p.of.load, p.of.running)
	}
}
