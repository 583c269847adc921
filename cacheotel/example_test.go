package cacheotel_test

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cacheotel"
)

func ExampleRegister() {
	ctx := context.Background()
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tiers.Close()
	reader := metric.NewManualReader(metric.WithProducer(cacheotel.Latencies(tiers)))
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	defer provider.Shutdown(ctx)
	unregister, err := cacheotel.Register(tiers, provider)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unregister()

	users, err := tiercache.New(tiers, tiercache.Options[string]{Name: "users", TTL: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		_, _ = users.GetOrLoad(ctx, "user:42", func(context.Context) (string, error) { return "Ada", nil })
	}
	var collected metricdata.ResourceMetrics
	fmt.Println(reader.Collect(ctx, &collected))
	for _, m := range collected.ScopeMetrics[0].Metrics {
		if m.Name == "tiercache.operations" {
			fmt.Println(m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
		}
	}
	// Output:
	// <nil>
	// 3
}

func ExampleTraced() {
	ctx := context.Background()
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	defer provider.Shutdown(ctx)
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tiers.Close()
	users, err := tiercache.New(tiers, tiercache.Options[string]{Name: "users", TTL: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	load := cacheotel.Traced(provider.Tracer("shop"), "users", func(context.Context) (string, error) { return "Ada", nil })
	for range 3 {
		_, _ = users.GetOrLoad(ctx, "user:42", load)
	}
	for _, s := range spans.Ended() { // the hits have none
		fmt.Println(s.Name(), s.Attributes()[1].Value.AsString())
	}
	// Output: load users loaded
}
