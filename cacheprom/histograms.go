package cacheprom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiercache/tiercache"
)

// histogram has a bucket for what took less than each bound.
type histogram struct {
	desc    *prometheus.Desc
	bounds  []time.Duration
	latency func(*cache) tiercache.Latency
}

// The bounds leave out what the path cannot take or what nobody would tell apart:
// each is a series of each cache.
var histograms = []histogram{
	{desc("memory_hit_duration_seconds", "What memory answered, timed by sampling, one in 64.", "cache"),
		powers(6, 20, 2), func(s *cache) tiercache.Latency { return s.MemoryTime }}, // 64 ns to 1 ms
	{desc("redis_hit_duration_seconds", "What Redis answered.", "cache"),
		powers(16, 29, 1), func(s *cache) tiercache.Latency { return s.RedisTime }}, // 66 µs to 0.5 s
	{desc("wait_duration_seconds", "Misses, and stale hits that waited for a load first.", "cache"),
		powers(17, 35, 1), func(s *cache) tiercache.Latency { return s.WaitTime }}, // 131 µs to 34 s
	{desc("load_duration_seconds", "Runs of a loader.", "cache"),
		powers(17, 35, 1), func(s *cache) tiercache.Latency { return s.LoadTime }},
}

// powers of two nanoseconds, from least to most, every step'th.
func powers(least, most, step int) (all []time.Duration) {
	for p := least; p <= most; p += step {
		all = append(all, 1<<p)
	}
	return all
}

func (h histogram) of(l tiercache.Latency, name string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.bounds))
	for _, b := range h.bounds {
		buckets[b.Seconds()] = uint64(l.Below(b))
	}
	return prometheus.MustNewConstHistogram(h.desc, uint64(l.Count), l.Sum().Seconds(), buckets, name)
}
