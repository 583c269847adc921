package cacheprom

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

// families are what c shows, by name.
func families(t *testing.T, c prometheus.Collector) map[string]*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(c))
	all, err := r.Gather()
	require.NoError(t, err)
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		byName[f.GetName()] = f
	}
	return byName
}

// sum of the values of f that have all of these labels, "name=value".
func sum(f *dto.MetricFamily, labels ...string) (total float64) {
next:
	for _, m := range f.GetMetric() {
		for _, want := range labels {
			name, value, _ := strings.Cut(want, "=")
			if labelOf(m, name) != value {
				continue next
			}
		}
		total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return total
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func open(t *testing.T, cfg tiercache.Config) *tiercache.Tiers {
	t.Helper()
	tiers, err := tiercache.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tiers.Close()) })
	return tiers
}

func newCache(t *testing.T, tiers *tiercache.Tiers, name string) *tiercache.Cache[int] {
	t.Helper()
	c, err := tiercache.New(tiers, tiercache.Options[int]{Name: name, KeyPrefix: name + ":", TTL: time.Hour})
	require.NoError(t, err)
	return c
}

func seven(context.Context) (int, error) { return 7, nil }

func TestHitsAndMissesAreTheOperationsOfEachCache(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb := server.Client()
	tiers := open(t, tiercache.Config{Redis: rdb, Prefix: "shop:"})
	broken := errors.New("broken")
	for _, name := range []string{"a", "b"} {
		c := newCache(t, tiers, name)
		for i := range 40 {
			_, err := c.GetOrLoad(bg, fmt.Sprintf("%s:%d", name, i%10), seven)
			require.NoError(t, err)
		}
		_, err := c.GetOrLoad(bg, name+":bad", func(context.Context) (int, error) { return 0, broken })
		require.ErrorIs(t, err, broken)
		_, err = c.GetOrLoad(bg, name+":none", func(context.Context) (int, error) { return 0, tiercache.ErrNotFound })
		require.ErrorIs(t, err, tiercache.ErrNotFound)
		require.NoError(t, c.Delete(bg, name+":1"))
		_, _, err = c.Get(bg, name+":1")
		require.NoError(t, err)
	}
	got := families(t, New(tiers))
	for _, name := range []string{"a", "b"} {
		of := "cache=" + name
		assert.EqualValues(t, 43, sum(got["tiercache_operations_total"], of))
		assert.Equal(t, sum(got["tiercache_operations_total"], of), sum(got["tiercache_hits_total"], of)+sum(got["tiercache_misses_total"], of))
		assert.GreaterOrEqual(t, sum(got["tiercache_hits_total"], of, "tier=memory")+sum(got["tiercache_hits_total"], of, "tier=redis"), 30.0)
		assert.EqualValues(t, 12, sum(got["tiercache_loads_total"], of))
		assert.EqualValues(t, 1, sum(got["tiercache_load_errors_total"], of))
	}
	assert.EqualValues(t, 2, sum(got["tiercache_invalidations_total"], "kind=key"))
	assert.EqualValues(t, 1, sum(got["tiercache_info"], "mode=single"))
}

func TestAMasterIsInOneStateAndHeardInOneWay(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	tiers := open(t, tiercache.Config{Redis: server.Client(), Prefix: "shop:"})
	c := newCache(t, tiers, "a")
	of := "master=" + server.Addr()
	one := func() map[string]*dto.MetricFamily {
		got := families(t, New(tiers))
		assert.EqualValues(t, 1, sum(got["tiercache_redis_circuit_state"], of))
		assert.EqualValues(t, 1, sum(got["tiercache_redis_hearing_mode"], of))
		return got
	}
	require.Eventually(t, func() bool {
		got := one()
		return sum(got["tiercache_redis_circuit_state"], of, "state=closed") == 1 && sum(got["tiercache_redis_hearing_mode"], of, "mode=tracking") == 1 &&
			sum(got["tiercache_redis_hearing_fresh"], of) == 1 && sum(got["tiercache_redis_connected"], of) == 1 && sum(got["tiercache_redis_ping_seconds"], of) > 0
	}, 20*time.Second, 5*time.Millisecond)
	server.Kill()
	require.Eventually(t, func() bool {
		_, err := c.GetOrLoad(bg, "a:1", seven)
		require.NoError(t, err)
		require.NoError(t, c.Delete(bg, "a:1"))
		got := one()
		return sum(got["tiercache_redis_circuit_state"], of, "state=open") == 1 && sum(got["tiercache_redis_circuit_opens_total"], of) >= 1 &&
			sum(got["tiercache_queued_invalidations"]) > 0 && sum(got["tiercache_redis_connected"], of) == 0
	}, 20*time.Second, 5*time.Millisecond)
	server.Restart()
	require.Eventually(t, func() bool { return sum(one()["tiercache_queued_invalidations"]) == 0 }, 20*time.Second, 5*time.Millisecond)
}

