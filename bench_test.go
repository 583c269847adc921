package tiercache_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// profile is about 1 kB of JSON, what a service's "me" route returns.
type profile struct {
	ID        int64             `json:"id"`
	Name      string            `json:"name"`
	Email     string            `json:"email"`
	Role      string            `json:"role"`
	CreatedAt time.Time         `json:"createdAt"`
	Labels    map[string]string `json:"labels"`
	Counts    []int             `json:"counts"`
	About     string            `json:"about"`
}

var ann = profile{
	ID: 42, Name: "Ann Example", Email: "ann@example.com", Role: "AGENT",
	CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	Labels:    map[string]string{"team": "north", "language": "en", "plan": "large"},
	Counts:    []int{12, 0, 7, 31, 2, 5, 88, 1, 0, 3},
	About:     string(make700()),
}

func make700() []byte {
	b := make([]byte, 700)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}

func benchCache(b *testing.B, cfg tiercache.Config) *tiercache.Cache[profile] {
	tiers, err := tiercache.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = tiers.Close() })
	c, err := tiercache.New(tiers, tiercache.Options[profile]{Name: "users", TTL: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkMemoryHit sets a hit beside the floor: a bare ristretto Get of a
// pointer that was stored with a TTL.
func BenchmarkMemoryHit(b *testing.B) {
	cache := benchCache(b, tiercache.Config{})
	load := func(context.Context) (profile, error) { return ann, nil }
	if _, err := cache.GetOrLoad(bg, "user:42", load); err != nil {
		b.Fatal(err)
	}
	r, err := ristretto.NewCache(&ristretto.Config[string, *profile]{NumCounters: 1e6, MaxCost: 64 << 20, BufferItems: 64})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(r.Close)
	r.SetWithTTL("user:42", &ann, 1, time.Hour)
	r.Wait()

	var sink *profile
	b.Run("ristretto", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink, _ = r.Get("user:42")
		}
	})
	_ = sink
	b.Run("GetOrLoad", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cache.GetOrLoad(bg, "user:42", load); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("GetOrLoad-capturing", func(b *testing.B) {
		b.ReportAllocs()
		for n := range b.N { // b.Loop would keep what is captured on the heap: one allocation more
			id := int64(n)
			if _, err := cache.GetOrLoad(bg, "user:42", func(context.Context) (profile, error) { return profile{ID: id}, nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel/ristretto", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = r.Get("user:42")
			}
		})
	})
	b.Run("parallel/GetOrLoad", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = cache.GetOrLoad(bg, "user:42", load)
			}
		})
	})
}

// BenchmarkMemoryHitHearing is the hit of a process that hears of others' changes,
// after many patterns and tags were invalidated, beside that of memory alone.
func BenchmarkMemoryHitHearing(b *testing.B) {
	load := func(context.Context) (profile, error) { return ann, nil }
	dying := redistest.Start(b)
	for name, cfg := range map[string]tiercache.Config{
		"memory alone": {},
		"hearing":      {Redis: redistest.Start(b).Client(), Prefix: "t:"},
		"in an outage": {Redis: dying.Client(), Prefix: "t:", OutageStaleness: time.Hour},
	} {
		b.Run(name, func(b *testing.B) {
			tiers, err := tiercache.Open(cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = tiers.Close() })
			cache, err := tiercache.New(tiers, tiercache.Options[profile]{Name: "users", TTL: time.Hour,
				Tags: func(p profile) []string { return []string{"user"} }})
			if err != nil {
				b.Fatal(err)
			}
			for i := range 1_000 {
				n := strconv.Itoa(i)
				if _, err := tiers.Invalidate(bg, tiercache.Tag("other"+n), tiercache.Pattern("other:"+n+"?")); err != nil {
					b.Fatal(err)
				}
			}
			for hits := int64(0); cache.Stats().MemoryHits < hits+100; { // what is new in Redis is settled
				hits = cache.Stats().MemoryHits
				for range 100 {
					if _, err := cache.GetOrLoad(bg, "user:42", load); err != nil {
						b.Fatal(err)
					}
				}
			}
			if name == "in an outage" {
				dying.Kill()
				for h := tiers.Health(); h.Connected || h.Masters[0].Fresh; h = tiers.Health() {
					time.Sleep(10 * time.Millisecond)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cache.GetOrLoad(bg, "user:42", load); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRedisHit sets a hit in Redis beside go-redis GET plus json decode.
func BenchmarkRedisHit(b *testing.B) {
	addr := redistest.Start(b).Addr()
	bare := redis.NewClient(&redis.Options{Addr: addr})
	b.Cleanup(func() { _ = bare.Close() })
	cache := benchCache(b, tiercache.Config{Redis: bare, Prefix: "b:"})
	load := func(context.Context) (profile, error) { return ann, nil }
	if _, err := cache.GetOrLoad(bg, "user:42", load); err != nil {
		b.Fatal(err)
	}
	encoded, err := json.Marshal(ann)
	if err != nil {
		b.Fatal(err)
	}
	if err := bare.Set(bg, "bare:user:42", encoded, time.Hour).Err(); err != nil {
		b.Fatal(err)
	}
	fresh := tiercache.Fresh()
	b.Run("go-redis", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			raw, err := bare.Get(bg, "bare:user:42").Bytes()
			if err != nil {
				b.Fatal(err)
			}
			var p profile
			if err := json.Unmarshal(raw, &p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("GetOrLoad", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cache.GetOrLoad(bg, "user:42", load, fresh); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRedisHits is BenchmarkRedisHit by 512 goroutines, for 1,000 keys.
func BenchmarkRedisHits(b *testing.B) {
	addr := redistest.Start(b).Addr()
	bare := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: 10 * time.Second})
	b.Cleanup(func() { _ = bare.Close() })
	// A budget for a busy machine: an outage of the circuit is not what is measured.
	cache := benchCache(b, tiercache.Config{Redis: bare, Prefix: "b:", ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second})
	load := func(context.Context) (profile, error) { return ann, errors.New("it has all keys") }
	store := func(context.Context) (profile, error) { return ann, nil }
	encoded, err := json.Marshal(ann)
	if err != nil {
		b.Fatal(err)
	}
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("user:", i)
		if _, err := cache.GetOrLoad(bg, keys[i], store); err != nil {
			b.Fatal(err)
		}
		if err := bare.Set(bg, keys[i], encoded, time.Hour).Err(); err != nil {
			b.Fatal(err)
		}
	}
	fresh := tiercache.Fresh()
	for _, way := range []struct {
		name string
		get  func(key string) error
	}{
		{"go-redis", func(key string) error {
			raw, err := bare.Get(bg, key).Bytes()
			if err != nil {
				return err
			}
			var p profile
			return json.Unmarshal(raw, &p)
		}},
		{"GetOrLoad", func(key string) error { _, err := cache.GetOrLoad(bg, key, load, fresh); return err }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism((512 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			var next atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := way.get(keys[int(next.Add(1))%len(keys)]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkColdKey is one key that nobody has, asked for by 1,000 goroutines at
// once; it reports how many loads that took.
func BenchmarkColdKey(b *testing.B) {
	cache := benchCache(b, tiercache.Config{})
	var loads atomic.Int64
	n := 0
	for b.Loop() {
		n++
		key := string(rune('a'+n%26)) + time.Now().String()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				_, _ = cache.GetOrLoad(bg, key, func(context.Context) (profile, error) { loads.Add(1); return ann, nil })
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(loads.Load())/float64(n), "loads/key")
}
