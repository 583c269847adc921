package advice

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// sound is an interval that nothing is wrong with: one cache with 90 %, on one Redis.
func sound() tiercache.Stats {
	ms := time.Millisecond
	c := tiercache.CacheStats{
		Name: "users", Operations: 10_000, Hits: 9_000, MemoryHits: 8_000, RedisHits: 1_000, Misses: 1_000, Loads: 1_000,
		ColdMisses: 400, ExpiredMisses: 300, InvalidatedMisses: 200, EvictedMisses: 50, RefusedMisses: 50,
		RedisTime: tiercache.Latency{Count: 1_000, Mean: ms / 2, P50: ms / 2, P95: ms, P99: 2 * ms},
		LoadTime:  tiercache.Latency{Count: 1_000, Mean: 20 * ms, P50: 20 * ms, P95: 30 * ms, P99: 40 * ms},
		Entries:   500, Bytes: 500 << 10,
	}
	total := c
	total.Name = ""
	return tiercache.Stats{
		Span: time.Minute, Total: total, Caches: []tiercache.CacheStats{c}, Mode: "single",
		KeyInvalidations: 200, MemoryEntries: 500, MemoryBytes: 500 << 10,
		Masters: []tiercache.MasterHealth{{Addr: "10.0.0.1:6379", Connected: true, Ping: ms / 2, Hearing: "tracking", Fresh: true, State: "closed"}},
	}
}

// missing gives a cache n misses of 10,000 operations, and no cause of them.
func missing(c *tiercache.CacheStats, n int64) {
	c.Misses, c.Hits = n, c.Operations-n
	c.MemoryHits, c.RedisHits = c.Hits, 0
	c.ColdMisses, c.ExpiredMisses, c.InvalidatedMisses, c.EvictedMisses, c.RefusedMisses = 0, 0, 0, 0, 0
}

