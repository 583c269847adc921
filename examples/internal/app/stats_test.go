package app

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"maps"

	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/keys"
)

type statsAnswer struct {
	Cache struct {
		Hits, Misses, Operations int64
		HitRate, AvgTime         float64
	}
	Redis struct {
		Mode      string
		Connected bool
		PingMs    float64
	}
	Performance struct{ Status, Recommendation string }
}

func (i *instance) stats() statsAnswer {
	i.t.Helper()
	return want[statsAnswer](i, http.StatusOK, "GET", "/api/cache/stats", "", nil)
}

func TestStatsHaveExactlyTheAgreedFields(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		i := newWorld(t).instance(on)
		_, raw := i.do("GET", "/api/cache/stats", "", nil)
		var body map[string]map[string]any
		require.NoError(t, json.Unmarshal(raw, &body))
		fields := func(part string) []string { return slices.Sorted(maps.Keys(body[part])) }
		assert.Equal(t, []string{"cache", "performance", "redis"}, slices.Sorted(maps.Keys(body)))
		assert.Equal(t, []string{"avgTime", "hitRate", "hits", "misses", "operations"}, fields("cache"))
		assert.Equal(t, []string{"connected", "mode", "pingMs"}, fields("redis"))
		assert.Equal(t, []string{"recommendation", "status"}, fields("performance"))
		assert.Regexp(t, regexp.MustCompile(`"hitRate":\d+\.\d\d[,}]`), string(raw))
	}
}

func TestStatsCountHitsAndMissesAndAddUp(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	for range 3 {
		get[store.Profile](i, "/api/users/me", user)
	}
	s := i.stats()
	assert.EqualValues(t, 2, s.Cache.Hits)
	assert.EqualValues(t, 1, s.Cache.Misses)
	assert.Equal(t, s.Cache.Hits+s.Cache.Misses, s.Cache.Operations)
	assert.Equal(t, 66.67, s.Cache.HitRate)
	assert.Positive(t, s.Cache.AvgTime)
	assert.Equal(t, "fair", s.Performance.Status)
	assert.Equal(t, "single", s.Redis.Mode)
	assert.True(t, s.Redis.Connected)
}

func TestClearingDropsTheValuesAndCountsFromZero(t *testing.T) {
	t.Parallel()
	i := service(t)
	user, super := i.who(store.RoleUser, 1), i.who(store.RoleSuperuser, 1)
	read := func() {
		get[store.Profile](i, "/api/users/me", user)
		get[store.InquiryPage](i, "/api/inquiries", user)
		get[store.UserList](i, "/api/users", super)
		get[store.Workload](i, "/api/analytics/workload?range=7d", super)
	}
	read()
	cost := i.queries(read)
	require.Zero(t, cost)
	want[map[string]bool](i, http.StatusOK, "DELETE", "/api/cache/stats", super.token, nil)
	s := i.stats()
	assert.Zero(t, s.Cache.Operations)
	assert.Zero(t, s.Cache.HitRate)
	assert.NotZero(t, i.queries(read), "nothing is left of the values")
	s = i.stats()
	assert.EqualValues(t, 4, s.Cache.Misses)
	assert.Zero(t, s.Cache.Hits)
}

func TestAPatternDropsTheKeysThatMatchAndNoOthers(t *testing.T) {
	t.Parallel()
	i := service(t)
	super := i.who(store.RoleSuperuser, 1)
	users := []who{i.who(store.RoleUser, 1), i.who(store.RoleUser, 2)}
	lists := func(p who) func() {
		return func() {
			get[store.InquiryPage](i, "/api/inquiries", p)
			get[store.InquiryPage](i, "/api/inquiries?status=open", p)
		}
	}
	lists(users[0])()
	lists(users[1])()
	before := i.stats().Cache.Operations
	pattern := url.QueryEscape(keys.InquiriesOfUser(strconv.FormatInt(users[0].ID, 10)))
	got := want[map[string]any](i, http.StatusOK, "DELETE", "/api/cache/stats?pattern="+pattern, super.token, nil)
	assert.Equal(t, map[string]any{"cleared": true, "keys": 2.0}, got)
	assert.Equal(t, before, i.stats().Cache.Operations, "it counts on")
	assert.Zero(t, i.queries(lists(users[1])))
	assert.NotZero(t, i.queries(lists(users[0])))
}

func TestTheStatusFollowsTheHitRate(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]string{100: "good", 80: "good", 79.99: "fair", 60: "fair", 59.99: "poor", 0: "poor"} {
		assert.Equal(t, want, status(rate), rate)
	}
}

func TestTheRecommendationNamesWhatWasMeasured(t *testing.T) {
	t.Parallel()
	on := &App{source: &cached{}}
	for name, c := range map[string]struct {
		app       *App
		counts    counts
		connected bool
		text      string
	}{
		"off":       {&App{source: direct{}}, counts{}, false, "cache is off"},
		"no redis":  {on, counts{Hits: 1000}, false, "cannot be reached"},
		"errors":    {on, counts{Hits: 1000, Errors: 7}, true, "7 operations met an error"},
		"too few":   {on, counts{Hits: 5, Misses: 1}, true, "Only 6 operations"},
		"good":      {on, counts{Hits: 900, MemoryHits: 800, Misses: 100}, true, "90.00 % of 1000 operations were answered from the cache, 800"},
		"overtaken": {on, counts{Hits: 100, Misses: 900, Loads: 900, FillsRefused: 300}, true, "300 of 900 loads"},
		"few hits":  {on, counts{Hits: 500, Misses: 500, Loads: 500}, true, "50.00 % of 1000"},
	} {
		assert.Contains(t, recommendation(c.app, c.counts, c.connected), c.text, name)
	}
}
