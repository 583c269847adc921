package cacheprom

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// notShown are the figures that no metric has, and why.
var notShown = map[string]string{
	"Stats.At":               "a scrape has its time",
	"Stats.Span":             "rate() takes any",
	"Stats.Total":            "the sum over the caches",
	"Stats.MemoryEntries":    "the sum over the caches",
	"Stats.MemoryBytes":      "the sum over the caches",
	"Stats.MemoryEvictions":  "the sum over the caches",
	"CacheStats.Hits":        "the sum over the tiers",
	"CacheStats.Misses":      "the sum over the causes",
	"CacheStats.AverageTime": "an average since Open tells nothing of now",
	"CacheStats.MemoryTime":  "a histogram, tested on real loads",
	"CacheStats.RedisTime":   "a histogram",
	"CacheStats.WaitTime":    "a histogram",
	"CacheStats.LoadTime":    "a histogram",
	"MasterHealth.Stamp":     "each restart would be another series",
	"MasterHealth.NextProbe": "it is over by the time that anybody looks",
	"MasterHealth.PoolTotal": "shown as idle and used",
}

// numbered gives every figure of s another value, and tells them by name.
func numbered(s any, at int, names map[string]float64) int {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		name := v.Type().Name() + "." + v.Type().Field(i).Name
		if notShown[name] != "" {
			continue
		}
		at++
		switch f := v.Field(i); f.Kind() {
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(at))
			names[name] = float64(at)
			if f.Type().String() == "time.Duration" {
				f.SetInt(int64(at) * 1e9)
			}
		case reflect.Uint64:
			f.SetUint(uint64(at))
			names[name] = float64(at)
		}
	}
	return at
}

// synthetic Stats have one cache, one master, and no figure twice.
func synthetic() (tiercache.Stats, map[string]float64) {
	names := make(map[string]float64)
	s := tiercache.Stats{Mode: "single"}
	c := tiercache.CacheStats{Name: "users"}
	m := tiercache.MasterHealth{Addr: "10.0.0.1:6379", Connected: true, Hearing: "tracking", Fresh: true, State: "closed"}
	at := numbered(&s, 100, names)
	at = numbered(&c, at, names)
	numbered(&m, at, names)
	m.PoolTotal = m.PoolIdle
	s.Caches, s.Masters = []tiercache.CacheStats{c}, []tiercache.MasterHealth{m}
	return s, names
}

func TestEveryFigureIsShownOrLeftOutForAReason(t *testing.T) {
	t.Parallel()
	s, names := synthetic()
	require.Greater(t, len(names), 30)
	shown := make(map[float64]int)
	for _, f := range families(t, collector{func() tiercache.Stats { return s }}) {
		for _, m := range f.GetMetric() {
			shown[m.GetCounter().GetValue()+m.GetGauge().GetValue()]++
		}
	}
	for name, value := range names {
		assert.Equal(t, 1, shown[value], name)
	}
}

func TestNamesAndHelpAreAsPrometheusWantsThem(t *testing.T) {
	t.Parallel()
	s, _ := synthetic()
	problems, err := testutil.CollectAndLint(collector{func() tiercache.Stats { return s }})
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func TestTheReadmeListsEveryMetric(t *testing.T) {
	t.Parallel()
	s, _ := synthetic()
	var want []string
	for name, f := range families(t, collector{func() tiercache.Stats { return s }}) {
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", name, strings.ToLower(f.GetType().String()), strings.Join(labels(f), ", "), f.GetHelp()))
	}
	slices.Sort(want)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var got []string
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "| `tiercache_") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	slices.Sort(got)
	assert.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
}

// labels of f; of an enumeration with its values.
func labels(f *dto.MetricFamily) (all []string) {
	for _, l := range f.GetMetric()[0].GetLabel() {
		if l.GetName() == "cache" || l.GetName() == "master" || f.GetName() == "tiercache_info" {
			all = append(all, l.GetName())
			continue
		}
		var values []string
		for _, m := range f.GetMetric() {
			values = append(values, labelOf(m, l.GetName()))
		}
		all = append(all, l.GetName()+"="+strings.Join(values, "/"))
	}
	return all
}