// borders are, of each rule, an interval on its one side and one on the other.
var borders = []struct {
	rule    string
	yes, no func(s *tiercache.Stats, c *tiercache.CacheStats, m *tiercache.MasterHealth)
	text    string
}{
	{"redis-down",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			m.State, m.Opens, m.NextProbe, m.Fresh, m.Connected, m.Hearing = "open", 3, 1200*time.Millisecond, false, false, "connecting"
		},
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.Opens = 1 },
		"Redis at 10.0.0.1:6379 does not answer and is out of use. Memory and the loaders answer; it is asked again in 1.2 s. It has gone out of use 3 times in 60 s.",
	},
	{"redis-down",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.State = "replaying" },
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			s.Mode, s.Masters = "memory", nil
		},
		"Redis at 10.0.0.1:6379 answers again. It is used once the invalidations that waited for it have been sent.",
	},
	{"redis-down",
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			s.Mode, s.Masters = "cluster", nil
		},
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			s.Mode, s.Masters = "", nil
		},
		"No master of Redis is known yet: none of its addresses has answered. Memory and the loaders answer.",
	},
	{"queued",
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) { s.Queued = 1 },
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) { s.Queued = 0 },
		"1 invalidation waits for Redis: other processes may still serve what it voids.",
	},
	{"read-only",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.State = "read-only" },
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.State = "closed" },
		"Redis at 10.0.0.1:6379 takes no writes",
	},
	{"deaf",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.Fresh = false },
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			m.State, m.Fresh = "open", false
		},
		"it has not vouched for what was heard within Config.StalenessBound. Each read asks Redis.",
	},
	{"deaf",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			m.Hearing, m.Fresh = "connecting", false
		},
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			m.Hearing, m.Fresh = "none", false
		},
		"the connection that tells of changes is being made",
	},
	{"no-hearing",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			m.Hearing, m.Fresh = "none", false
		},
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.Hearing = "pubsub" },
		"it refuses CLIENT TRACKING and SUBSCRIBE",
	},
	{"redis-errors",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.Errors = 100 },
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.Errors = 99 },
		`100 operations of Redis or of the codec failed in 10,000 calls of cache "users".`,
	},
	{"load-errors",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.LoadErrors = 50 },
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.LoadErrors = 49 },
		`50 of 1,000 loads of cache "users" failed.`,
	},
	{"load-errors",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.Loads, c.LoadErrors = 10, 10
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.Loads, c.LoadErrors = 9, 9
		},
		`10 of 10 loads of cache "users" failed.`,
	},
	{"pool-timeouts",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.PoolTimeouts = 100 },
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.PoolTimeouts = 99 },
		"A connection to Redis was waited for in vain 100 times in 10,000 operations.",
	},
	{"unstable-redis",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.Opens, m.Losses = 1, 2 },
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) { m.Opens, m.Losses = 1, 1 },
		"Redis at 10.0.0.1:6379 is unstable: in 60 s it went out of use 1 time, and what it tells of changes was lost 2 times.",
	},
	{"unstable-redis",
		func(s *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			s.Span, m.Losses = 15*time.Minute, 3
		},
		func(s *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			s.Span, m.Losses = 16*time.Minute, 3
		},
		"in 15 min it went out of use 0 times, and what it tells of changes was lost 3 times.",
	},
	{"slow-redis",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.RedisTime.P95 = 25 * time.Millisecond
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.RedisTime.P95, c.RedisTime.Count = 40*time.Millisecond, 99
		},
		`of 1,000 reads that it answered in cache "users", one in twenty took 25 ms or more, half took up to 0.50 ms.`,
	},
	{"slow-redis",
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			m.Ping = 25 * time.Millisecond
		},
		func(_ *tiercache.Stats, _ *tiercache.CacheStats, m *tiercache.MasterHealth) {
			m.Ping = 25*time.Millisecond - 1
		},
		"Redis at 10.0.0.1:6379 is slow: its last round trip took 25 ms.",
	},
	{"too-large",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.TooLarge = 1 },
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.TooLarge = 0 },
		`1 value of cache "users" was not stored: longer than Config.LargestValue`,
	},
	{"rejected",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.Rejected = 100 },
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.Rejected = 99 },
		`100 values found in Redis for 10,000 operations of cache "users" were not believed`,
	},
	{"short-ttl",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 2_001)
			c.ExpiredMisses, c.ColdMisses = 1_001, 1_000
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 2_000)
			c.ExpiredMisses = 2_000
		},
		`The hit rate of cache "users" is 80 %: 1,001 of 2,001 misses were of values past their TTL.`,
	},
	{"small-memory",
		func(s *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.Evictions, c.EvictedMisses, c.RedisHits, s.MemoryEvictions = 100, 50, 950, 100
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.Evictions, c.EvictedMisses, c.RedisHits = 100, 50, 949
		},
		`Memory is too small: 100 entries had to go to make room, and 1,000 of 10,000 operations of cache "users" found nothing there and something in Redis, or loaded it again. Memory holds 500 KiB in 500 entries.`,
	},
	{"small-memory",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.EvictedMisses = 1_000 },
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.Evictions, c.RedisHits = 99, 5_000
		},
		"and 1,000 of 10,000 operations",
	},
	{"small-memory",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 4_000)
			c.EvictedMisses, c.ColdMisses = 2_001, 1_999
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.Evictions, c.RedisHits, c.MemoryHits, c.EvictedMisses = 5_000, 0, 9_000, 0
		},
		"and 2,001 of 10,000 operations",
	},
	{"specific-keys",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 6_000)
			c.ColdMisses, c.ExpiredMisses = 5_000, 1_000
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 5_000)
			c.ColdMisses = 5_000
		},
		`The hit rate of cache "users" is 40 %: 5,000 of 6,000 misses were of keys never asked for before, and there were 4,000 hits: most keys are asked for once.`,
	},
	{"cold-keys",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 5_000)
			c.ColdMisses = 5_000
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 5_001)
			c.ColdMisses = 5_001
		},
		`5,000 of 5,000 misses were of keys never asked for before. After a start that passes; else a Warmer can load them first.`,
	},
	{"wide-invalidation",
		func(s *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 3_000)
			c.InvalidatedMisses, c.ColdMisses = 1_501, 1_499
			s.PatternInvalidations, s.Clears = 12, 1
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 3_000)
			c.InvalidatedMisses, c.ColdMisses = 1_500, 1_500
		},
		`1,501 of 3,000 misses were of values that had been invalidated; this process invalidated 200 keys, 12 patterns and 1 Clear. Invalidate the keys`,
	},
	{"wide-invalidation",
		func(s *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.FillsRefused, s.KeyInvalidations = 200, 0
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.FillsRefused = 199 },
		`200 of 1,000 loads of cache "users" were not stored, since a write came meanwhile. Invalidate the keys`,
	},
	{"mixed-misses",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 3_000)
			c.ColdMisses, c.ExpiredMisses, c.RefusedMisses = 1_400, 1_400, 200
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 3_000)
			c.RefusedMisses, c.LoadErrors = 3_000, 3_000
			c.Loads = 3_000
		},
		`The hit rate of cache "users" is 70 %: 3,000 misses in 10,000 operations, of keys 1,400 never asked for before, 1,400 past their TTL and 200 not stored the last time.`,
	},
	{"mixed-misses",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 3_000)
			c.RefusedMisses = 3_000
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			missing(c, 3_000)
			c.RefusedMisses, c.FillsRefused = 3_000, 500
		},
		`3,000 misses in 10,000 operations, of keys 3,000 not stored the last time.`,
	},
	{"patterns",
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			s.PatternInvalidations = 60
		},
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			s.PatternInvalidations = 59
		},
		"60 patterns were invalidated in 60 s. Each scans all keys of Redis.",
	},
	{"patterns",
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			s.PatternInvalidations, s.Span = 10, 0
		},
		func(s *tiercache.Stats, _ *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			s.PatternInvalidations, s.Mode, s.Masters = 1000, "memory", nil
		},
		"10 patterns were invalidated in 0 s.",
	},
	{"fast-source",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.LoadTime.P50 = 400 * time.Microsecond
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.LoadTime.P50 = 450 * time.Microsecond
		},
		`The source of cache "users" is faster than Redis: half of 1,000 loads took up to 0.40 ms, half of 1,000 reads from Redis up to 0.50 ms.`,
	},
	{"fast-source",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.LoadTime.P50, c.Unmodified = time.Microsecond, 500
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.LoadTime.P50, c.LoadErrors = time.Microsecond, 501
		},
		"took up to 1 µs",
	},
	{"large-values",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.Bytes = 500 * 32 << 10 },
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) { c.Bytes = 500*32<<10 - 1 },
		`Values of cache "users" are large: 500 entries in memory have 16 MiB, 32 KiB each, and 1,000 reads came from Redis.`,
	},
	{"large-values",
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.Entries = 16 - 0
			c.Bytes = 1 << 40
		},
		func(_ *tiercache.Stats, c *tiercache.CacheStats, _ *tiercache.MasterHealth) {
			c.Entries = 15
			c.Bytes = 1 << 40
		},
		"have 1 TiB, 64 GiB each",
	},
}

