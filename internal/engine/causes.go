package engine

import (
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/memory"
)

// Why an operation misses is told by what still stands there: bytes in Redis that are
// not believed, an item in memory that is not served. Where nothing does, ghosts
// remember what went away and why. All of it is asked and written on the path of a
// miss and of a change; a hit knows nothing of it.

type cause uint8

const (
	unexplained cause = iota
	cold
	expired
	invalidated
	evicted
	unstored // or not believed
	causes

	// faded: memory's own time for it was over, and it stood in Redis. Never counted.
	faded = causes
)

// ghosts is a table of what left memory, or was never stored, one place for each group
// of hashes: who comes to it later has it. So it forgets, sooner the more there is, and
// what it forgot is cold.
//
// A place has, from the top:
//
//	27 bits of the hash, which with those of the index tell keys apart
//	34 bits of a time, in ticks of 8 ms since base
//	 3 bits of a cause
//
// From that time on the key would be gone in any case: it is expired then, whatever
// went before. What is written beside another is lost, and counted wrong once: nothing
// hangs on it.
type ghosts struct {
	base  int64
	slots []atomic.Uint64 // their number is a power of two
}

const (
	causeBits = 3
	timeBits  = 34
	tickBits  = 23 // of nanoseconds, that a tick has

	never = 1<<timeBits - 1

	leastGhosts = 1 << 10
	mostGhosts  = 1 << 22
	// ghostEvery is how many bytes of the budget there is a ghost for: 3 % more memory.
	// If an item takes a KiB, four times as many keys are remembered as there is room
	// for; with no more than that, those of twice as many that come and go would be
	// forgotten, most of them, before they are asked for again.
	ghostEvery = 256
)

func newGhosts(memoryBytes int64) ghosts {
	n := leastGhosts
	for int64(n) < memoryBytes/ghostEvery && n < mostGhosts {
		n *= 2
	}
	return ghosts{base: now(), slots: make([]atomic.Uint64, n)}
}

func (g *ghosts) slot(hash uint64) *atomic.Uint64 { return &g.slots[hash&uint64(len(g.slots)-1)] }

// note writes down why a key is gone, until when that is the reason.
func (g *ghosts) note(hash uint64, why cause, until uint64) {
	g.slot(hash).Store(hash&^(1<<(timeBits+causeBits)-1) | until<<causeBits | uint64(why))
}

func (g *ghosts) look(hash uint64) (why cause, until uint64) {
	is := g.slot(hash).Load()
	if is == 0 || (is^hash)>>(timeBits+causeBits) != 0 {
		return cold, never
	}
	return cause(is & (1<<causeBits - 1)), is >> causeBits & never
}

// of is why a key that is nowhere is not there.
func (g *ghosts) of(hash uint64, at int64) cause {
	why, until := g.look(hash)
	return g.by(why, until, at)
}

func (g *ghosts) by(why cause, until uint64, at int64) cause {
	if until != never && g.tick(at) >= until {
		return expired
	}
	return why
}

func (g *ghosts) tick(at int64) uint64 { return min(uint64(max(0, at-g.base))>>tickBits, never) }

// removed is the note for a key that memory does not have, and that Redis may have had.
// A second pass finds what the first has written.
func (g *ghosts) removed(hash uint64) {
	switch why, until := g.look(hash); why {
	case evicted, faded:
		g.note(hash, invalidated, until)
	case cold, unstored:
		g.note(hash, invalidated, never)
	}
}

// left is told of each item that leaves memory, before it does.
func (e *Engine) left(it *item, how memory.Leaving) {
	why, until := it.Meta.fate(e, how)
	e.ghosts.note(it.Hash, why, until)
}

// fate is why an item is gone that left memory so.
func (m *meta) fate(e *Engine, how memory.Leaving) (why cause, until uint64) {
	switch {
	case how == memory.NoRoom:
		why = evicted
	case how == memory.Swept && (!m.heard || m.owner.spec.MemoryOnly):
		return expired, never
	case how == memory.Swept:
		why = faded
	default:
		why = invalidated
	}
	if m.expires-e.ghosts.base > never<<tickBits {
		return why, never
	}
	return why, e.ghosts.tick(m.expires - min(int64(expiryMargin), (m.expires-m.created)/10))
}

// expiryMargin is how long before its end in memory a value may end in Redis, which
// counts from before the fill was acknowledged: a push tells of that as of any change.
const expiryMargin = 50 * time.Millisecond

// because is why key misses. seen is what a read of Redis has found, nil: there was
// none. forced: it was not to be answered from memory.
func (c *Cache) because(hash uint64, key string, seen *outcome, forced bool) cause {
	gone := seen != nil && (seen.verdict == nothing || seen.verdict == leased) // from Redis
	why := c.lacks(hash, key, seen, forced, gone)
	switch {
	case why != faded:
		return why
	case gone: // before its TTL
		return invalidated
	}
	return expired
}

func (c *Cache) lacks(hash uint64, key string, seen *outcome, forced, gone bool) cause {
	e := c.eng
	switch {
	case len(key) > longestKey:
		return unstored
	case seen != nil && seen.why != unexplained:
		return seen.why
	}
	it, at := e.mem.Get(hash, key), now()
	if it == nil {
		return e.ghosts.of(hash, at)
	}
	m := &it.Meta
	switch {
	case m.owner != c:
		return unstored
	case at >= m.fresh:
		why, until := m.fate(e, memory.Swept)
		return e.ghosts.by(why, until, at)
	case e.patterns.table.Load().voids(m.seq.Load(), key):
		return invalidated
	case m.ear != nil && !m.heard: // of an outage that is over
		return unstored
	case m.ear != nil && m.epoch != m.ear.Epoch(), m.doubt.Load():
		return invalidated
	}
	for _, g := range m.gens {
		if g.of.current.Load() != g {
			return invalidated
		}
	}
	switch {
	case e.serves(it, at) != no: // somebody has stored it meanwhile
		if forced {
			return expired // says the caller
		}
		return e.ghosts.of(hash, at)
	case gone:
		return invalidated // while nobody told this node
	}
	return unstored // nobody vouches for it, and Redis does not say
}
