package memory

import (
	"runtime"
	"sync/atomic"
)

const gateStripes = 64

// gate keeps changes out of a closed policy, and its Close away from those under way.
//
// It is an RWMutex whose readers do not meet: each counts itself in a stripe
// picked by the hash, on a cache line of its own. A lock would cost every change the
// same two atomic operations, all on one line.
type gate struct {
	stripes [gateStripes]struct {
		inside atomic.Int64
		_      [56]byte
	}
	closed atomic.Bool
	_      [60]byte // read by every change: nothing that is written on its line
}

// enter returns a stripe to leave by, and whether the gate is open. If it is not
// there is nothing to leave. pick is any number, best a random one.
//
// Go's atomics are sequentially consistent: of "count myself, then read closed"
// here and "write closed, then read the counts" in shut, at least one sees the
// other's write. Either this call turns back or shut waits for it.
func (g *gate) enter(pick uint32) (stripe uint32, open bool) {
	stripe = pick % gateStripes
	g.stripes[stripe].inside.Add(1)
	if g.closed.Load() {
		g.stripes[stripe].inside.Add(-1)
		return 0, false
	}
	return stripe, true
}

func (g *gate) leave(stripe uint32) { g.stripes[stripe].inside.Add(-1) }

// shut closes the gate and returns when nobody is inside. It spins: calls last
// microseconds, and telling those inside to wake it would cost each of them.
func (g *gate) shut() {
	g.closed.Store(true)
	for i := range g.stripes {
		for g.stripes[i].inside.Load() != 0 {
			runtime.Gosched()
		}
	}
}
