package cacheotel

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/tiercache/tiercache"
)

// kind of instrument: what only grows, what can be added up over processes, and what
// cannot.
type kind int

const (
	counter kind = iota
	level
	gauge
)

// instrument is one name, and how its values are made of S. put is called once for each
// value, with those of the attributes that S itself does not have.
type instrument[S any] struct {
	name, unit, help string
	kind             kind
	values           func(s *S, put sink)
}

type (
	tiers  = tiercache.Stats
	cache  = tiercache.CacheStats
	master = tiercache.MasterHealth
	sink   = func(value float64, attributes ...attribute.KeyValue)
)

var (
	states   = []string{"closed", "read-only", "open", "replaying"}
	hearings = []string{"tracking", "pubsub", "none", "connecting"}
)

var ofTiers = []instrument[tiers]{
	{"tiercache.info", "{info}", "1, with how Redis is used: memory (not at all), single, sentinel, cluster.", gauge,
		func(s *tiers, put sink) { put(1, attribute.String("mode", s.Mode)) }},
	{"tiercache.invalidations", "{invalidation}", "Keys, tags, patterns and whole caches that this process invalidated.", counter,
		func(s *tiers, put sink) {
			put(float64(s.KeyInvalidations), attribute.String("kind", "key"))
			put(float64(s.TagInvalidations), attribute.String("kind", "tag"))
			put(float64(s.PatternInvalidations), attribute.String("kind", "pattern"))
			put(float64(s.Clears), attribute.String("kind", "clear"))
		}},
	{"tiercache.invalidation_errors", "{error}", "Operations of invalidations that failed in Redis while it was in use. They are queued.", counter,
		func(s *tiers, put sink) { put(float64(s.InvalidationErrors)) }},
	{"tiercache.queued_invalidations", "{invalidation}", "Invalidations that wait for Redis.", level,
		func(s *tiers, put sink) { put(float64(s.Queued)) }},
	{"tiercache.memory.budget", "By", "What the entries of all caches may take in memory.", level,
		func(s *tiers, put sink) { put(float64(s.MemoryBudget)) }},
	{"tiercache.warm_runs", "{run}", "Runs of a Warmer's jobs in this process that have ended.", counter,
		func(s *tiers, put sink) { put(float64(s.WarmRuns)) }},
	{"tiercache.warm_loads", "{key}", "Keys that a Warmer loaded.", counter,
		func(s *tiers, put sink) { put(float64(s.WarmLoads)) }},
	{"tiercache.warm_failures", "{key}", "Keys that a Warmer could not load.", counter,
		func(s *tiers, put sink) { put(float64(s.WarmFailures)) }},
}

