package engine

import (
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/memory"
)

const sampling = 64 // one memory hit in so many is timed; power of two

// counters of one cache. The hits of memory alone are on a hot path, see
// memory.Reads: what else a hit may count is rare, or one in sampling.
type counters struct {
	hits *memory.Reads

	timed, timedNanos atomic.Int64 // hits

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
	s.MemoryHits = c.hits.Count()
	total := float64(c.slowNanos.Load())
	if timed := c.timed.Load(); timed > 0 {
		total += float64(c.timedNanos.Load()) / float64(timed) * float64(s.MemoryHits)
	}
	if ops := s.MemoryHits + s.RedisHits + s.Misses; ops > 0 {
		s.AverageTime = time.Duration(total / float64(ops))
	}
	return s
}

func (c *counters) time(nanos int64) {
	c.timed.Add(1)
	c.timedNanos.Add(nanos)
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
