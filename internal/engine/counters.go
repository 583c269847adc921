package engine

import (
	"sync/atomic"

	"github.com/tiercache/tiercache/internal/latency"
	"github.com/tiercache/tiercache/internal/memory"
)

const sampling = 64 // one memory hit in so many is timed; power of two

// counters of one cache. The hits of memory alone are on a hot path, see
// memory.Reads: what else a hit may count is rare, or one in sampling.
type counters struct {
	hits   *memory.Reads
	stored *memory.Account

	// How long it took, by what answered: memory, of which one hit in sampling is
	// timed; Redis; or nothing before a load was waited for. And each run of a loader.
	fromMemory, fromRedis, waited, loading latency.Histogram

	redisHits    atomic.Int64
	misses       [causes]atomic.Int64
	absentHits   atomic.Int64 // those of all hits that answered "no such thing"
	loads        atomic.Int64
	loadErrors   atomic.Int64
	coalesced    atomic.Int64
	fillsRefused atomic.Int64
	rejected     atomic.Int64 // bytes in Redis that were not believed
	errors       atomic.Int64
	staleHits    atomic.Int64 // those of all hits that answered past the TTL
	refreshes    atomic.Int64 // loads in the background, before expiry
	warmed       atomic.Int64 // loads that a job asked for
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
	Dropped, TooLarge, Warmed                 int64
	FromMemory, FromRedis, Waited, Loading    latency.Counts

	// Those of Misses, by cause.
	Cold, Expired, Invalidated, Evicted, Unstored int64

	Stored memory.Sums
}

func (c *counters) snapshot() Counts {
	s := Counts{
		Cold:         c.misses[cold].Load(),
		Expired:      c.misses[expired].Load(),
		Invalidated:  c.misses[invalidated].Load(),
		Evicted:      c.misses[evicted].Load(),
		Unstored:     c.misses[unstored].Load(),
		RedisHits:    c.redisHits.Load(),
		AbsentHits:   c.absentHits.Load(),
		Loads:        c.loads.Load(),
		LoadErrors:   c.loadErrors.Load(),
		Coalesced:    c.coalesced.Load(),
		FillsRefused: c.fillsRefused.Load(),
		Rejected:     c.rejected.Load(),
		Errors:       c.errors.Load(),
		StaleHits:    c.staleHits.Load(),
		Refreshes:    c.refreshes.Load(),
		Unmodified:   c.unmodified.Load(),
		Warmed:       c.warmed.Load(),
		Dropped:      c.dropped.Load(),
		TooLarge:     c.tooLarge.Load(),
	}
	s.Misses = s.Cold + s.Expired + s.Invalidated + s.Evicted + s.Unstored
	s.MemoryHits = c.hits.Count()
	s.FromMemory, s.FromRedis = c.fromMemory.Counts(), c.fromRedis.Counts()
	s.Waited, s.Loading = c.waited.Counts(), c.loading.Counts()
	s.Stored = c.stored.Sums()
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
	c.Warmed += o.Warmed
	c.Dropped += o.Dropped
	c.TooLarge += o.TooLarge
	c.Cold += o.Cold
	c.Expired += o.Expired
	c.Invalidated += o.Invalidated
	c.Evicted += o.Evicted
	c.Unstored += o.Unstored
	c.Stored.Items += o.Stored.Items
	c.Stored.Bytes += o.Stored.Bytes
	c.Stored.Evictions += o.Stored.Evictions
	c.FromMemory.Merge(&o.FromMemory)
	c.FromRedis.Merge(&o.FromRedis)
	c.Waited.Merge(&o.Waited)
	c.Loading.Merge(&o.Loading)
}

// invalidations of one Engine by kind.
type invalidations struct{ keys, tags, patterns, clears, failed atomic.Int64 }

// Invalidations asked for, by kind, and how many operations of theirs failed.
func (e *Engine) Invalidations() (keys, tags, patterns, clears, failed int64) {
	return e.kinds.keys.Load(), e.kinds.tags.Load(), e.kinds.patterns.Load(), e.kinds.clears.Load(), e.kinds.failed.Load()
}

// Memory tells what the memory tier holds.
func (e *Engine) Memory() memory.Sums { return e.mem.Sums(nil) }

// warmed counts what the jobs of this process did.
type warmed struct{ runs, loads, failures atomic.Int64 }

// Warmed counts a run of a job that has ended.
func (e *Engine) Warmed(done, failed int) {
	e.warmed.runs.Add(1)
	e.warmed.loads.Add(int64(done))
	e.warmed.failures.Add(int64(failed))
}

// Warming is how many runs of jobs have ended, and for how many keys they did and did
// not do what they were to.
func (e *Engine) Warming() (runs, loads, failures int64) {
	return e.warmed.runs.Load(), e.warmed.loads.Load(), e.warmed.failures.Load()
}
