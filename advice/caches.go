package advice

import (
	"fmt"

	"github.com/tiercache/tiercache"
)

func loadErrors(_ *measured, c *tiercache.CacheStats) (string, int64) {
	n := c.LoadErrors
	if n < leastErrors || share(n, c.Loads) < manyLoadErrors {
		return "", 0
	}
	return fmt.Sprintf("%s of %s of cache %q failed. Options.StaleFor serves what is past its TTL meanwhile; if the error means that there is no such thing, Options.NotFound caches that.",
		count(n), many(c.Loads, "load", "loads"), c.Name), n
}

func tooLarge(_ *measured, c *tiercache.CacheStats) (string, int64) {
	n := c.TooLarge
	if n <= 0 {
		return "", 0
	}
	return fmt.Sprintf("%s of cache %q %s not stored: longer than Config.LargestValue, or under a key of more than 64 KiB. Each read of such a key loads.",
		many(n, "value", "values"), c.Name, plural(n, "was", "were")), n
}

func rejected(_ *measured, c *tiercache.CacheStats) (string, int64) {
	n := c.Rejected
	if n < leastErrors || share(n, c.Operations) < manyErrors {
		return "", 0
	}
	return fmt.Sprintf("%s found in Redis for %s of cache %q %s not believed: of another type or codec, or damaged. Builds that share values need the same Options.Schema; while a new one is rolled out this passes.",
		many(n, "value", "values"), many(c.Operations, "operation", "operations"), c.Name, plural(n, "was", "were")), n
}

// fastSource: where most loads fail or answer that nothing changed, they tell nothing of
// how long a value takes.
func fastSource(m *measured, c *tiercache.CacheStats) (string, int64) {
	load, redis := c.LoadTime, c.RedisTime
	if !m.usesRedis() || load.Count < leastLoads || redis.Count < leastLoads ||
		share(c.LoadErrors+c.Unmodified, c.Loads) > dominant ||
		float64(load.P50)*clearlyFaster > float64(redis.P50) {
		return "", 0
	}
	return fmt.Sprintf("The source of cache %q is faster than Redis: half of %s took up to %s, half of %s from Redis up to %s. With Options.MemoryOnly values stay in memory; each process then loads for itself.",
		c.Name, many(load.Count, "load", "loads"), took(load.P50), many(redis.Count, "read", "reads"), took(redis.P50)), redis.Count
}

// largeValues that stay in memory are nobody's trouble.
func largeValues(_ *measured, c *tiercache.CacheStats) (string, int64) {
	if c.RedisHits <= 0 || c.Entries < leastEntries || c.Bytes/c.Entries < largeValue {
		return "", 0
	}
	return fmt.Sprintf("Values of cache %q are large: %s in memory have %s, %s each, and %s came from Redis. Options.Compressor makes them shorter there, fewer fields everywhere.",
		c.Name, many(c.Entries, "entry", "entries"), size(c.Bytes), size(c.Bytes/c.Entries), many(c.RedisHits, "read", "reads")), c.RedisHits
}

// hotKey does not say which: texts go to logs and pages that may not show keys.
func hotKey(m *measured) []finding {
	var hottest tiercache.HotKey
	for _, h := range m.hot {
		if h.Share > hottest.Share {
			hottest = h
		}
	}
	if m.Total.MemoryHits < leastSampled || hottest.Share < hotShare {
		return nil
	}
	return []finding{{cache: hottest.Cache, text: fmt.Sprintf("One key of cache %q has %s of %s that memory answered; HotKeys tells which. Memory serves it. With Options.StaleFor it is served also while its source fails.",
		hottest.Cache, percent(hottest.Share), many(m.Total.MemoryHits, "read", "reads"))}}
}
