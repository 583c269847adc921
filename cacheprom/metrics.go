package cacheprom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiercache/tiercache"
)

// metric is one name, and how its values are made of S. put is called once for each
// value, with those of the labels that S itself does not have.
type metric[S any] struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	values func(s *S, put func(value float64, labels ...string))
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tiercache_"+name, help, labels, nil)
}

type (
	tiers  = tiercache.Stats
	cache  = tiercache.CacheStats
	master = tiercache.MasterHealth
	sink   = func(value float64, labels ...string)
)

var (
	states   = []string{"closed", "read-only", "open", "replaying"}
	hearings = []string{"tracking", "pubsub", "none", "connecting"}
)

var ofTiers = []metric[tiers]{
	{desc("info", "1, with how Redis is used: memory (not at all), single, sentinel, cluster.", "mode"), prometheus.GaugeValue,
		func(s *tiers, put sink) { put(1, s.Mode) }},
	{desc("invalidations_total", "Keys, tags, patterns and whole caches that this process invalidated.", "kind"), prometheus.CounterValue,
		func(s *tiers, put sink) {
			put(float64(s.KeyInvalidations), "key")
			put(float64(s.TagInvalidations), "tag")
			put(float64(s.PatternInvalidations), "pattern")
			put(float64(s.Clears), "clear")
		}},
	{desc("invalidation_errors_total", "Operations of invalidations that failed in Redis while it was in use. They are queued."), prometheus.CounterValue,
		func(s *tiers, put sink) { put(float64(s.InvalidationErrors)) }},
	{desc("queued_invalidations", "Invalidations that wait for Redis."), prometheus.GaugeValue,
		func(s *tiers, put sink) { put(float64(s.Queued)) }},
	{desc("memory_budget_bytes", "What the entries of all caches may take in memory."), prometheus.GaugeValue,
		func(s *tiers, put sink) { put(float64(s.MemoryBudget)) }},
	{desc("warm_runs_total", "Runs of a Warmer's jobs in this process that have ended."), prometheus.CounterValue,
		func(s *tiers, put sink) { put(float64(s.WarmRuns)) }},
	{desc("warm_loads_total", "Keys that a Warmer loaded."), prometheus.CounterValue,
		func(s *tiers, put sink) { put(float64(s.WarmLoads)) }},
	{desc("warm_failures_total", "Keys that a Warmer could not load."), prometheus.CounterValue,
		func(s *tiers, put sink) { put(float64(s.WarmFailures)) }},
}

var ofCaches = []metric[cache]{
	count("operations_total", "Reads, each a hit or a miss.", func(s *cache) int64 { return s.Operations }),
	{desc("hits_total", "Reads that a tier answered.", "cache", "tier"), prometheus.CounterValue,
		func(s *cache, put sink) {
			put(float64(s.MemoryHits), "memory")
			put(float64(s.RedisHits), "redis")
		}},
	{desc("misses_total", "Reads that no tier answered, and why.", "cache", "cause"), prometheus.CounterValue,
		func(s *cache, put sink) {
			put(float64(s.ColdMisses), "cold")
			put(float64(s.ExpiredMisses), "expired")
			put(float64(s.InvalidatedMisses), "invalidated")
			put(float64(s.EvictedMisses), "evicted")
			put(float64(s.RefusedMisses), "refused")
		}},
	count("absent_hits_total", "Those hits whose answer was that there is no such thing.", func(s *cache) int64 { return s.AbsentHits }),
	count("stale_hits_total", "Those hits whose answer was past its TTL.", func(s *cache) int64 { return s.StaleHits }),
	count("coalesced_total", "Reads that joined another's read or load.", func(s *cache) int64 { return s.Coalesced }),
	count("loads_total", "Runs of a loader.", func(s *cache) int64 { return s.Loads }),
	count("load_errors_total", "Those loads that ended in an error other than not-found.", func(s *cache) int64 { return s.LoadErrors }),
	count("refreshes_total", "Those loads that ran in the background, before expiry.", func(s *cache) int64 { return s.Refreshes }),
	count("warmed_total", "Those loads that a Warmer asked for.", func(s *cache) int64 { return s.Warmed }),
	count("unmodified_total", "Those loads that found the value unmodified.", func(s *cache) int64 { return s.Unmodified }),
	count("fills_refused_total", "Loaded, and not stored: invalidated meanwhile.", func(s *cache) int64 { return s.FillsRefused }),
	count("too_large_total", "Loaded, and not stored: value or key too long.", func(s *cache) int64 { return s.TooLarge }),
	count("rejected_total", "Found in Redis and not believed: foreign, damaged, undecodable.", func(s *cache) int64 { return s.Rejected }),
	count("errors_total", "Failed operations of Redis or of the codec.", func(s *cache) int64 { return s.Errors }),
	count("dropped_total", "Refreshes not begun, and leases left to run out, because too much waited to be done.", func(s *cache) int64 { return s.Dropped }),
	count("evictions_total", "Entries that had to leave memory to make room for others.", func(s *cache) int64 { return s.Evictions }),
	{desc("memory_entries", "Entries in memory.", "cache"), prometheus.GaugeValue,
		func(s *cache, put sink) { put(float64(s.Entries)) }},
	{desc("memory_usage_bytes", "Bytes in memory, with the overhead of each entry.", "cache"), prometheus.GaugeValue,
		func(s *cache, put sink) { put(float64(s.Bytes)) }},
}

