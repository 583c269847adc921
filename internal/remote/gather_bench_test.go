package remote

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// BenchmarkConcurrentReads sets reads of different keys by many goroutines beside
// what go-redis makes of the same: GET and json decode, in either.
func BenchmarkConcurrentReads(b *testing.B) {
	type profile struct {
		Name, Email string
		Age         int
		Tags        []string
	}
	raw, err := json.Marshal(profile{"Ann", "ann@example.com", 33, []string{"a", "b"}})
	if err != nil {
		b.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: redistest.Start(b).Addr(), DialTimeout: 10 * time.Second})
	b.Cleanup(func() { _ = c.Close() })
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("p:user:", i)
		if err := c.Set(bg, keys[i], raw, 0).Err(); err != nil {
			b.Fatal(err)
		}
	}
	r, err := Open(complete(Config{Client: c, Read: time.Second, Write: time.Second, Logger: slog.New(slog.DiscardHandler)}))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	for _, goroutines := range []int{2, 8, 64, 512} {
		for _, way := range []struct {
			name string
			get  func(key string) ([]byte, error)
		}{
			{"go-redis", func(key string) ([]byte, error) { return c.Get(bg, key).Bytes() }},
			{"ours", func(key string) ([]byte, error) { reply, err := r.Get(bg, key); return reply.Raw, err }},
		} {
			b.Run(fmt.Sprintf("%d/%s", goroutines, way.name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(max(1, goroutines/2))
				var next atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						raw, err := way.get(keys[int(next.Add(1))%len(keys)])
						var p profile
						if err == nil {
							err = json.Unmarshal(raw, &p)
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkGetMany sets 100 keys in one call beside MGET of the same.
func BenchmarkGetMany(b *testing.B) {
	c := redis.NewClient(&redis.Options{Addr: redistest.Start(b).Addr(), DialTimeout: 10 * time.Second})
	b.Cleanup(func() { _ = c.Close() })
	raw := make([]byte, 200)
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprint("p:user:", i)
		if err := c.Set(bg, keys[i], raw, 0).Err(); err != nil {
			b.Fatal(err)
		}
	}
	r, err := Open(complete(Config{Client: c, Read: time.Second, Write: time.Second, Logger: slog.New(slog.DiscardHandler)}))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	many := func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, errs := r.GetMany(bg, keys)
			if err := first(errs); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("MGET", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.MGet(bg, keys...).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ours", many)
	r.routes.table.Load().masters[0].beware.start()
	b.Run("ours, by GETRANGE", many)
}
