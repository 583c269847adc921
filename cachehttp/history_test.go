package cachehttp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache"
)

func reading(at time.Time) tiercache.Stats { return tiercache.Stats{At: at} }

func (h *history) seconds(now time.Time) (out [len(windows)]float64) {
	_, in := h.intervals(reading(now))
	for i, s := range in {
		out[i] = s.Span.Seconds()
	}
	return out
}

func TestWindowsAreAsLongAsTheySayOrAsThereAreReadings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		every time.Duration
		after time.Duration
		want  [len(windows)][2]float64
	}{
		{"at once", time.Second, 0, [...][2]float64{{0, 0}, {0, 0}, {0, 0}}},
		{"a young process", time.Second, 30 * time.Second, [...][2]float64{{1, 1}, {30, 30}, {30, 30}}},
		{"two minutes", time.Second, 2 * time.Minute, [...][2]float64{{1, 1}, {54, 70}, {120, 120}}},
		{"watched for an hour", time.Second, time.Hour, [...][2]float64{{1, 1}, {54, 70}, {810, 990}}},
		{"an hour that nobody watched", 10 * time.Second, time.Hour, [...][2]float64{{10, 10}, {54, 70}, {810, 990}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var h history
			began := time.Now()
			h.add(reading(began))
			now := began
			for now.Sub(began) < c.after {
				now = now.Add(c.every)
				if now.Sub(began) < c.after {
					h.add(reading(now))
				}
			}
			for i, got := range h.seconds(now) {
				assert.GreaterOrEqual(t, got, c.want[i][0], windows[i].name)
				assert.LessOrEqual(t, got, c.want[i][1], windows[i].name)
			}
		})
	}
}

func TestTheHistoryDoesNotGrow(t *testing.T) {
	t.Parallel()
	var h history
	now := time.Now()
	for range 100_000 { // readings come at any pace
		now = now.Add(time.Duration(rand.Int64N(int64(2 * time.Second))))
		h.add(reading(now))
		n := 0
		for i, past := range h.past {
			n += len(past)
			assert.LessOrEqual(t, cap(h.past[i]), 32)
		}
		if !assert.LessOrEqual(t, n, 26) {
			return
		}
	}
}

func TestAfterARestartNothingOfBeforeCounts(t *testing.T) {
	t.Parallel()
	var h history
	began := time.Now()
	for i := range 1000 {
		s := reading(began.Add(time.Duration(i) * time.Second))
		s.Total.MemoryHits = int64(i)
		h.add(s)
	}
	at := began.Add(1000 * time.Second)
	zero := reading(at)
	zero.Total.MemoryHits = 1000
	h.restart(zero)
	now := reading(at.Add(5 * time.Second))
	now.Total.MemoryHits = 1007
	all, in := h.intervals(now)
	assert.EqualValues(t, 7, all.Total.Hits)
	for i := range in {
		assert.EqualValues(t, 7, in[i].Total.Operations)
		assert.Equal(t, 5*time.Second, in[i].Span)
	}
}
