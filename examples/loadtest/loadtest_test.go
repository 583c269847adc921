package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/examples/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func people(kind string, n int) []http.Header {
	var all []http.Header
	for i := range n {
		all = append(all, http.Header{"Who": {kind, string(rune('A' + i))}})
	}
	return all
}

func TestTheMixIsSeventyTwentyTenAndTheSameForTheSameSeed(t *testing.T) {
	t.Parallel()
	users, agents := people("user", 20), people("agent", 5)
	seq := sequence(1, 10_000, users, agents)
	require.Len(t, seq, 10_000)
	count := map[route]int{}
	for _, q := range seq {
		count[q.route]++
	}
	assert.Equal(t, map[route]int{me: 7_000, inquiries: 2_000, workload: 1_000}, count)
	assert.Equal(t, seq, sequence(1, 10_000, users, agents))
	assert.NotEqual(t, seq, sequence(2, 10_000, users, agents))
	assert.Equal(t, seq[:100], sequence(1, 100, users, agents), "a longer sequence begins like a shorter one")
}

func TestAVisitIsThreeRequestsOfOneAgentInARow(t *testing.T) {
	t.Parallel()
	seq := sequence(1, 10_000, people("user", 20), people("agent", 5))
	visits := 0
	for i, q := range seq {
		if !q.visit {
			continue
		}
		visits++
		assert.Equal(t, []route{me, inquiries, workload}, []route{q.route, seq[i+1].route, seq[i+2].route})
		for _, part := range seq[i : i+3] {
			assert.Equal(t, "agent", part.header["Who"][0])
			assert.Equal(t, q.header, part.header)
		}
	}
	assert.Equal(t, 1_000, visits)
	for i, q := range seq {
		if q.route == workload {
			assert.True(t, seq[i-2].visit, "only a visit asks for the workload, which users may not")
		}
	}
}

func TestTheBusiestComeOftenestAndEverybodyComes(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for _, q := range sequence(1, 50_000, people("user", 20), people("agent", 5)) {
		count[strings.Join(q.header["Who"], "")]++
	}
	assert.Len(t, count, 25)
	assert.Greater(t, count["userA"], 3*count["userJ"])
	assert.Greater(t, count["agentA"], 2*count["agentE"])
}

func TestAPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i)*time.Millisecond)
	}
	for _, c := range []struct {
		name string
		of   []time.Duration
		p    float64
		want time.Duration
	}{
		{"none", nil, 50, 0},
		{"one", []time.Duration{7}, 99, 7},
		{"median of two is the lower", []time.Duration{9, 3}, 50, 3},
		{"median of three", []time.Duration{9, 3, 5}, 50, 5},
		{"50 of 100", hundred, 50, 50 * time.Millisecond},
		{"95 of 100", hundred, 95, 95 * time.Millisecond},
		{"99 of 100", hundred, 99, 99 * time.Millisecond},
		{"100", hundred, 100, 100 * time.Millisecond},
		{"0", hundred, 0, time.Millisecond},
	} {
		assert.Equal(t, c.want, percentile(c.of, c.p), c.name)
	}
	assert.Equal(t, 100*time.Millisecond, hundred[0], "the argument is left as it was")
	assert.Equal(t, spread{50, 95, 99}, spreadOf(hundred))
}

func TestTheSearchFindsTheHighestRateLessItsMargin(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{100, 700, 3_000, 12_345} {
		asked := 0
		got := search(20, func(rate float64) bool { asked++; return rate <= limit })
		assert.InDelta(t, limit*searchMargin, got, limit*0.02, "limit %v", limit)
		assert.LessOrEqual(t, asked, 20)
		few := search(7, func(rate float64) bool { return rate <= limit })
		assert.LessOrEqual(t, few, limit, "limit %v", limit)
	}
}

