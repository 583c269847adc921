package advice

import (
	"cmp"
	"fmt"

	"github.com/tiercache/tiercache"
)

// rules in the order in which they are named where nothing else decides.
var rules = []rule{
	{now, "redis-down", "", redisDown},
	{now, "queued", "", queued},
	{now, "read-only", "", eachMaster(readOnly)},
	{now, "deaf", "", eachMaster(deaf)},
	{now, "no-hearing", "", eachMaster(noHearing)},

	{failing, "redis-errors", "Config.ReadTimeout", eachCache(redisErrors)},
	{failing, "load-errors", "Options.StaleFor", eachCache(loadErrors)},
	{failing, "pool-timeouts", "Config.Redis", poolTimeouts},
	{failing, "slow-redis", "Config.ReadTimeout", slowRedis},

	{wasteful, "too-large", "Config.LargestValue", eachCache(tooLarge)},
	{wasteful, "rejected", "Options.Schema", eachCache(rejected)},
	{wasteful, "short-ttl", "Options.TTL", eachCache(shortTTL)},
	{wasteful, "small-memory", "Config.MemoryBytes", smallMemory},
	{wasteful, "specific-keys", "", eachCache(specificKeys)},
	{wasteful, "cold-keys", "Warmer", eachCache(coldKeys)},
	{wasteful, "wide-invalidation", "Options.Tags", eachCache(wideInvalidation)},
	{wasteful, "mixed-misses", "", mixedMisses},
	{wasteful, "patterns", "Options.Tags", patterns},
	{wasteful, "fast-source", "Options.MemoryOnly", eachCache(fastSource)},

	{worthKnowing, "large-values", "Options.Compressor", eachCache(largeValues)},
	{worthKnowing, "hot-key", "Options.StaleFor", hotKey},
}

// These two say that no rule has anything more pressing to say.
var (
	tooFew    = rule{urgency: well, name: "few"}
	allIsWell = rule{urgency: well, name: "ok"}
)

// rule is one kind of advice.
type rule struct {
	urgency
	name, option string
	find         func(*measured) []finding
}

// urgency orders advice; among the equally urgent, what more operations suffer from is first.
type urgency int

const (
	now          urgency = iota // Redis is not used, or not as it should be: judged whatever was measured
	failing                     // operations fail or wait
	wasteful                    // loads that need not be
	well                        // nothing of the above
	worthKnowing                // no harm done
)

// measured is what rules look at.
type measured struct {
	tiercache.Stats
	hot  []tiercache.HotKey
	busy []tiercache.CacheStats // those of Caches that had enough operations to be judged
}

func (m *measured) usesRedis() bool { return m.Mode != "" && m.Mode != "memory" }

// finding is a rule's, of what was measured.
type finding struct {
	rule     *rule
	cache    string
	text     string
	concerns int64 // so many operations, about
}

func (f finding) compare(g finding) int {
	return cmp.Or(cmp.Compare(f.rule.urgency, g.rule.urgency), cmp.Compare(g.concerns, f.concerns))
}

// eachCache asks judge about every cache that was used enough; an empty text says nothing.
func eachCache(judge func(*measured, *tiercache.CacheStats) (text string, concerns int64)) func(*measured) []finding {
	return func(m *measured) (out []finding) {
		for i := range m.busy {
			c := &m.busy[i]
			if text, n := judge(m, c); text != "" {
				out = append(out, finding{cache: c.Name, text: text, concerns: n})
			}
		}
		return out
	}
}

// eachMaster is the same for masters.
func eachMaster(judge func(*tiercache.MasterHealth) string) func(*measured) []finding {
	return func(m *measured) (out []finding) {
		for i := range m.Masters {
			if text := judge(&m.Masters[i]); text != "" {
				out = append(out, finding{text: text})
			}
		}
		return out
	}
}

func fewText(m *measured) string {
	return fmt.Sprintf("Too little to judge: %s in %s, where %d are needed.", many(m.Total.Operations, "operation", "operations"), span(m.Span), leastOperations)
}

func wellText(m *measured) string {
	c := &m.Total
	return fmt.Sprintf("All is well: %s of %s in %s were hits, %s from memory and %s from Redis. %s were run.",
		percent(c.HitRate()), many(c.Operations, "operation", "operations"), span(m.Span),
		percent(share(c.MemoryHits, c.Operations)), percent(share(c.RedisHits, c.Operations)), many(c.Loads, "load", "loads"))
}
