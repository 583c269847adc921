package batch

import (
	"context"
	"sync"
	"time"
)

// Gatherer gathers loads of single keys: the first opens a window, and all that come
// until it ends, or until there are enough, are loaded together.
type Gatherer[V any] struct {
	load   Loader[V]
	window time.Duration
	most   int

	mu    sync.Mutex // guards what follows; taken before run's
	open  *run[V]    // nil: none
	timer *time.Timer
}

// NewGatherer makes one for a window and a number of keys that are both positive.
func NewGatherer[V any](load Loader[V], window time.Duration, most int) *Gatherer[V] {
	return &Gatherer[V]{load: load, window: window, most: most}
}

// Load loads key together with others. base has the values that the loader's context
// has, if this key is the first. It returns at the end of ctx at the latest.
func (g *Gatherer[V]) Load(ctx, base context.Context, key string) (V, error) {
	g.mu.Lock()
	r := g.open
	if r == nil {
		r = newRun[V](base, 0)
		g.open = r
		g.timer = time.AfterFunc(g.window, func() { g.end(r) })
	}
	if r.add(key) >= g.most {
		g.timer.Stop()
		g.endLocked(r)
	}
	g.mu.Unlock()
	return r.result(ctx, key)
}

func (g *Gatherer[V]) end(r *run[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endLocked(r)
}

// endLocked starts r if it is open: its timer may have fired just before it was
// full.
func (g *Gatherer[V]) endLocked(r *run[V]) {
	if g.open == r {
		g.open = nil
		r.start(g.load, nil)
	}
}
