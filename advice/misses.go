package advice

import (
	"fmt"

	"github.com/tiercache/tiercache"
)

// low tells that a cache has a hit rate that is not good.
func low(c *tiercache.CacheStats) bool { return c.HitRate() < goodRate }

// dominates: at most one cause of a cache's misses does.
func dominates(cause int64, c *tiercache.CacheStats) bool { return share(cause, c.Misses) > dominant }

// rateOf begins a text on a low hit rate.
func rateOf(c *tiercache.CacheStats) string {
	whose := fmt.Sprintf("cache %q", c.Name)
	if c.Name == "" {
		whose = "all caches together"
	}
	return fmt.Sprintf("The hit rate of %s is %s: ", whose, percent(c.HitRate()))
}

// because begins a text on one that has a cause.
func because(c *tiercache.CacheStats, n int64) string {
	return rateOf(c) + fmt.Sprintf("%s of %s ", count(n), many(c.Misses, "miss", "misses"))
}

func shortTTL(_ *measured, c *tiercache.CacheStats) (string, int64) {
	n := c.ExpiredMisses
	if !low(c) || !dominates(n, c) {
		return "", 0
	}
	return because(c, n) + "were of values past their TTL. A longer Options.TTL keeps them; what changes is invalidated all the same.", n
}

// specificKeys: a key is asked for less than twice on average. Nothing is wrong with the
// cache; what is in the keys is.
func specificKeys(_ *measured, c *tiercache.CacheStats) (string, int64) {
	n := c.ColdMisses
	if !low(c) || !dominates(n, c) || c.Hits >= n {
		return "", 0
	}
	return because(c, n) + fmt.Sprintf("were of keys never asked for before, and there were %s: most keys are asked for once. Leave out of the key what does not change the value, round times and ranges, and put filters in one order.", many(c.Hits, "hit", "hits")), n
}

func coldKeys(_ *measured, c *tiercache.CacheStats) (string, int64) {
	n := c.ColdMisses
	if !low(c) || !dominates(n, c) || c.Hits < n {
		return "", 0
	}
	return because(c, n) + "were of keys never asked for before. After a start that passes; else a Warmer can load them first.", n
}

// wideInvalidation: where loads are slow and writes many, what suffers is fills.
func wideInvalidation(m *measured, c *tiercache.CacheStats) (string, int64) {
	n := c.InvalidatedMisses
	text := because(c, n) + "were of values that had been invalidated"
	if !low(c) || !dominates(n, c) {
		n = c.FillsRefused
		if n < leastErrors || share(n, c.Loads) < manyRefused {
			return "", 0
		}
		text = fmt.Sprintf("%s of %s of cache %q were not stored, since a write came meanwhile", count(n), many(c.Loads, "load", "loads"), c.Name)
	}
	return text + did(m) + ". Invalidate the keys that a write changes, or tags of those, and not whole patterns or caches.", n
}

// did tells of the invalidations of this process, if there were any.
func did(m *measured) string {
	var parts []string
	for _, p := range []struct {
		n         int64
		one, more string
	}{
		{m.KeyInvalidations, "key", "keys"}, {m.TagInvalidations, "tag", "tags"},
		{m.PatternInvalidations, "pattern", "patterns"}, {m.Clears, "Clear", "Clears"},
	} {
		if p.n > 0 {
			parts = append(parts, many(p.n, p.one, p.more))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "; this process invalidated " + list(parts)
}

// smallMemory is one for all: caches share Config.MemoryBytes. What memory had no room
// for, and what Redis answered thereafter, is what was missed for want of it; what
// merely had to go is not, since it may never be asked for again.
func smallMemory(m *measured) []finding {
	var worst *tiercache.CacheStats
	var most int64
	for i := range m.busy {
		c := &m.busy[i]
		n := c.EvictedMisses + min(c.Evictions, c.RedisHits)
		if n > most && (share(n, c.Operations) >= muchEvicted || low(c) && dominates(c.EvictedMisses, c)) {
			worst, most = c, n
		}
	}
	if worst == nil {
		return nil
	}
	text := fmt.Sprintf("Memory is too small: %s had to go to make room, and up to %s of %s of cache %q missed them in memory. It holds %s in %s.",
		many(m.MemoryEvictions, "entry", "entries"), count(most), many(worst.Operations, "operation", "operations"), worst.Name,
		size(m.MemoryBytes), many(m.MemoryEntries, "entry", "entries"))
	return []finding{{cache: worst.Name, concerns: most, text: text + " A larger Config.MemoryBytes helps."}}
}

// mixedMisses is of caches whose hit rate is low for no one reason, so that a low hit
// rate is never without its causes; and of all together, if that of all is low and that
// of none which was used enough.
func mixedMisses(m *measured) (out []finding) {
	anyLow := false
	for i := range m.busy {
		c := &m.busy[i]
		if !low(c) {
			continue
		}
		anyLow = true
		if !explained(m, c) {
			out = append(out, finding{cache: c.Name, text: causes(c), concerns: c.Misses})
		}
	}
	if !anyLow && low(&m.Total) {
		out = append(out, finding{text: causes(&m.Total), concerns: m.Total.Misses})
	}
	return out
}

func causes(c *tiercache.CacheStats) string {
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{
		{c.ColdMisses, "never asked for before"}, {c.ExpiredMisses, "past their TTL"}, {c.InvalidatedMisses, "invalidated"},
		{c.EvictedMisses, "without room in memory"}, {c.RefusedMisses, "not stored the last time"},
	} {
		if p.n > 0 {
			parts = append(parts, count(p.n)+" "+p.what)
		}
	}
	text := rateOf(c) + fmt.Sprintf("%s in %s", many(c.Misses, "miss", "misses"), many(c.Operations, "operation", "operations"))
	if len(parts) > 0 {
		text += ", of keys " + list(parts)
	}
	return text + "."
}

// explained tells that another rule says why the hit rate is low.
func explained(m *measured, c *tiercache.CacheStats) bool {
	for _, n := range []int64{c.ColdMisses, c.ExpiredMisses, c.InvalidatedMisses, c.EvictedMisses} {
		if dominates(n, c) {
			return true
		}
	}
	if !dominates(c.RefusedMisses, c) {
		return false
	}
	for _, judge := range []func(*measured, *tiercache.CacheStats) (string, int64){wideInvalidation, loadErrors, tooLarge, rejected} {
		if text, _ := judge(m, c); text != "" {
			return true
		}
	}
	return false
}
