package engine

import (
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/journal"
	"github.com/tiercache/tiercache/internal/memory"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/internal/remote"
)

// node is an engine on a Redis, that hears, and its cache of integers.
func node(t testing.TB, addr string) (*Engine, *Cache) {
	c := redis.NewClient(&redis.Options{Addr: addr, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	e, err := Open(Config{Largest: 1 << 20, Prefix: "t:", MemoryBytes: 1 << 22, Logger: slog.New(slog.DiscardHandler), Bound: time.Second,
		Remote: remote.Config{Client: c, Read: time.Second, Write: time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close(); _ = c.Close() })
	cache, err := e.NewCache(Spec{Name: "c", TTL: time.Hour, LoadTimeout: time.Hour,
		Encode: func(dst []byte, v any) ([]byte, error) { return strconv.AppendInt(dst, int64(v.(int)), 10), nil },
		Decode: func(src []byte) (any, error) { return strconv.Atoi(string(src)) }})
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, ms, _ := e.Health(); return len(ms) == 1 && ms[0].Fresh }, 20*time.Second, time.Millisecond)
	return e, cache
}

// BenchmarkEviction is the time from a DEL on one node to the end of its value in
// the memory of another.
func BenchmarkEviction(b *testing.B) {
	addr := redistest.Start(b).Addr()
	writer, _ := node(b, addr)
	reader, cache := node(b, addr)
	hash := memory.Hash("k")
	lags := make([]time.Duration, 0, b.N)
	for i := range b.N {
		for { // in memory, and past the doubt about its own fill
			_, err := cache.Load(bg, "k", gives(i), Call{})
			require.NoError(b, err)
			if cache.Hit("k", true).OK() {
				break
			}
		}
		// A push ends the waiting under the lock under which it voids the item.
		heard, release := reader.listen(hash, "t:k")
		evicted := make(chan time.Time, 1)
		go func() { <-heard; evicted <- time.Now() }()
		began := time.Now()
		_, err := writer.Invalidate(bg, []Target{{Kind: journal.Key, Text: "k"}})
		require.NoError(b, err)
		lags = append(lags, (<-evicted).Sub(began))
		release()
	}
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds()), "p99-µs")
}