var ofCaches = []instrument[cache]{
	count("tiercache.operations", "{operation}", "Reads, each a hit or a miss.", func(s *cache) int64 { return s.Operations }),
	{"tiercache.hits", "{operation}", "Reads that a tier answered.", counter,
		func(s *cache, put sink) {
			put(float64(s.MemoryHits), attribute.String("tier", "memory"))
			put(float64(s.RedisHits), attribute.String("tier", "redis"))
		}},
	{"tiercache.misses", "{operation}", "Reads that no tier answered, and why.", counter,
		func(s *cache, put sink) {
			put(float64(s.ColdMisses), attribute.String("cause", "cold"))
			put(float64(s.ExpiredMisses), attribute.String("cause", "expired"))
			put(float64(s.InvalidatedMisses), attribute.String("cause", "invalidated"))
			put(float64(s.EvictedMisses), attribute.String("cause", "evicted"))
			put(float64(s.RefusedMisses), attribute.String("cause", "refused"))
		}},
	count("tiercache.absent_hits", "{operation}", "Those hits whose answer was that there is no such thing.", func(s *cache) int64 { return s.AbsentHits }),
	count("tiercache.stale_hits", "{operation}", "Those hits whose answer was past its TTL.", func(s *cache) int64 { return s.StaleHits }),
	count("tiercache.coalesced", "{operation}", "Reads that joined another's read or load.", func(s *cache) int64 { return s.Coalesced }),
	count("tiercache.loads", "{load}", "Runs of a loader.", func(s *cache) int64 { return s.Loads }),
	count("tiercache.load_errors", "{load}", "Those loads that ended in an error other than not-found.", func(s *cache) int64 { return s.LoadErrors }),
	count("tiercache.refreshes", "{load}", "Those loads that ran in the background, before expiry.", func(s *cache) int64 { return s.Refreshes }),
	count("tiercache.warmed", "{load}", "Those loads that a Warmer asked for.", func(s *cache) int64 { return s.Warmed }),
	count("tiercache.unmodified", "{load}", "Those loads that found the value unmodified.", func(s *cache) int64 { return s.Unmodified }),
	count("tiercache.fills_refused", "{load}", "Loaded, and not stored: invalidated meanwhile.", func(s *cache) int64 { return s.FillsRefused }),
	count("tiercache.too_large", "{load}", "Loaded, and not stored: value or key too long.", func(s *cache) int64 { return s.TooLarge }),
	count("tiercache.rejected", "{value}", "Found in Redis and not believed: foreign, damaged, undecodable.", func(s *cache) int64 { return s.Rejected }),
	count("tiercache.errors", "{error}", "Failed operations of Redis or of the codec.", func(s *cache) int64 { return s.Errors }),
	count("tiercache.dropped", "{task}", "Refreshes not begun, and leases left to run out, because too much waited to be done.", func(s *cache) int64 { return s.Dropped }),
	count("tiercache.evictions", "{entry}", "Entries that had to leave memory to make room for others.", func(s *cache) int64 { return s.Evictions }),
	{"tiercache.memory.entries", "{entry}", "Entries in memory.", level,
		func(s *cache, put sink) { put(float64(s.Entries)) }},
	{"tiercache.memory.usage", "By", "Bytes in memory, with the overhead of each entry.", level,
		func(s *cache, put sink) { put(float64(s.Bytes)) }},
}

// count of each cache.
func count(name, unit, help string, of func(*cache) int64) instrument[cache] {
	return instrument[cache]{name, unit, help, counter, func(s *cache, put sink) { put(float64(of(s))) }}
}

var ofMasters = []instrument[master]{
	{"tiercache.redis.connected", "{master}", "1 if the master has answered and is in use.", gauge,
		func(s *master, put sink) { put(one(s.Connected)) }},
	{"tiercache.redis.ping", "s", "The last round trip. Absent before the first.", gauge,
		func(s *master, put sink) { seconds(s.Ping, put) }},
	{"tiercache.redis.circuit.state", "{state}", "1 for the state that the circuit is in, 0 for the others.", gauge,
		func(s *master, put sink) { oneOf(s.State, "state", states, put) }},
	{"tiercache.redis.circuit.opens", "{open}", "How often the master has gone out of use.", counter,
		func(s *master, put sink) { put(float64(s.Opens)) }},
	{"tiercache.redis.hearing.mode", "{mode}", "1 for how changes of others are heard there, 0 for the other ways.", gauge,
		func(s *master, put sink) { oneOf(s.Hearing, "mode", hearings, put) }},
	{"tiercache.redis.hearing.fresh", "{master}", "1 if memory is served, since what was heard is young enough.", gauge,
		func(s *master, put sink) { put(one(s.Fresh)) }},
	{"tiercache.redis.hearing.lag", "s", "Age of the last answer that vouches for what was heard. Absent before the first.", gauge,
		func(s *master, put sink) { seconds(s.Lag, put) }},
	{"tiercache.redis.hearing.losses", "{loss}", "How often hearing was lost.", counter,
		func(s *master, put sink) { put(float64(s.Losses)) }},
	{"tiercache.redis.hearing.epoch", "{epoch}", "Epoch of hearing. What memory stored under an earlier one is void.", gauge,
		func(s *master, put sink) { put(float64(s.Epoch)) }},
	{"tiercache.redis.pool.connections", "{connection}", "Connections for commands.", level,
		func(s *master, put sink) {
			put(float64(s.PoolIdle), attribute.String("state", "idle"))
			put(float64(s.PoolTotal-s.PoolIdle), attribute.String("state", "used"))
		}},
	{"tiercache.redis.pool.timeouts", "{timeout}", "How often a connection was waited for in vain.", counter,
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

func oneOf(is, attr string, all []string, put sink) {
	for _, a := range all {
		put(one(a == is), attribute.String(attr, a))
	}
}