func TestALoadIsInTheBucketThatItsTimeIsIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tiers, err := tiercache.Open(tiercache.Config{})
		require.NoError(t, err)
		c := newCache(t, tiers, "a")
		for i, d := range []time.Duration{0, 3 * time.Millisecond, 3 * time.Millisecond, 5 * time.Second, time.Minute} {
			c, err := tiercache.New(tiers, tiercache.Options[int]{Name: fmt.Sprint("slow", i), KeyPrefix: fmt.Sprint("slow", i, ":"), TTL: time.Hour, LoadTimeout: time.Hour})
			require.NoError(t, err)
			_, err = c.GetOrLoad(bg, fmt.Sprint("slow", i, ":1"), func(context.Context) (int, error) { time.Sleep(d); return 7, nil })
			require.NoError(t, err)
		}
		for range 64 * 4 {
			_, err := c.GetOrLoad(bg, "a:1", seven)
			require.NoError(t, err)
		}
		got := families(t, New(tiers))
		load := got["tiercache_load_duration_seconds"]
		for i, want := range []struct {
			bucket  int // the first that has it; -1: none
			seconds float64
		}{{0, 0}, {5, 0.003}, {5, 0.003}, {16, 5}, {-1, 60}} {
			h := histogramOf(t, load, fmt.Sprint("slow", i))
			assert.EqualValues(t, 1, h.GetSampleCount())
			assert.InDelta(t, want.seconds, h.GetSampleSum(), 1e-9)
			first := -1
			for j, b := range h.GetBucket() {
				if b.GetCumulativeCount() == 1 && first < 0 {
					first = j
				}
			}
			assert.Equal(t, want.bucket, first, "%v", h)
			if first >= 0 {
				assert.LessOrEqual(t, want.seconds, h.GetBucket()[first].GetUpperBound())
			}
		}
		memory := histogramOf(t, got["tiercache_memory_hit_duration_seconds"], "a")
		assert.Positive(t, memory.GetSampleCount())
		assert.Equal(t, memory.GetSampleCount(), memory.GetBucket()[0].GetCumulativeCount(), "the bubble's clock stands still")
		require.NoError(t, tiers.Close())
	})
}

func histogramOf(t *testing.T, f *dto.MetricFamily, cache string) *dto.Histogram {
	t.Helper()
	for _, m := range f.GetMetric() {
		if labelOf(m, "cache") == cache {
			return m.GetHistogram()
		}
	}
	t.Fatalf("no histogram of %q in %v", cache, f)
	return nil
}

func TestTwoTiersAreToldApartByALabelOfTheRegistrys(t *testing.T) {
	t.Parallel()
	r := prometheus.NewPedanticRegistry()
	for i, name := range []string{"one", "two"} {
		tiers := open(t, tiercache.Config{})
		c := newCache(t, tiers, "a")
		for range i + 1 {
			_, _, err := c.Get(bg, "a:1")
			require.NoError(t, err)
		}
		require.NoError(t, prometheus.WrapRegistererWith(prometheus.Labels{"tiers": name}, r).Register(New(tiers)))
	}
	assert.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`# HELP tiercache_operations_total Reads, each a hit or a miss.
# TYPE tiercache_operations_total counter
tiercache_operations_total{cache="a",tiers="one"} 1
tiercache_operations_total{cache="a",tiers="two"} 2
`), "tiercache_operations_total"))
	tiers := open(t, tiercache.Config{})
	plain := prometheus.NewRegistry()
	require.NoError(t, plain.Register(New(tiers)))
	assert.Error(t, plain.Register(New(tiers)), "without one they are the same metrics")
}

func TestAfterCloseTheLastCountsAreShown(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { assert.NoError(t, rdb.Close()) })
	tiers, err := tiercache.Open(tiercache.Config{Redis: rdb, Prefix: "shop:"})
	require.NoError(t, err)
	c := newCache(t, tiers, "a")
	_, err = c.GetOrLoad(bg, "a:1", seven)
	require.NoError(t, err)
	collector := New(tiers)
	var wg sync.WaitGroup
	for range 4 { // Close comes in the middle
		wg.Go(func() {
			for range 20 {
				assert.EqualValues(t, 1, sum(families(t, collector)["tiercache_operations_total"]))
			}
		})
	}
	require.NoError(t, tiers.Close())
	wg.Wait()
	assert.EqualValues(t, 1, sum(families(t, collector)["tiercache_loads_total"], "cache=a"))
}

func TestANameOfACacheMayBeAnything(t *testing.T) {
	t.Parallel()
	names := []string{`a"b`, `"a\xff"`, "a\xff", "a\xfe", "new\nline", `back\slash`, "{x=\"1\"}", "ключ", "\x00", strings.Repeat("long", 1000), "# HELP x"}
	tiers := open(t, tiercache.Config{})
	for _, name := range names {
		c, err := tiercache.New(tiers, tiercache.Options[int]{Name: name, TTL: time.Hour})
		require.NoError(t, err)
		_, _, err = c.Get(bg, "secret:key")
		require.NoError(t, err)
	}
	got := families(t, New(tiers))
	assert.Len(t, got["tiercache_operations_total"].GetMetric(), len(names))
	assert.EqualValues(t, len(names), sum(got["tiercache_operations_total"]))
	for _, name := range []string{`a"b`, `"\"a\\xff\""`, `"a\xff"`, `"a\xfe"`, "new\nline", "\x00"} {
		assert.EqualValues(t, 1, sum(got["tiercache_operations_total"], "cache="+name), "%q", name)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(New(tiers))
	text, err := testutil.CollectAndFormat(New(tiers), expfmt.TypeTextPlain, "tiercache_operations_total")
	require.NoError(t, err)
	assert.Contains(t, string(text), `{cache="a\"b"} 1`)
	assert.Contains(t, string(text), `{cache="new\nline"} 1`)
	assert.NotContains(t, string(text), "secret")
	assert.Equal(t, len(names)+2, strings.Count(string(text), "\n"), "a name breaks no line")
}

func TestNoTiersAreAnErrorOfTheScrape(t *testing.T) {
	t.Parallel()
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(New(nil)))
	_, err := r.Gather()
	assert.ErrorContains(t, err, "New needs Tiers, not nil")
}
