package tiercache

import (
	"math"
	"time"

	"github.com/tiercache/tiercache/internal/engine"
	"github.com/tiercache/tiercache/internal/latency"
)

// CacheStats are one cache's counts since it was made. One Get, GetOrLoad, Lookup or
// Refresh is one operation, and a hit or a miss:
//
//	Operations = Hits + Misses
//	Hits       = MemoryHits + RedisHits
//
// They hold exactly while nothing runs. A call that was refused for its key, or
// after Close, is none, nor is what a Warmer loads.
type CacheStats struct {
	Name string

	Operations int64
	Hits       int64 // answered from memory or Redis
	Misses     int64 // answered by a load, one's own or one joined; or not at all
	MemoryHits int64
	RedisHits  int64
	AbsentHits int64 // those of Hits whose answer was that there is no such thing
	StaleHits  int64 // those of Hits whose answer was past its TTL, see Options.StaleFor

	Loads      int64 // runs of a loader
	LoadErrors int64 // those that ended in an error other than not-found
	Refreshes  int64 // those of Loads that ran in the background, before expiry
	Warmed     int64 // those of Loads that a Warmer's jobs asked for
	Unmodified int64 // those of Loads that ended in ErrNotModified
	Coalesced  int64 // operations that joined another's read or load

	// Why operations missed: by what stands in Redis and is no answer, else by what
	// memory has, else by a bounded memory of what this process had, or could not store.
	//
	//	Misses = ColdMisses + ExpiredMisses + InvalidatedMisses + EvictedMisses + RefusedMisses
	//
	// It holds at any time. What only Redis had, and has not any more, is cold, and so
	// is what it has while it cannot be reached. That Redis evicts a key is heard as a
	// deletion of it: invalidated.
	ColdMisses        int64 // nothing is known of the key: first asked for, or too long ago
	ExpiredMisses     int64 // past its TTL by now, whatever took it away before; or made so by Expire or Refresh
	InvalidatedMisses int64 // by key, tag, pattern, Clear or Mutate, here or elsewhere; or hearing was lost
	EvictedMisses     int64 // memory had no room for it, and Redis has it not
	RefusedMisses     int64 // the last answer was not stored, or is not believed: see FillsRefused, TooLarge, Rejected, LoadErrors

	FillsRefused int64 // loaded, and not stored: invalidated meanwhile
	Rejected     int64 // found in Redis and not believed: foreign, damaged, undecodable
	TooLarge     int64 // longer than Config.LargestValue, or under a key of more than 64 KiB: not stored
	Errors       int64 // failed operations of Redis or of the codec
	Dropped      int64 // refreshes not begun, and leases left to run out, because too much waited to be done

	// How long operations took, by what answered them; those that memory answered are
	// timed by sampling, one in 64. WaitTime is of Misses, and of StaleHits that waited
	// for a load first. LoadTime is of Loads.
	MemoryTime Latency
	RedisTime  Latency
	WaitTime   Latency
	LoadTime   Latency

	AverageTime time.Duration // of an operation

	// Of memory, now: Sub leaves these two as they are.
	Entries int64
	Bytes   int64 // with the overhead of each entry

	Evictions int64 // entries that had to go to make room for others

	usualLoad time.Duration // mean of LoadTime since the cache was made
}

// Latency tells how long things took. Quantiles are at most an eighth too large.
type Latency struct {
	Count         int64 // of what was timed
	Mean          time.Duration
	P50, P95, P99 time.Duration

	of *latency.Counts // what Sub needs; nil: nothing was timed
}

// HitRate is Hits as a share of Operations, from 0 to 1; 0 if there are none.
func (s CacheStats) HitRate() float64 {
	if s.Operations == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Operations)
}

// LoadsSaved is how many runs of a loader the cache has spared its callers: one for
// each operation that none was run for.
func (s CacheStats) LoadsSaved() int64 {
	return max(0, s.Operations-s.Loads+s.Refreshes+s.Warmed)
}