func TestSustainedMeansQuickSteadyAndWithoutErrors(t *testing.T) {
	t.Parallel()
	of := func(n int, d time.Duration) (all []time.Duration) {
		for range n {
			all = append(all, d)
		}
		return all
	}
	steady := run{rate: 100, achieved: 100, early: of(30, time.Millisecond), late: of(30, time.Millisecond)}
	steady.latencies[me] = of(100, time.Millisecond)
	assert.True(t, steady.sustained())
	for name, spoil := range map[string]func(*run){
		"an error":        func(r *run) { r.errors = 1 },
		"behind its pace": func(r *run) { r.achieved = 90 },
		"slow answers":    func(r *run) { r.latencies[inquiries] = of(10, time.Second) },
		"a growing queue": func(r *run) { r.late = of(30, 10*time.Millisecond) },
	} {
		r := steady
		spoil(&r)
		assert.False(t, r.sustained(), name)
	}
}

func TestAQueueThatBuildsUpIsNotSteady(t *testing.T) {
	t.Parallel()
	ms := func(n time.Duration) []time.Duration { return []time.Duration{n * time.Millisecond} }
	for name, c := range map[string]struct {
		run  run
		want bool
	}{
		"slow, but steady":      {run{requests: 100, finished: 96, early: ms(300), late: ms(500)}, true},
		"waiting grows":         {run{requests: 100, finished: 96, early: ms(10), late: ms(60)}, false},
		"answers come too late": {run{requests: 100, finished: 94, early: ms(10), late: ms(10)}, false},
	} {
		assert.Equal(t, c.want, c.run.steady(), name)
	}
}

// An open model sends at its pace however slow the answers are; a closed one
// never has more under way than it has workers.
func TestAnAttackIsOpenUnlessItMeasuresCapacity(t *testing.T) {
	t.Parallel()
	var now, most, fail atomic.Int64
	hold := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-hold
		if fail.Load() > 0 && strings.HasPrefix(r.URL.Path, "/api/inquiries") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	seq := sequence(1, 1000, people("user", 5), people("agent", 2))
	time.AfterFunc(500*time.Millisecond, func() { close(hold) })
	r := attack(context.Background(), srv.URL, seq, 200, 0, time.Second, false)
	assert.Greater(t, most.Load(), int64(40), "none waited for the ones before")
	assert.InDelta(t, 200, r.requests, 20)
	assert.Zero(t, r.errors, r.firstErr)
	assert.InDelta(t, 0.7, float64(len(r.latencies[me]))/float64(r.requests), 0.05)
	assert.InDelta(t, float64(len(r.latencies[workload])), float64(len(r.pages)), 1)
	for _, page := range r.pages {
		require.Positive(t, page)
	}

	most.Store(0)
	r = attack(context.Background(), srv.URL, seq, 0, 3, 200*time.Millisecond, false)
	assert.LessOrEqual(t, most.Load(), int64(3))
	assert.Positive(t, r.finished)

	fail.Store(1)
	r = attack(context.Background(), srv.URL, seq, 100, 0, 300*time.Millisecond, false)
	assert.Positive(t, r.errors)
	assert.Contains(t, r.firstErr, "500")
	assert.Error(t, failed(context.Background(), r))
}

func TestAStrictAttackEndsWhenItsRateIsCertainlyNotSustained(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer srv.Close()
	began := time.Now()
	r := attack(context.Background(), srv.URL, sequence(1, 100, people("user", 5), people("agent", 2)), 50, 0, time.Minute, true)
	assert.Less(t, time.Since(began), 30*time.Second)
	assert.Positive(t, r.errors)
	assert.False(t, r.sustained())

	slow := collector{run: run{rate: 100}, d: 10 * time.Second} // 1,000 to come
	slow.run.slow = 11
	assert.False(t, slow.hopeless(), "still within one in a hundred, rounding included")
	slow.run.slow = 12
	assert.True(t, slow.hopeless())
}

