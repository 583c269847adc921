package cachehttp

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// counted is of one cache and an interval.
func counted(name string, memory, redis, misses int64, span time.Duration) tiercache.Stats {
	c := tiercache.CacheStats{
		Name: name, Operations: memory + redis + misses, Hits: memory + redis, Misses: misses, MemoryHits: memory, RedisHits: redis,
		Loads: misses, ColdMisses: misses, AverageTime: 1500 * time.Microsecond,
		LoadTime: tiercache.Latency{Count: misses, Mean: 20 * time.Millisecond, P50: 18 * time.Millisecond, P95: 40 * time.Millisecond, P99: 55123456 * time.Nanosecond},
	}
	total := c
	total.Name = ""
	return tiercache.Stats{At: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), Span: span, Total: total, Caches: []tiercache.CacheStats{c}}
}

func marshalled(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func TestTheFirstThreePartsAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	f := facts{all: counted("users", 600, 250, 150, time.Hour), names: newMasker(false)}
	f.in[quarter] = counted("users", 10, 0, 0, time.Minute) // too few to judge by
	f.health = tiercache.Health{Mode: "single", Connected: true, Ping: 612 * time.Microsecond}
	var parts map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(marshalled(t, f.snapshot())), &parts))
	assert.Equal(t, `{"hits":850,"misses":150,"operations":1000,"hitRate":85.00,"avgTime":1.5}`, string(parts["cache"]))
	assert.Equal(t, `{"mode":"single","connected":true,"pingMs":0.612}`, string(parts["redis"]))
	assert.Regexp(t, `^\{"status":"good","recommendation":".+"\}$`, string(parts["performance"]))
}

func TestAWindowHasSharesAndRates(t *testing.T) {
	t.Parallel()
	w := window("1m", counted("users", 600, 250, 150, 50*time.Second))
	assert.Equal(t, "1m", w.Name)
	assert.Equal(t, 50.0, w.Seconds)
	assert.Equal(t, "[85.00,60.00,25.00]", marshalled(t, []Percent{w.HitRate, w.MemoryRate, w.RedisRate}))
	assert.Equal(t, 12.0, w.PerSecond.Memory)
	assert.Equal(t, 5.0, w.PerSecond.Redis)
	assert.Equal(t, 3.0, w.PerSecond.Load)
	assert.Equal(t, Times{P50: 18, P95: 40, P99: 55.1235}, w.LoadTime)
	assert.EqualValues(t, 850, w.LoadsSaved)
	assert.Equal(t, 17000.0, w.TimeSaved)
}

func TestAProcessThatHasDoneNothingHasNumbersToo(t *testing.T) {
	t.Parallel()
	f := facts{names: newMasker(false)}
	text := marshalled(t, f.snapshot())
	assert.NotContains(t, text, "null", "lists are empty, and not missing")
	assert.Contains(t, text, `"hitRate":0.00`)
	assert.NotContains(t, text, `"recommendation":""`)
	for _, p := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		assert.Equal(t, "0.00", marshalled(t, Percent(p)))
	}
}

func TestTheStatusIsOfWhatHappenedLately(t *testing.T) {
	t.Parallel()
	f := facts{all: counted("users", 99_000, 0, 1_000, 24*time.Hour), names: newMasker(false)}
	f.in[quarter] = counted("users", 100, 0, 900, 15*time.Minute)
	s := f.snapshot()
	assert.Equal(t, "poor", s.Performance.Status)
	assert.Equal(t, "99.00", marshalled(t, s.Cache.HitRate))
	f.in[quarter] = counted("users", 990, 0, 10, 15*time.Minute)
	s = f.snapshot()
	assert.Equal(t, "good", s.Performance.Status)
	assert.Equal(t, s.Recommendations[0].Text, s.Performance.Recommendation)
}

