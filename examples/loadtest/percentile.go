package main

import (
	"math"
	"slices"
	"time"
)

// percentile is the smallest of the durations that at least p percent of them
// do not exceed (nearest rank: always one that was measured); 0 of none.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Clone(d)
	slices.Sort(sorted)
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// spread is the percentiles that are reported.
type spread struct {
	P50 float64 `json:"p50Ms"`
	P95 float64 `json:"p95Ms"`
	P99 float64 `json:"p99Ms"`
}

func spreadOf(d []time.Duration) spread {
	ms := func(p float64) float64 { return math.Round(float64(percentile(d, p))/1e3) / 1e3 }
	return spread{ms(50), ms(95), ms(99)}
}
