package cacheotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/tiercache/tiercache"
)

// Traced is load with a span around each of its runs, a child of the caller's who began
// it; others who wait for the same load have none. The span is called "load" and the
// name of the cache, and has its name as the attribute cache, and how it ended as
// outcome: "loaded", "absent" (ErrNotFound), "unmodified" (ErrNotModified) or "error".
// An error, and a panic, is recorded. The key is not shown.
//
//	users.GetOrLoad(ctx, key, cacheotel.Traced(tracer, "users", load))
//
// A wrapper made for each call is an allocation of each call, on a hit too. Where that
// matters call Traced within load.
func Traced[T any](tracer trace.Tracer, cache string, load func(context.Context) (T, error)) func(context.Context) (T, error) {
	name, attributes := spanOf(cache)
	return func(ctx context.Context) (T, error) {
		ctx, span := tracer.Start(ctx, name, attributes)
		defer span.End() // by defer itself: it records a panic, and goes on with it
		v, err := load(ctx)
		ended(span, err)
		return v, err
	}
}

// TracedMany is Traced for a loader of many keys, which has one span for all of them;
// the attribute keys is how many were asked for, found how many came.
func TracedMany[T any](tracer trace.Tracer, cache string, load func(context.Context, []string) (map[string]T, error)) func(context.Context, []string) (map[string]T, error) {
	name, attributes := spanOf(cache)
	return func(ctx context.Context, keys []string) (map[string]T, error) {
		ctx, span := tracer.Start(ctx, name, attributes, trace.WithAttributes(attribute.Int("keys", len(keys))))
		defer span.End()
		values, err := load(ctx, keys)
		span.SetAttributes(attribute.Int("found", len(values)))
		ended(span, err)
		return values, err
	}
}

func spanOf(cache string) (name string, attributes trace.SpanStartEventOption) {
	return "load " + label(cache), trace.WithAttributes(attribute.String("cache", label(cache)))
}

func ended(span trace.Span, err error) {
	outcome := "loaded"
	switch {
	case errors.Is(err, tiercache.ErrNotFound):
		outcome = "absent"
	case errors.Is(err, tiercache.ErrNotModified):
		outcome = "unmodified"
	case err != nil:
		outcome = "error"
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.SetAttributes(attribute.String("outcome", outcome))
}
