package cacheotel_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tiercache/tiercache"
)

func TestWhatIsAskedOfRedisHasSpansBelowTheCallers(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	defer provider.Shutdown(t.Context())
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	defer client.Close()
	tiers, err := tiercache.Open(tiercache.Config{Redis: client, Prefix: "t:", Instrument: func(c *redis.Client) {
		assert.NoError(t, redisotel.InstrumentTracing(c, redisotel.WithTracerProvider(provider), redisotel.WithDBStatement(false)))
	}})
	require.NoError(t, err)
	defer tiers.Close()
	users, err := tiercache.New(tiers, tiercache.Options[string]{Name: "users", TTL: time.Minute})
	require.NoError(t, err)

	ctx, request := provider.Tracer("shop").Start(t.Context(), "request")
	_, err = users.GetOrLoad(ctx, "user:42", func(context.Context) (string, error) { return "Ada", nil })
	require.NoError(t, err)
	request.End()

	below := map[string]bool{}
	for _, s := range spans.Ended() {
		if s.Parent().SpanID() == request.SpanContext().SpanID() {
			below[s.Name()] = true
		}
	}
	assert.Contains(t, below, "getrange")
}