func TestEachRuleSpeaksOnItsSideOfTheBorderOnly(t *testing.T) {
	t.Parallel()
	of := func(change func(*tiercache.Stats, *tiercache.CacheStats, *tiercache.MasterHealth), rule string) []Advice {
		s := sound()
		change(&s, &s.Caches[0], &s.Masters[0])
		s.Total = s.Caches[0]
		s.Total.Name = ""
		return slices.DeleteFunc(Of(s, nil), func(a Advice) bool { return a.Rule != rule })
	}
	tested := make(map[string]bool)
	for _, b := range borders {
		tested[b.rule] = true
		yes := of(b.yes, b.rule)
		if assert.Len(t, yes, 1, "%s: %s", b.rule, b.text) {
			assert.Contains(t, yes[0].Text, b.text)
			assert.True(t, strings.HasSuffix(yes[0].Text, "."), yes[0].Text)
		}
		assert.Empty(t, of(b.no, b.rule), "%s: %s", b.rule, b.text)
	}
	for _, r := range rules {
		assert.True(t, tested[r.name] || r.name == "hot-key", "%s has no border here", r.name)
	}
}

func TestAHotKeyIsToldOfByItsShareAndNotByItsName(t *testing.T) {
	t.Parallel()
	hot := []tiercache.HotKey{{Cache: "a", Key: "a:1", Share: 0.1}, {Cache: "users", Key: "user:secret", Share: 0.2}}
	s := sound()
	got := Of(s, hot)
	require.Len(t, got, 2)
	assert.Equal(t, "ok", got[0].Rule, "a hot key is no harm")
	assert.Equal(t, Advice{Rule: "hot-key", Cache: "users", Option: "Options.StaleFor",
		Text: `One key of cache "users" has 20 % of 8,000 reads that memory answered; HotKeys tells which. Memory serves it. With Options.StaleFor it is served also while its source fails.`}, got[1])

	for name, hot := range map[string][]tiercache.HotKey{
		"not hot": {{Cache: "users", Share: 0.199}}, "none": nil, "no number": {{Share: math.NaN()}}, "negative": {{Share: math.Inf(-1)}},
	} {
		assert.Len(t, Of(s, hot), 1, name)
	}
	s.Total.MemoryHits = leastSampled - 1
	assert.Len(t, Of(s, hot), 1, "too few to sample from")
}

