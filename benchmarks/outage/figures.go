package main

import (
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// line is a row of a table: medians of the windows, but for the longest and the errors.
type line struct {
	Keys    string  `json:"keys"` // "cold" or "hot"
	Cache   string  `json:"cache"`
	Rate    float64 `json:"callsPerSecond"`
	P50     float64 `json:"p50Ns"`
	P99     float64 `json:"p99Ns"`
	Longest float64 `json:"longestNs"` // of Batch calls together, so that no call took longer
	Batch   int     `json:"batch"`
	Errors  int64   `json:"errors"`
	Windows int     `json:"windows"`
}

// turn is what a cache did as Redis went and as it came back.
type turn struct {
	Cache       string    `json:"cache"`
	LongestCold float64   `json:"goingLongestColdNs"`
	LongestHot  float64   `json:"goingLongestHotNs"`
	LongestBack float64   `json:"comingLongestNs"`
	Errors      int64     `json:"errors"`
	UsedAgain   []float64 `json:"usedAgainAfterNs"` // each time; 0: not while that was waited for
	first       []error   // some of all
	windows     []line    // its own, for the verdict
	floors      [2]*line  // cold and hot, of ours only
}

// report is one fault's.
type report struct {
	Fault    string   `json:"fault"`
	Lines    []line   `json:"lines"`
	Turns    []turn   `json:"turns"`
	Verdicts []string `json:"verdicts"`
	missed   int
}

func lineOf(keys, cache string, ws []*window) line {
	l := line{Keys: keys, Cache: cache, Windows: len(ws)}
	of := func(f func(*window) float64) float64 {
		var all []float64
		for _, w := range ws {
			all = append(all, f(w))
		}
		return median(all)
	}
	l.Rate = of(func(w *window) float64 { return w.rate })
	l.P50 = of(func(w *window) float64 { return w.per(50) })
	l.P99 = of(func(w *window) float64 { return w.per(99) })
	for _, w := range ws {
		l.Batch = w.batch
		l.Longest = max(l.Longest, float64(w.times.Max()))
		l.Errors += w.errors
	}
	return l
}

// median is 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func reportOf(f fault, all []measured) report {
	r := report{Fault: f.name}
	var cold, hot []line
	for _, m := range all {
		t := turn{
			Cache:       m.name,
			LongestCold: float64(m.mixCold.times.Max()),
			LongestHot:  float64(m.mixHot.times.Max()),
			LongestBack: float64(m.back.times.Max()),
			Errors:      m.mixCold.errors + m.mixHot.errors + m.back.errors,
		}
		for _, d := range m.backTimes {
			t.UsedAgain = append(t.UsedAgain, float64(d))
		}
		if len(m.coldFloors) > 0 {
			c, h := lineOf("cold", bareName, m.coldFloors), lineOf("hot", memoryName, m.hotFloors)
			cold, hot = append(cold, c), append(hot, h)
			t.floors = [2]*line{&c, &h}
		}
		t.windows = []line{lineOf("cold", m.name, m.cold), lineOf("hot", m.name, m.hot)}
		cold, hot = append(cold, t.windows[0]), append(hot, t.windows[1])
		for _, w := range append(append([]*window{&m.mixCold, &m.mixHot, &m.back}, m.cold...), m.hot...) {
			t.first = append(t.first, w.first...)
		}
		r.Turns = append(r.Turns, t)
	}
	r.Lines = append(cold, hot...)
	return r
}

// versions are of what is measured.
func versions() map[string]string {
	v := map[string]string{"go": runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, d := range info.Deps {
		switch d.Path {
		case "github.com/redis/go-redis/v9", "github.com/go-redis/cache/v9":
			v[d.Path] = d.Version
		}
	}
	return v
}

type file struct {
	Versions map[string]string `json:"versions"`
	Cores    int               `json:"cores"`
	Callers  int               `json:"callers"`
	Loader   time.Duration     `json:"loaderNs"`
	Window   time.Duration     `json:"windowNs"`
	Faults   []report          `json:"faults"`
}

func newFile(c config, faults ...report) file {
	return file{Versions: versions(), Cores: runtime.GOMAXPROCS(0), Callers: callers, Loader: loadTime, Window: c.window, Faults: faults}
}