func TestEachFigureIsWhereItBelongs(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	c := tiercache.CacheStats{
		Name: "users", Operations: 1, Hits: 2, MemoryHits: 3, RedisHits: 4, StaleHits: 5, AbsentHits: 6,
		ColdMisses: 7, ExpiredMisses: 8, InvalidatedMisses: 9, EvictedMisses: 10, RefusedMisses: 11,
		Loads: 12, LoadErrors: 13, Refreshes: 14, Coalesced: 15, FillsRefused: 16, Errors: 17, Entries: 18, Bytes: 19, Evictions: 20,
	}
	assert.JSONEq(t, `{"name":"users","operations":1,"hitRate":200,"memoryHits":3,"redisHits":4,"staleHits":5,"absentHits":6,
		"misses":{"cold":7,"expired":8,"invalidated":9,"evicted":10,"refused":11},
		"loads":12,"loadErrors":13,"refreshes":14,"coalesced":15,"fillsRefused":16,"errors":17,"entries":18,"bytes":19,"evictions":20,
		"loadTime":{"p50":0,"p95":0,"p99":0},"loadsSaved":3,"timeSaved":0}`, marshalled(t, row(c)))

	f := facts{names: newMasker(true),
		hot:    []tiercache.HotKey{{Cache: "users", Key: "user:42", Share: 0.125}},
		recent: []tiercache.Invalidation{{At: at, Kind: "key", Target: "user:42", Count: 1, Keys: 2, Queued: true, Heard: true, Expire: true}},
		jobs: []tiercache.JobStatus{{Name: "all", Running: true, Idle: true, Runs: 1, Total: 2, Done: 3, Failed: 4, ETA: 5 * time.Millisecond,
			Started: at, Next: at.Add(time.Hour), Err: errors.New("why")}},
		health: tiercache.Health{Queued: 7, Masters: []tiercache.MasterHealth{{Addr: "a:1", Connected: true, Ping: time.Millisecond, Stamp: "secret",
			Hearing: "tracking", Fresh: true, State: "closed", NextProbe: 2 * time.Millisecond, Opens: 3, Lag: 4 * time.Millisecond, Losses: 5, Epoch: 6,
			PoolTotal: 7, PoolIdle: 8, PoolTimeouts: 9}}},
	}
	f.all.MemoryEntries, f.all.MemoryBytes, f.all.MemoryBudget, f.all.MemoryEvictions = 1, 2, 3, 4
	s := f.snapshot()
	assert.JSONEq(t, `[{"cache":"users","key":"user:42","share":12.50}]`, marshalled(t, s.Hot))
	assert.JSONEq(t, `[{"at":"2025-01-02T03:04:05Z","kind":"key","target":"user:42","count":1,"keys":2,"queued":true,"heard":true,"expire":true}]`, marshalled(t, s.Invalidations))
	assert.JSONEq(t, `[{"name":"all","running":true,"idle":true,"runs":1,"total":2,"done":3,"failed":4,"etaMs":5,"started":"2025-01-02T03:04:05Z","next":"2025-01-02T04:04:05Z","error":"why"}]`, marshalled(t, s.Jobs))
	assert.JSONEq(t, `[{"addr":"a:1","connected":true,"state":"closed","pingMs":1,"nextProbeMs":2,"opens":3,"hearing":"tracking","fresh":true,"lagMs":4,"losses":5,"epoch":6,"pool":{"total":7,"idle":8,"timeouts":9}}]`, marshalled(t, s.Masters))
	assert.JSONEq(t, `{"entries":1,"bytes":2,"budget":3,"evictions":4}`, marshalled(t, s.Memory))
	assert.Equal(t, 7, s.Queued)
}

func TestNamesCannotBecomeMarkup(t *testing.T) {
	t.Parallel()
	const evil = `</script><img src=x onerror=alert(1)>&"'` + "\u2028:<b>"
	tiers := newTiers(t)
	h := newHandler(t, tiers, Config{Authorizer: byRole, ShowKeys: true})
	cache := newCache(t, tiers, `<b onclick="alert(1)">users</b>`)
	for range 3 {
		load(t, cache, evil)
	}
	require.Equal(t, 200, post(h, "/invalidate", marshalled(t, map[string]string{"kind": "key", "target": evil})).Code)
	w := ask(h, "GET", "/", "", "Role", "admin")
	assert.Equal(t, evil, snapshotOf(t, w.Body.Bytes()).Invalidations[0].Target, "it is there")
	for _, body := range []string{w.Body.String(), post(h, "/invalidate", marshalled(t, map[string]string{"kind": "<script>", "target": evil})).Body.String(),
		ask(h, "GET", "/<script>", "", "Role", "admin").Body.String()} {
		assert.False(t, strings.ContainsAny(body, "<>&\u2028"), body)
	}
	assert.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
}

func TestNoKeyIsShownThatMayNotBe(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	h, open := newHandler(t, tiers, Config{Authorizer: byRole}), newHandler(t, tiers, Config{Authorizer: byRole, ShowKeys: true})
	cache := newCache(t, tiers, "users")
	for range 2000 {
		load(t, cache, "user:email:ann@example.com")
	}
	_, err := tiers.Invalidate(t.Context(), tiercache.Key("user:email:ann@example.com"), tiercache.Tag("ann@example.com"), tiercache.Pattern("*ann@example.com"))
	require.NoError(t, err)
	load(t, cache, "user:email:ann@example.com") // what is not in memory is not hot
	masked := ask(h, "GET", "/", "", "Role", "admin").Body.String()
	assert.NotContains(t, masked, "ann")
	s := snapshotOf(t, []byte(masked))
	require.NotEmpty(t, s.Hot)
	require.Len(t, s.Invalidations, 3)
	assert.Contains(t, s.Hot[0].Key, "user:email:…")
	assert.Equal(t, "user:email:ann@example.com", snapshotOf(t, ask(open, "GET", "/", "", "Role", "admin").Body.Bytes()).Hot[0].Key)
}