// count of each cache.
func count(name, help string, of func(*cache) int64) metric[cache] {
	return metric[cache]{desc(name, help, "cache"), prometheus.CounterValue, func(s *cache, put sink) { put(float64(of(s))) }}
}

var ofMasters = []metric[master]{
	{desc("redis_connected", "1 if the master has answered and is in use.", "master"), prometheus.GaugeValue,
		func(s *master, put sink) { put(one(s.Connected)) }},
	{desc("redis_ping_seconds", "The last round trip. Absent before the first.", "master"), prometheus.GaugeValue,
		func(s *master, put sink) { seconds(s.Ping, put) }},
	{desc("redis_circuit_state", "1 for the state that the circuit is in, 0 for the others.", "master", "state"), prometheus.GaugeValue,
		func(s *master, put sink) { oneOf(s.State, states, put) }},
	{desc("redis_circuit_opens_total", "How often the master has gone out of use.", "master"), prometheus.CounterValue,
		func(s *master, put sink) { put(float64(s.Opens)) }},
	{desc("redis_hearing_mode", "1 for how changes of others are heard there, 0 for the other ways.", "master", "mode"), prometheus.GaugeValue,
		func(s *master, put sink) { oneOf(s.Hearing, hearings, put) }},
	{desc("redis_hearing_fresh", "1 if memory is served, since what was heard is young enough.", "master"), prometheus.GaugeValue,
		func(s *master, put sink) { put(one(s.Fresh)) }},
	{desc("redis_hearing_lag_seconds", "Age of the last answer that vouches for what was heard. Absent before the first.", "master"), prometheus.GaugeValue,
		func(s *master, put sink) { seconds(s.Lag, put) }},
	{desc("redis_hearing_losses_total", "How often hearing was lost.", "master"), prometheus.CounterValue,
		func(s *master, put sink) { put(float64(s.Losses)) }},
	{desc("redis_hearing_epoch", "Epoch of hearing. What memory stored under an earlier one is void.", "master"), prometheus.GaugeValue,
		func(s *master, put sink) { put(float64(s.Epoch)) }},
	{desc("redis_pool_connections", "Connections for commands.", "master", "state"), prometheus.GaugeValue,
		func(s *master, put sink) {
			put(float64(s.PoolIdle), "idle")
			put(float64(s.PoolTotal-s.PoolIdle), "used")
		}},
	{desc("redis_pool_timeouts_total", "How often a connection was waited for in vain.", "master"), prometheus.CounterValue,
		func(s *master, put sink) { put(float64(s.PoolTimeouts)) }},
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// seconds puts d, unless it is not known.
func seconds(d time.Duration, put sink) {
	if d > 0 {
		put(d.Seconds())
	}
}

func oneOf(is string, all []string, put sink) {
	for _, a := range all {
		put(one(a == is), a)
	}
}