// sample is figures in which every promise is kept.
func sample() figures {
	of := func(d time.Duration) phase {
		p := phase{run: run{requests: 1000}}
		for r := range routes {
			p.latencies[r] = []time.Duration{d * time.Duration(r+1)}
		}
		p.pages, p.finished = []time.Duration{6 * d}, p.requests
		return p
	}
	f := figures{before: of(100 * time.Millisecond), cold: of(10 * time.Millisecond), warm: of(time.Millisecond),
		capacity: 50, highest: 5000, overloaded: 3}
	f.before.counted.Database = store.Counters{Queries: 2300, Execs: 1}
	f.warm.counted.Database = store.Counters{Queries: 23}
	f.warm.counted.Cache.Hits, f.warm.counted.Cache.Misses = 9_876, 124
	return f
}

func TestTheReportHasExactlyTheAgreedShape(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "figures.json")
	require.NoError(t, sample().writeJSON(path))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	spread := func(ms string) string { return `{"p50Ms":` + ms + `,"p95Ms":` + ms + `,"p99Ms":` + ms + `}` }
	both := func(before, after string) string {
		return `{"before":` + spread(before) + `,"after":` + spread(after) + `}`
	}
	assert.JSONEq(t, `{"routes":{"me":`+both("100", "1")+`,"inquiries":`+both("200", "2")+`,"workload":`+both("300", "3")+
		`,"page":`+both("600", "6")+`},"queries":{"before":2301,"after":23},"hitRate":98.76}`, string(raw))
	var r report
	require.NoError(t, json.Unmarshal(raw, &r))
}

func TestTheVerdictMissesWhatWasPromised(t *testing.T) {
	t.Parallel()
	require.NoError(t, sample().verdict(&strings.Builder{}, false))
	for name, c := range map[string]struct {
		spoil func(*figures)
		text  string
		short bool // also in a short run
	}{
		"slow inquiries":   {func(f *figures) { f.warm.latencies[inquiries] = []time.Duration{11 * time.Millisecond} }, "inquiries", false},
		"slow workload":    {func(f *figures) { f.warm.latencies[workload] = []time.Duration{16 * time.Millisecond} }, "workload", false},
		"too many queries": {func(f *figures) { f.warm.counted.Database.Queries = 231 }, "fewer database queries", true},
		"too few hits":     {func(f *figures) { f.warm.counted.Cache.Misses = 2_500 }, "hit rate", true},
		"an error, cold":   {func(f *figures) { f.cold.counted.Cache.Errors = 1 }, "1 cache errors", true},
		"an error, warm":   {func(f *figures) { f.warm.counted.Cache.Errors = 1 }, "1 cache errors", true},
	} {
		f := sample()
		c.spoil(&f)
		var out strings.Builder
		require.ErrorContains(t, f.verdict(&out, false), c.text, name)
		assert.Contains(t, out.String(), "MISSED", name)
		if err := f.verdict(&out, true); c.short {
			require.Error(t, err, name)
		} else {
			require.NoError(t, err, name)
		}
	}
}

func TestTheTableShowsEveryFigure(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	f := sample()
	f.pkRead, f.redisGet = 14*time.Microsecond, 60*time.Microsecond
	f.print(&out)
	for _, text := range []string{"/api/users/me", "/api/inquiries", "/api/analytics/workload", "page", "100×", "2301.0", "-99.0 %", "98.76", "14µs", "60µs", "Not counted: 3 cache errors",
		"A bare primary-key read does not deserve a Redis round trip"} {
		assert.Contains(t, out.String(), text)
	}
}

func TestUnknownArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-what"}, {"extra"}} {
		_, err := parse(args, &strings.Builder{})
		require.Error(t, err, args)
	}
	c, err := parse([]string{"-short"}, &strings.Builder{})
	require.NoError(t, err)
	assert.Equal(t, 10_000, c.seed.Users)
	assert.Equal(t, "server", filepath.Base(c.server))
}
