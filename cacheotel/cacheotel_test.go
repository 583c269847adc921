package cacheotel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func newCache(t *testing.T, tiers *tiercache.Tiers, name string) *tiercache.Cache[int] {
	t.Helper()
	c, err := tiercache.New(tiers, tiercache.Options[int]{Name: name, TTL: time.Hour})
	require.NoError(t, err)
	return c
}

func open(t *testing.T) *tiercache.Tiers {
	t.Helper()
	tiers, err := tiercache.Open(tiercache.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tiers.Close()) })
	return tiers
}

// collected is what reader has, by name.
func collected(t *testing.T, reader metric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(bg, &all))
	out := make(map[string]metricdata.Metrics)
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			out[m.Name] = m
		}
	}
	return out
}

// sum of the points of a counter that have the attribute.
func sum(m metricdata.Metrics, key, value string) (total int64) {
	data, _ := m.Data.(metricdata.Sum[int64])
	for _, p := range data.DataPoints {
		if v, ok := p.Attributes.Value(attribute.Key(key)); ok && v.AsString() == value {
			total += p.Value
		}
	}
	return total
}

func reading(t *testing.T, tiers *tiercache.Tiers) (metric.Reader, *metric.MeterProvider) {
	t.Helper()
	reader := metric.NewManualReader(metric.WithProducer(Latencies(tiers)))
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	t.Cleanup(func() { assert.NoError(t, provider.Shutdown(bg)) })
	return reader, provider
}

func TestHitsAndMissesAreTheOperations(t *testing.T) {
	t.Parallel()
	tiers := open(t)
	reader, provider := reading(t, tiers)
	unregister, err := Register(tiers, provider)
	require.NoError(t, err)
	names := []string{"users", "a\xff", "a\xfe", `"a\xff"`, "new\nline"}
	for _, name := range names {
		c := newCache(t, tiers, name)
		for i := range 20 {
			_, err := c.GetOrLoad(bg, fmt.Sprint(name, i%4), func(context.Context) (int, error) { return 7, nil })
			require.NoError(t, err)
		}
	}
	got := collected(t, reader)
	for _, name := range names {
		name = label(name)
		assert.EqualValues(t, 20, sum(got["tiercache.operations"], "cache", name), name)
		assert.EqualValues(t, 16, sum(got["tiercache.hits"], "cache", name), name)
		assert.EqualValues(t, 4, sum(got["tiercache.misses"], "cache", name), name)
	}
	for _, p := range got["tiercache.load.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		assert.EqualValues(t, 4, p.Count)
		var counted uint64
		for _, n := range p.BucketCounts {
			counted += n
		}
		assert.Equal(t, p.Count, counted)
		assert.Len(t, p.BucketCounts, len(p.Bounds)+1)
		assert.True(t, slices.IsSorted(p.Bounds))
		assert.False(t, p.StartTime.IsZero())
		assert.True(t, p.StartTime.Before(p.Time))
	}
	require.NoError(t, unregister())
	assert.NotContains(t, collected(t, reader), "tiercache.operations")
}

func TestWhatIsClosedMeanwhileIsStillObserved(t *testing.T) {
	t.Parallel()
	tiers, err := tiercache.Open(tiercache.Config{})
	require.NoError(t, err)
	_, _, err = newCache(t, tiers, "users").Get(bg, "user:1")
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 2 { // two collectors at once
		reader, provider := reading(t, tiers)
		unregister, err := Register(tiers, provider)
		require.NoError(t, err)
		defer func() { assert.NoError(t, unregister()) }()
		wg.Go(func() {
			for range 20 {
				assert.EqualValues(t, 1, sum(collected(t, reader)["tiercache.operations"], "cache", "users"))
			}
		})
	}
	require.NoError(t, tiers.Close())
	wg.Wait()
}

