package advice

import (
	"fmt"

	"github.com/tiercache/tiercache"
)

func outOfUse(m *tiercache.MasterHealth) bool { return m.State == "open" || m.State == "replaying" }

func redisDown(m *measured) []finding {
	if m.usesRedis() && len(m.Masters) == 0 {
		return []finding{{text: "No master of Redis is known yet: none of its addresses has answered. Memory and the loaders answer."}}
	}
	return eachMaster(func(h *tiercache.MasterHealth) string {
		switch h.State {
		case "open":
			return fmt.Sprintf("Redis at %s does not answer and is out of use, for the %s time. Memory and the loaders answer; it is asked again in %s.",
				h.Addr, nth(h.Opens), took(h.NextProbe))
		case "replaying":
			return fmt.Sprintf("Redis at %s answers again. It is used once the invalidations that waited for it have been sent.", h.Addr)
		}
		return ""
	})(m)
}

func queued(m *measured) []finding {
	if m.Queued <= 0 {
		return nil
	}
	n := int64(m.Queued)
	return []finding{{text: fmt.Sprintf("%s %s for Redis: other processes may still serve what %s. Keep this process running until none waits, since they end with it; Mutate is for writes that must not lose theirs.",
		many(n, "invalidation", "invalidations"), plural(n, "waits", "wait"), plural(n, "it voids", "they void"))}}
}

func readOnly(h *tiercache.MasterHealth) string {
	if h.State != "read-only" {
		return ""
	}
	return fmt.Sprintf("Redis at %s takes no writes: it is out of memory, or over its quota. What is loaded stays in this process. Give it more maxmemory, or a maxmemory-policy that evicts.", h.Addr)
}

// deaf is of a server in use: one that is out of use is not heard as a matter of course.
func deaf(h *tiercache.MasterHealth) string {
	if outOfUse(h) || h.Hearing == "none" || h.Fresh && h.Hearing != "connecting" {
		return ""
	}
	why := "it has not vouched for what was heard within Config.StalenessBound"
	if h.Hearing == "connecting" {
		why = "the connection that tells of changes is being made"
	}
	return fmt.Sprintf("Memory is not served for keys of Redis at %s: %s. Each read asks Redis.", h.Addr, why)
}

func noHearing(h *tiercache.MasterHealth) string {
	if outOfUse(h) || h.Hearing != "none" {
		return ""
	}
	return fmt.Sprintf("Memory is not served for keys of Redis at %s: it refuses CLIENT TRACKING and SUBSCRIBE, so nothing is heard of changes. Each read asks Redis. Allow one of them to the user in its ACL.", h.Addr)
}

func redisErrors(_ *measured, c *tiercache.CacheStats) (string, int64) {
	if c.Errors < leastErrors || share(c.Errors, c.Operations) < manyErrors {
		return "", 0
	}
	return fmt.Sprintf("%s of Redis or of the codec failed in %s of cache %q. If Redis is slow and not broken, a longer Config.ReadTimeout helps.",
		many(c.Errors, "operation", "operations"), many(c.Operations, "call", "calls"), c.Name), c.Errors
}

func poolTimeouts(m *measured) []finding {
	var n int64
	for i := range m.Masters {
		n += max(0, m.Masters[i].PoolTimeouts)
	}
	if n < leastErrors || share(n, m.Total.Operations) < manyErrors {
		return nil
	}
	return []finding{{concerns: n, text: fmt.Sprintf("A connection to Redis was waited for in vain %s times in %s. A larger PoolSize of Config.Redis's options helps.",
		count(n), many(m.Total.Operations, "operation", "operations"))}}
}

func slowRedis(m *measured) []finding {
	slowest := new(tiercache.CacheStats)
	for i := range m.busy {
		if c := &m.busy[i]; c.RedisTime.Count >= leastOperations && c.RedisTime.P95 > slowest.RedisTime.P95 {
			slowest = c
		}
	}
	end := " A read is given up after Config.ReadTimeout, 50 ms by default."
	if t := slowest.RedisTime; t.P95 >= slowRead {
		return []finding{{cache: slowest.Name, concerns: t.Count, text: fmt.Sprintf("Redis is slow: of %s that it answered in cache %q, one in twenty took %s or more, half took up to %s.",
			many(t.Count, "read", "reads"), slowest.Name, took(t.P95), took(t.P50)) + end}}
	}
	for i := range m.Masters {
		if h := &m.Masters[i]; h.Ping >= slowRead && !outOfUse(h) {
			return []finding{{text: fmt.Sprintf("Redis at %s is slow: its last round trip took %s.", h.Addr, took(h.Ping)) + end}}
		}
	}
	return nil
}

func patterns(m *measured) []finding {
	n := m.PatternInvalidations
	if !m.usesRedis() || float64(n) < patternsPerSecond*max(m.Span, leastPatternSpan).Seconds() {
		return nil
	}
	return []finding{{concerns: n, text: fmt.Sprintf("%s were invalidated in %s. Each scans all keys of Redis. Tags need no scan, nor does a pattern that is a cache's KeyPrefix and *.",
		many(n, "pattern", "patterns"), span(m.Span))}}
}

// nth: "1st", "22nd".
func nth(n int64) string {
	end := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			end = "st"
		case 2:
			end = "nd"
		case 3:
			end = "rd"
		}
	}
	return count(n) + end
}
