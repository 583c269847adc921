package engine

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	stripes  = 16 // power of two
	sampling = 64 // one memory hit in so many is timed; power of two
)

// counters of one cache. The only ones on the way of a memory hit are striped.
type counters struct {
	hits [stripes]hitStripe

	redisHits    atomic.Int64
	misses       atomic.Int64
	absentHits   atomic.Int64 // those of all hits that answered "no such thing"
	loads        atomic.Int64
	loadErrors   atomic.Int64
	coalesced    atomic.Int64
	fillsRefused atomic.Int64
	rejected     atomic.Int64 // bytes in Redis that were not believed
	errors       atomic.Int64
	staleHits    atomic.Int64 // those of all hits that answered past the TTL
	refreshes    atomic.Int64 // loads in the background, before expiry
	unmodified   atomic.Int64 // loads that said that the value has not changed
	dropped      atomic.Int64 // what was not done in the background, since too much waited
	tooLarge     atomic.Int64 // loaded or set, and too large to be stored
	slowNanos    atomic.Int64 // time of all operations that memory did not answer
}

type hitStripe struct {
	n       atomic.Int64
	sampled atomic.Int64
	nanos   atomic.Int64
	_       [40]byte // a cache line
}

// Counts is a snapshot. The parts are read one after the other: identities hold
// exactly when nothing runs.
type Counts struct {
	MemoryHits, RedisHits, AbsentHits, Misses int64
	Loads, LoadErrors, Coalesced              int64
	FillsRefused, Rejected, Errors            int64
	StaleHits, Refreshes, Unmodified          int64
	Dropped, TooLarge                         int64
	AverageTime                               time.Duration
}

func (c *counters) snapshot() Counts {
	s := Counts{
		RedisHits:    c.redisHits.Load(),
		AbsentHits:   c.absentHits.Load(),
		Misses:       c.misses.Load(),
		Loads:        c.loads.Load(),
		LoadErrors:   c.loadErrors.Load(),
		Coalesced:    c.coalesced.Load(),
		FillsRefused: c.fillsRefused.Load(),
		Rejected:     c.rejected.Load(),
		Errors:       c.errors.Load(),
		StaleHits:    c.staleHits.Load(),
		Refreshes:    c.refreshes.Load(),
		Unmodified:   c.unmodified.Load(),
		Dropped:      c.dropped.Load(),
		TooLarge:     c.tooLarge.Load(),
	}
	var sampled, nanos int64
	for i := range c.hits {
		s.MemoryHits += c.hits[i].n.Load()
		sampled += c.hits[i].sampled.Load()
		nanos += c.hits[i].nanos.Load()
	}
	total := float64(c.slowNanos.Load())
	if sampled > 0 {
		total += float64(nanos) / float64(sampled) * float64(s.MemoryHits)
	}
	if ops := s.MemoryHits + s.RedisHits + s.Misses; ops > 0 {
		s.AverageTime = time.Duration(total / float64(ops))
	}
	return s
}

// lot is the one random number that a memory hit lives from: it picks stripes,
// of the counters and of memory's gate, and says whether the hit is timed.
type lot uint32

func draw() lot               { return lot(rand.Uint32()) }
func (l lot) sampled() bool   { return l>>8&(sampling-1) == 0 }
func (l lot) stripe() int     { return int(l & (stripes - 1)) }
func (c *counters) hit(l lot) { c.hits[l.stripe()].n.Add(1) }

func (c *counters) time(l lot, nanos int64) {
	s := &c.hits[l.stripe()]
	s.sampled.Add(1)
	s.nanos.Add(nanos)
}

// invalidations of one Engine by kind.
type invalidations struct{ keys, tags, patterns, clears, failed atomic.Int64 }

// Invalidations asked for, by kind, and how many operations of theirs failed.
func (e *Engine) Invalidations() (keys, tags, patterns, clears, failed int64) {
	return e.kinds.keys.Load(), e.kinds.tags.Load(), e.kinds.patterns.Load(), e.kinds.clears.Load(), e.kinds.failed.Load()
}

// Memory tells what the memory tier holds.
func (e *Engine) Memory() (entries, bytes, evictions int64) {
	return int64(e.mem.Len()), e.mem.Bytes(), e.mem.Evictions()
}