func TestNothingToObserveIsAnError(t *testing.T) {
	t.Parallel()
	_, err := Register(nil, metric.NewMeterProvider())
	assert.EqualError(t, err, "cacheotel: Register needs Tiers, not nil")
	_, err = Register(open(t), nil)
	assert.EqualError(t, err, "cacheotel: Register needs a MeterProvider, not nil")
	_, err = Latencies(nil).Produce(bg)
	assert.EqualError(t, err, "cacheotel: Latencies needs Tiers, not nil")
}

func TestTheReadmeListsEveryInstrument(t *testing.T) {
	t.Parallel()
	var want []string
	add := func(name, kind, unit, help string) {
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", name, kind, unit, help))
	}
	kinds := []string{counter: "counter", level: "up-down counter", gauge: "gauge"}
	for _, i := range ofTiers {
		add(i.name, kinds[i.kind], i.unit, i.help)
	}
	for _, i := range ofCaches {
		add(i.name, kinds[i.kind], i.unit, i.help)
	}
	for _, i := range ofMasters {
		add(i.name, kinds[i.kind], i.unit, i.help)
	}
	for _, h := range histograms {
		add(h.name, "histogram", "s", h.help)
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var got []string
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "| `tiercache.") {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			require.Len(t, cells, 5, line)
			got = append(got, strings.Join(slices.Delete(cells, 3, 4), " | ")) // attributes: cacheprom/check compares them
		}
	}
	assert.ElementsMatch(t, want, got)
}

func TestASpanIsMadeForEachLoadAndForNoHit(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	t.Cleanup(func() { assert.NoError(t, provider.Shutdown(bg)) })
	tracer := provider.Tracer("test")
	users := newCache(t, open(t), "users")
	broken := errors.New("broken")
	results := map[string]error{"loaded": nil, "absent": tiercache.ErrNotFound, "error": broken}
	ctx, parent := tracer.Start(bg, "request")
	for outcome, result := range results {
		load := Traced(tracer, "users", func(context.Context) (int, error) { return 7, result })
		_, err := users.GetOrLoad(ctx, outcome, load)
		require.ErrorIs(t, err, result)
		if result == nil {
			_, err = users.GetOrLoad(ctx, outcome, load)
			require.NoError(t, err)
		}
	}
	_, err := users.GetOrLoad(ctx, "panics", Traced(tracer, "users", func(context.Context) (int, error) { panic("boom") }))
	require.ErrorContains(t, err, "boom")
	many := TracedMany(tracer, "users", func(_ context.Context, keys []string) (map[string]int, error) {
		return map[string]int{keys[0]: 1}, nil
	})
	_, err = users.GetOrLoadMany(ctx, []string{"m1", "m2", "m3"}, many)
	require.NoError(t, err)
	parent.End()

	got := make(map[string]trace.ReadOnlySpan)
	for _, s := range spans.Ended() {
		if s.Name() == "request" {
			continue
		}
		assert.Equal(t, "load users", s.Name())
		assert.Equal(t, parent.SpanContext().SpanID(), s.Parent().SpanID())
		outcome := "panic"
		if v, ok := valueOf(s, "outcome"); ok {
			outcome = v.AsString()
		}
		if v, ok := valueOf(s, "keys"); ok {
			outcome += fmt.Sprint(" of ", v.AsInt64())
		}
		assert.NotContains(t, got, outcome)
		got[outcome] = s
	}
	require.Len(t, got, 5)
	require.Contains(t, got, "loaded of 3")
	assert.Contains(t, got["loaded of 3"].Attributes(), attribute.Int("found", 1))
	assert.Equal(t, codes.Unset, got["loaded"].Status().Code)
	assert.Equal(t, codes.Unset, got["absent"].Status().Code)
	assert.Equal(t, trace.Status{Code: codes.Error, Description: "broken"}, got["error"].Status())
	assert.Len(t, got["panic"].Events(), 1)
}

func valueOf(s trace.ReadOnlySpan, key attribute.Key) (attribute.Value, bool) {
	for _, a := range s.Attributes() {
		if a.Key == key {
			return a.Value, true
		}
	}
	return attribute.Value{}, false
}
