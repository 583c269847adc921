package engine

import (
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/latency"
	"github.com/tiercache/tiercache/internal/memory"
)

const sampling = 64 // one memory hit in so many is timed; power of two

// counters of one cache. The hits of memory alone are on a hot path, see
// memory.Reads: what else a hit may count is rare, or one in sampling.
type counters struct {
	hits *memory.Reads

	// How long it took, by what answered: memory, of which one hit in sampling is
	// timed; Redis; or nothing before a load was waited for. And each run of a loader.
	fromMemory, fromRedis, waited, loading latency.Histogram

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
}

// Counts is a snapshot. The parts are read one after the other: identities hold
// exactly when nothing runs.
type Counts struct {
	MemoryHits, RedisHits, AbsentHits, Misses int64
	Loads, LoadErrors, Coalesced              int64
	FillsRefused, Rejected, Errors            int64
	StaleHits, Refreshes, Unmodified          int64
	Dropped, TooLarge                         int64
	FromMemory, FromRedis, Waited, Loading    latency.Counts
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
	s.FromMemory, s.FromRedis = c.fromMemory.Counts(), c.fromRedis.Counts()
	s.Waited, s.Loading = c.waited.Counts(), c.loading.Counts()
	return s
}

// Merge adds what o has.
func (c *Counts) Merge(o *Counts) {
	c.MemoryHits += o.MemoryHits
	c.RedisHits += o.RedisHits
	c.AbsentHits += o.AbsentHits
	c.Misses += o.Misses
	c.Loads += o.Loads
	c.LoadErrors += o.LoadErrors
	c.Coalesced += o.Coalesced
	c.FillsRefused += o.FillsRefused
	c.Rejected += o.Rejected
	c.Errors += o.Errors
	c.StaleHits += o.StaleHits
	c.Refreshes += o.Refreshes
	c.Unmodified += o.Unmodified
	c.Dropped += o.Dropped
	c.TooLarge += o.TooLarge
	c.FromMemory.Merge(&o.FromMemory)
	c.FromRedis.Merge(&o.FromRedis)
	c.Waited.Merge(&o.Waited)
	c.Loading.Merge(&o.Loading)
}

// AverageTime of an operation.
func (c *Counts) AverageTime() time.Duration {
	ops := c.MemoryHits + c.RedisHits + c.Misses
	if ops == 0 {
		return 0
	}
	total := float64(c.FromMemory.Mean())*float64(c.MemoryHits) + float64(c.FromRedis.Sum+c.Waited.Sum)
	return time.Duration(total / float64(ops))
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