func TestWhenAllIsWellThatIsSaidWithItsNumbers(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []Advice{{Rule: "ok", Text: "All is well: 90 % of 10,000 operations in 60 s were hits, 80 % from memory and 10 % from Redis. 1,000 loads were run."}}, Of(sound(), nil))
}

func TestTooLittleIsNotJudged(t *testing.T) {
	t.Parallel()
	few := sound()
	few.Caches[0].Operations, few.Caches[0].Errors = 99, 99
	few.Total = few.Caches[0]
	assert.Equal(t, []Advice{{Rule: "few", Text: "Too little to judge: 99 operations in 60 s, where 100 are needed."}}, Of(few, nil))

	assert.Equal(t, []Advice{{Rule: "few", Text: "Too little to judge: 0 operations in 0 s, where 100 are needed."}}, Of(tiercache.Stats{}, nil))

	few.Queued = 2
	got := Of(few, nil)
	require.Len(t, got, 2, "what Redis is like is known without operations")
	assert.Equal(t, "queued", got[0].Rule)

	idle := sound()
	idle.Caches = append(idle.Caches, tiercache.CacheStats{Name: "idle"}, tiercache.CacheStats{Name: "rare", Operations: 99, Misses: 99, ExpiredMisses: 99})
	assert.Equal(t, "ok", Of(idle, nil)[0].Rule, "one cache is judged, the others are not")
}

func TestALowHitRateOfManySmallCachesIsThatOfAll(t *testing.T) {
	t.Parallel()
	s := sound()
	s.Total.Operations, s.Total.Hits, s.Total.Misses, s.Total.ColdMisses = 20_000, 9_000, 11_000, 10_400
	got := Of(s, nil)
	require.Len(t, got, 1)
	assert.Equal(t, "mixed-misses", got[0].Rule)
	assert.Empty(t, got[0].Cache)
	assert.Contains(t, got[0].Text, "The hit rate of all caches together is 45 %: 11,000 misses in 20,000 operations")
}

func TestTheMostPressingIsFirst(t *testing.T) {
	t.Parallel()
	s := sound()
	b, c := s.Caches[0], s.Caches[0]
	b.Name, c.Name = "b", "c"
	missing(&b, 4_000)
	b.ExpiredMisses = 4_000
	missing(&c, 7_000)
	c.ColdMisses, c.LoadErrors = 7_000, 500
	c.Entries, c.Bytes, c.RedisHits = 100, 100<<20, 10
	s.Caches = append(s.Caches, b, c, c)
	s.Caches[3].Name = "also"
	s.Queued = 1
	s.Masters[0].State = "read-only"
	var got []string
	for _, a := range Of(s, nil) {
		got = append(got, strings.TrimSpace(a.Rule+" "+a.Cache))
	}
	assert.Equal(t, []string{
		"queued", "read-only",
		"load-errors c", "load-errors also",
		"specific-keys c", "specific-keys also", "short-ttl b",
		"large-values c", "large-values also",
	}, got)
}

func TestAStatusIsTheOperators(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]string{1: "good", 0.8: "good", 0.7999: "fair", 0.6: "fair", 0.5999: "poor", 0: "poor", -1: "poor"} {
		assert.Equal(t, want, Status(rate), rate)
	}
	assert.Equal(t, "poor", Status(math.NaN()))
}
