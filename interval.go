package tiercache

import "time"

// Sub is what happened between earlier and s, two Stats of the same cache in the same
// process: counts are differences, latencies those of the interval, and the rest is
// that of s. Between Stats of two processes it means nothing; nothing is negative then.
func (s CacheStats) Sub(earlier CacheStats) CacheStats {
	d := s
	less(&d.MemoryHits, earlier.MemoryHits)
	less(&d.RedisHits, earlier.RedisHits)
	less(&d.AbsentHits, earlier.AbsentHits)
	less(&d.StaleHits, earlier.StaleHits)
	less(&d.Loads, earlier.Loads)
	less(&d.LoadErrors, earlier.LoadErrors)
	less(&d.Refreshes, earlier.Refreshes)
	less(&d.Unmodified, earlier.Unmodified)
	less(&d.Coalesced, earlier.Coalesced)
	less(&d.ColdMisses, earlier.ColdMisses)
	less(&d.ExpiredMisses, earlier.ExpiredMisses)
	less(&d.InvalidatedMisses, earlier.InvalidatedMisses)
	less(&d.EvictedMisses, earlier.EvictedMisses)
	less(&d.RefusedMisses, earlier.RefusedMisses)
	less(&d.FillsRefused, earlier.FillsRefused)
	less(&d.Rejected, earlier.Rejected)
	less(&d.TooLarge, earlier.TooLarge)
	less(&d.Errors, earlier.Errors)
	less(&d.Dropped, earlier.Dropped)
	less(&d.Evictions, earlier.Evictions)
	less(&d.Misses, earlier.Misses)
	d.Hits = d.MemoryHits + d.RedisHits
	d.Operations = d.Hits + d.Misses
	d.MemoryTime = s.MemoryTime.sub(earlier.MemoryTime)
	d.RedisTime = s.RedisTime.sub(earlier.RedisTime)
	d.WaitTime = s.WaitTime.sub(earlier.WaitTime)
	d.LoadTime = s.LoadTime.sub(earlier.LoadTime)
	memory := d.MemoryTime.Mean
	if d.MemoryTime.Count == 0 { // none of the few was timed
		memory = s.MemoryTime.Mean
	}
	d.AverageTime = d.averageTime(memory)
	return d
}

// sub is of the time between two. Without what they were made of, as in a Latency that
// somebody wrote down, the quantiles stay those of l.
func (l Latency) sub(earlier Latency) Latency {
	switch {
	case earlier.Count == 0:
		return l
	case l.of != nil && earlier.of != nil:
		d := l.of.Since(earlier.of)
		return latencyOf(&d)
	}
	sum := l.sum() - earlier.sum()
	l.of = nil
	if l.Count -= earlier.Count; l.Count <= 0 {
		return Latency{}
	}
	l.Mean = max(0, sum) / time.Duration(l.Count)
	return l
}

// Sub is what happened between earlier and s, as CacheStats.Sub. A cache that earlier
// does not know has all of its counts. Mode, Queued, Masters and what memory has are
// those of s.
func (s Stats) Sub(earlier Stats) Stats {
	d := s
	if !earlier.At.IsZero() {
		d.Span = max(0, s.At.Sub(earlier.At))
	}
	d.Total = s.Total.Sub(earlier.Total)
	d.Caches = make([]CacheStats, len(s.Caches))
	was := make(map[string]CacheStats, len(earlier.Caches))
	for _, c := range earlier.Caches {
		was[c.Name] = c
	}
	for i, c := range s.Caches {
		d.Caches[i] = c.Sub(was[c.Name])
	}
	less(&d.KeyInvalidations, earlier.KeyInvalidations)
	less(&d.TagInvalidations, earlier.TagInvalidations)
	less(&d.PatternInvalidations, earlier.PatternInvalidations)
	less(&d.Clears, earlier.Clears)
	less(&d.InvalidationErrors, earlier.InvalidationErrors)
	less(&d.MemoryEvictions, earlier.MemoryEvictions)
	less(&d.WarmRuns, earlier.WarmRuns)
	less(&d.WarmLoads, earlier.WarmLoads)
	less(&d.WarmFailures, earlier.WarmFailures)
	return d
}

// less takes from a count what it was.
func less(n *int64, was int64) { *n = max(0, *n-was) }
