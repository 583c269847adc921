package cachehttp

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/advice"
)

const (
	hottest       = 10  // keys shown
	fewOperations = 100 // say little about what is to come
)

// facts are what a Snapshot is made of. Keys in them are as they may be shown.
type facts struct {
	all    tiercache.Stats // since counting started
	in     [len(windows)]tiercache.Stats
	health tiercache.Health
	hot    []tiercache.HotKey
	recent []tiercache.Invalidation
	jobs   []tiercache.JobStatus
	names  masker
}

// snapshot is of now, a reading taken just now. Allowed is left empty.
func (h *Handler) snapshot(now tiercache.Stats) Snapshot {
	f := facts{
		health: h.tiers.Health(),
		hot:    h.names.hot(h.tiers.HotKeys(hottest)),
		recent: h.tiers.Recent(),
		names:  h.names,
	}
	if h.warmer != nil {
		f.jobs = h.warmer.Status()
	}
	f.all, f.in = h.history.intervals(now)
	return f.snapshot()
}

func (f *facts) snapshot() Snapshot {
	var s Snapshot
	total, recently := f.all.Total, f.in[quarter]
	s.Cache.Hits, s.Cache.Misses, s.Cache.Operations = total.Hits, total.Misses, total.Operations
	s.Cache.HitRate = percent(total.HitRate())
	s.Cache.AvgTime = milliseconds(total.AverageTime)
	s.Redis.Mode, s.Redis.Connected, s.Redis.PingMs = f.health.Mode, f.health.Connected, milliseconds(f.health.Ping)

	s.At = f.all.At
	for i, w := range windows {
		s.Windows = append(s.Windows, window(w.name, f.in[i]))
	}
	s.Total = row(total)
	s.Caches = []Row{}
	for _, c := range recently.Caches {
		s.Caches = append(s.Caches, row(c))
	}
	s.Memory.Entries, s.Memory.Bytes, s.Memory.Evictions = f.all.MemoryEntries, f.all.MemoryBytes, f.all.MemoryEvictions
	s.Masters = masters(f.health.Masters)
	s.Queued = f.health.Queued

	f.lists(&s)
	s.Recommendations = []Recommendation{}
	for _, a := range advice.Of(recently, f.hot) {
		s.Recommendations = append(s.Recommendations, Recommendation(a))
	}
	judged := recently.Total
	if judged.Operations < fewOperations {
		judged = total
	}
	s.Performance.Status = advice.Status(judged.HitRate())
	s.Performance.Recommendation = sentence(judged, s.Recommendations)
	s.Allowed = []string{}
	return s
}

// sentence is the most pressing advice, or that there is none.
func sentence(of tiercache.CacheStats, list []Recommendation) string {
	switch {
	case len(list) > 0:
		return list[0].Text
	case of.Operations < fewOperations:
		return fmt.Sprintf("Only %d operations so far: too few to judge.", of.Operations)
	}
	return fmt.Sprintf("%.2f %% of %d operations were answered from the cache, %d of them from memory: nothing to do.", 100*of.HitRate(), of.Operations, of.MemoryHits)
}

func (f *facts) lists(s *Snapshot) {
	s.Hot, s.Invalidations, s.Jobs = []Hot{}, []Invalidation{}, []Job{}
	for _, k := range f.hot {
		s.Hot = append(s.Hot, Hot{Cache: k.Cache, Key: k.Key, Share: percent(k.Share)})
	}
	for _, i := range f.recent {
		s.Invalidations = append(s.Invalidations, Invalidation{
			At: i.At, Kind: i.Kind, Target: f.names.target(i), Count: i.Count,
			Keys: i.Keys, Queued: i.Queued, Heard: i.Heard, Expire: i.Expire,
		})
	}
	for _, j := range f.jobs {
		s.Jobs = append(s.Jobs, Job{
			Name: j.Name, Running: j.Running, Idle: j.Idle, Runs: j.Runs,
			Total: j.Total, Done: j.Done, Failed: j.Failed, EtaMs: milliseconds(j.ETA),
			Started: j.Started, Ended: j.Ended, Next: j.Next, Error: f.names.problem(j.Err),
		})
	}
}

func window(name string, s tiercache.Stats) Window {
	t := s.Total
	w := Window{
		Name: name, Seconds: math.Round(s.Span.Seconds()*10) / 10,
		HitRate: percent(t.HitRate()), MemoryRate: percent(share(t.MemoryHits, t.Operations)), RedisRate: percent(share(t.RedisHits, t.Operations)),
		MemoryTime: times(t.MemoryTime), RedisTime: times(t.RedisTime), LoadTime: times(t.LoadTime),
		Loads: t.Loads, LoadsSaved: t.LoadsSaved(), TimeSaved: milliseconds(t.TimeSaved()),
	}
	w.PerSecond.Memory = perSecond(t.MemoryHits, s.Span)
	w.PerSecond.Redis = perSecond(t.RedisHits, s.Span)
	w.PerSecond.Load = perSecond(t.Misses, s.Span)
	return w
}

func row(c tiercache.CacheStats) Row {
	r := Row{
		Name: c.Name, Operations: c.Operations, HitRate: percent(c.HitRate()),
		MemoryHits: c.MemoryHits, RedisHits: c.RedisHits, StaleHits: c.StaleHits, AbsentHits: c.AbsentHits,
		Loads: c.Loads, LoadErrors: c.LoadErrors, Refreshes: c.Refreshes, Coalesced: c.Coalesced,
		FillsRefused: c.FillsRefused, Errors: c.Errors, Entries: c.Entries, Bytes: c.Bytes, Evictions: c.Evictions,
		LoadTime: times(c.LoadTime), LoadsSaved: c.LoadsSaved(), TimeSaved: milliseconds(c.TimeSaved()),
	}
	r.Misses.Cold, r.Misses.Expired, r.Misses.Invalidated = c.ColdMisses, c.ExpiredMisses, c.InvalidatedMisses
	r.Misses.Evicted, r.Misses.Refused = c.EvictedMisses, c.RefusedMisses
	return r
}

func masters(list []tiercache.MasterHealth) []Master {
	out := []Master{}
	for _, m := range list {
		one := Master{
			Addr: m.Addr, Connected: m.Connected, State: m.State, PingMs: milliseconds(m.Ping), NextProbe: milliseconds(m.NextProbe),
			Opens: m.Opens, Hearing: m.Hearing, Fresh: m.Fresh, LagMs: milliseconds(m.Lag), Losses: m.Losses, Epoch: m.Epoch,
		}
		one.Pool.Total, one.Pool.Idle, one.Pool.Timeouts = m.PoolTotal, m.PoolIdle, m.PoolTimeouts
		out = append(out, one)
	}
	return out
}

func times(l tiercache.Latency) Times {
	return Times{P50: milliseconds(l.P50), P95: milliseconds(l.P95), P99: milliseconds(l.P99)}
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d)/1e2) / 1e4 }

func share(part, of int64) float64 { return float64(part) / float64(max(of, 1)) }

func perSecond(n int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return math.Round(float64(n)/in.Seconds()*100) / 100
}

func percent(share float64) Percent { return Percent(100 * share) }

// MarshalJSON implements json.Marshaler.
func (p Percent) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(p)) || math.IsInf(float64(p), 0) {
		p = 0
	}
	return strconv.AppendFloat(nil, float64(p), 'f', 2, 64), nil
}
