package cacheotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tiercache/tiercache"
)

// Latencies produces the latencies of tiers as histograms, cumulative since Open. Safe
// for concurrent use.
func Latencies(tiers *tiercache.Tiers) metric.Producer { return producer{tiers} }

type producer struct{ tiers *tiercache.Tiers }

// Produce is called by a reader at each collection.
func (p producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	if p.tiers == nil {
		return nil, errors.New("cacheotel: Latencies needs Tiers, not nil")
	}
	s := p.tiers.Stats()
	out := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: scope}}
	for _, h := range histograms {
		data := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
		for i := range s.Caches {
			point := h.of(h.latency(&s.Caches[i]))
			point.StartTime, point.Time = s.At.Add(-s.Span), s.At
			point.Attributes = attribute.NewSet(attribute.String("cache", label(s.Caches[i].Name)))
			data.DataPoints = append(data.DataPoints, point)
		}
		out.Metrics = append(out.Metrics, metricdata.Metrics{Name: h.name, Description: h.help, Unit: "s", Data: data})
	}
	return []metricdata.ScopeMetrics{out}, nil
}

type histogram struct {
	name, help string
	bounds     []time.Duration
	latency    func(*cache) tiercache.Latency
}

// The bounds leave out what the path cannot take or what nobody would tell apart:
// each is a series of each cache.
var histograms = []histogram{
	{"tiercache.memory_hit.duration", "What memory answered, timed by sampling, one in 64.",
		powers(6, 20, 2), func(s *cache) tiercache.Latency { return s.MemoryTime }}, // 64 ns to 1 ms
	{"tiercache.redis_hit.duration", "What Redis answered.",
		powers(16, 29, 1), func(s *cache) tiercache.Latency { return s.RedisTime }}, // 66 µs to 0.5 s
	{"tiercache.wait.duration", "Misses, and stale hits that waited for a load first.",
		powers(17, 35, 1), func(s *cache) tiercache.Latency { return s.WaitTime }}, // 131 µs to 34 s
	{"tiercache.load.duration", "Runs of a loader.",
		powers(17, 35, 1), func(s *cache) tiercache.Latency { return s.LoadTime }},
}

// powers of two nanoseconds, from least to most, every step'th.
func powers(least, most, step int) (all []time.Duration) {
	for p := least; p <= most; p += step {
		all = append(all, 1<<p)
	}
	return all
}

// of is l in buckets that are not cumulative, with a last one for what is longer.
func (h histogram) of(l tiercache.Latency) metricdata.HistogramDataPoint[float64] {
	p := metricdata.HistogramDataPoint[float64]{Count: uint64(l.Count), Sum: l.Sum().Seconds()}
	var below int64
	for _, b := range h.bounds {
		n := l.Below(b)
		p.Bounds = append(p.Bounds, b.Seconds())
		p.BucketCounts = append(p.BucketCounts, uint64(n-below))
		below = n
	}
	p.BucketCounts = append(p.BucketCounts, uint64(l.Count-below))
	return p
}