// TimeSaved is how long the source would have worked on LoadsSaved, each as long as the
// mean of LoadTime, or if there is none of an interval, as that since the cache was
// made; 0 before the first load, and at most 292 years.
func (s CacheStats) TimeSaved() time.Duration {
	load := s.LoadTime.Mean
	if s.LoadTime.Count == 0 {
		load = s.usualLoad
	}
	if saved := float64(s.LoadsSaved()) * float64(load); saved < math.MaxInt64 {
		return time.Duration(saved)
	}
	return math.MaxInt64
}

// Stats are the counts of Tiers.
type Stats struct {
	At   time.Time     // when they were taken
	Span time.Duration // of what the counts are: since Open, or of Sub between the two

	Total  CacheStats   // of all caches
	Caches []CacheStats // in the order in which they were made

	KeyInvalidations     int64 // keys named to Invalidate or Delete
	TagInvalidations     int64
	PatternInvalidations int64
	Clears               int64
	InvalidationErrors   int64 // failed operations of these in Redis, while it was in use; the rest is queued

	MemoryEntries   int64
	MemoryBytes     int64 // with the overhead of each entry
	MemoryBudget    int64 // Config.MemoryBytes
	MemoryEvictions int64

	WarmRuns     int64 // runs of a Warmer's jobs in this process that have ended
	WarmLoads    int64 // keys that those loaded
	WarmFailures int64 // keys that they could not load

	Mode    string         // as in Health
	Queued  int            // as in Health: invalidations that wait for Redis
	Masters []MasterHealth // as in Health: circuit, next probe, hearing
}

// Stats of everything since Open.
func (t *Tiers) Stats() Stats {
	h := t.Health()
	s := Stats{At: time.Now(), Mode: h.Mode, Queued: h.Queued, Masters: h.Masters}
	s.Span = s.At.Sub(t.opened)
	var total engine.Counts
	caches := t.eng.Caches()
	for i, n := range t.eng.Counts(caches) {
		s.Caches = append(s.Caches, cacheStats(caches[i].Name(), n))
		total.Merge(&n)
	}
	s.Total = cacheStats("", total)
	s.KeyInvalidations, s.TagInvalidations, s.PatternInvalidations, s.Clears, s.InvalidationErrors = t.eng.Invalidations()
	all := t.eng.Memory()
	s.MemoryEntries, s.MemoryBytes, s.MemoryEvictions = all.Items, all.Bytes, all.Evictions
	s.MemoryBudget = t.budget
	s.WarmRuns, s.WarmLoads, s.WarmFailures = t.eng.Warming()
	return s
}

func cacheStats(name string, n engine.Counts) CacheStats {
	hits := n.MemoryHits + n.RedisHits
	s := CacheStats{
		Name:         name,
		Operations:   hits + n.Misses,
		Hits:         hits,
		Misses:       n.Misses,
		MemoryHits:   n.MemoryHits,
		RedisHits:    n.RedisHits,
		AbsentHits:   n.AbsentHits,
		Loads:        n.Loads,
		LoadErrors:   n.LoadErrors,
		Coalesced:    n.Coalesced,
		FillsRefused: n.FillsRefused,
		Rejected:     n.Rejected,
		Errors:       n.Errors,
		StaleHits:    n.StaleHits,
		Refreshes:    n.Refreshes,
		Warmed:       n.Warmed,
		Unmodified:   n.Unmodified,
		TooLarge:     n.TooLarge,
		Dropped:      n.Dropped,
		MemoryTime:   latencyOf(&n.FromMemory),
		RedisTime:    latencyOf(&n.FromRedis),
		WaitTime:     latencyOf(&n.Waited),
		LoadTime:     latencyOf(&n.Loading),

		ColdMisses:        n.Cold,
		ExpiredMisses:     n.Expired,
		InvalidatedMisses: n.Invalidated,
		EvictedMisses:     n.Evicted,
		RefusedMisses:     n.Unstored,

		Entries:   n.Stored.Items,
		Bytes:     n.Stored.Bytes,
		Evictions: n.Stored.Evictions,
	}
	s.usualLoad = s.LoadTime.Mean
	s.AverageTime = s.averageTime(s.MemoryTime.Mean)
	return s
}

// averageTime of an operation, if one that memory answers takes so long.
func (s *CacheStats) averageTime(memory time.Duration) time.Duration {
	if s.Operations == 0 {
		return 0
	}
	total := float64(memory)*float64(s.MemoryHits) + float64(s.RedisTime.Sum()+s.WaitTime.Sum())
	return time.Duration(total / float64(s.Operations))
}

func latencyOf(c *latency.Counts) Latency {
	if c.N == 0 {
		return Latency{}
	}
	own := *c
	return Latency{Count: c.N, Mean: c.Mean(), P50: c.Quantile(0.50), P95: c.Quantile(0.95), P99: c.Quantile(0.99), of: &own}
}

// Health is what is known of the tiers without asking anybody.
type Health struct {
	Mode      string        // "memory", "single", "sentinel" or "cluster"
	Connected bool          // every known master has answered, and is in use; false with memory only, and just after Open
	Ping      time.Duration // the slowest master's last round trip
	Queued    int           // invalidations that wait for Redis
	Masters   []MasterHealth
}

// MasterHealth is one Redis master's.
type MasterHealth struct {
	Addr      string
	Connected bool
	Ping      time.Duration // 0: none yet

	// Stamp names this life of the server: what an earlier one stored is not
	// believed. Empty: the server does not say (INFO is refused, or it is a
	// miniredis), so a restart from an old snapshot goes unnoticed.
	Stamp string

	// Hearing is how this process hears what others change there: "tracking"
	// (everything that anybody does), "pubsub" (only what this library does; the
	// server refuses CLIENT TRACKING), "none" (nothing: Redis is read each time),
	// "connecting".
	Hearing string
	Fresh   bool // memory is served, since what was heard is younger than StalenessBound

	// State of its circuit: "closed" (in use), "read-only" (in use, and it takes no
	// writes: it is out of memory, or over a quota), "open" (out of use), "replaying"
	// (it answers; invalidations that had to wait go first).
	State     string
	NextProbe time.Duration // until it is asked whether that has changed; 0 if nobody waits for that
	Opens     int64         // how often it has gone out of use

	Lag    time.Duration // age of the last answer that vouches for what was heard; 0: none yet
	Losses int64         // how often hearing was lost since Open: connections, gaps, changed masters
	Epoch  uint64        // of hearing: what was stored under an earlier one is void

	// The connections for commands, of go-redis's pool. It is made anew when the server
	// restarts or changes its role, and its count begins anew then.
	PoolTotal, PoolIdle int64
	PoolTimeouts        int64 // how often a connection was waited for in vain
}

// Health tells the state of the tiers. It does not wait.
func (t *Tiers) Health() Health {
	mode, masters, queued := t.eng.Health()
	h := Health{Mode: mode, Queued: queued, Connected: len(masters) > 0}
	for _, m := range masters {
		h.Masters = append(h.Masters, MasterHealth{
			Addr: m.Addr, Connected: m.Connected, Ping: m.Ping, Stamp: m.Stamp, Hearing: m.Hearing.String(), Fresh: m.Fresh,
			State: m.State, NextProbe: m.NextProbe, Opens: m.Opens,
			Lag: m.Lag, Losses: m.Losses, Epoch: m.Epoch,
			PoolTotal: int64(m.Pool.TotalConns), PoolIdle: int64(m.Pool.IdleConns), PoolTimeouts: int64(m.Pool.Timeouts),
		})
		h.Connected = h.Connected && m.Connected
		h.Ping = max(h.Ping, m.Ping)
	}
	return h
}
