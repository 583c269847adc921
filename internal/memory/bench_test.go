package memory

import (
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/stretchr/testify/require"
)

// BenchmarkGetHit compares Get with ristretto's own Get of the same pointer.
func BenchmarkGetHit(b *testing.B) {
	const key = "user:42"
	it := item(key, 1)
	h := Hash(key)
	b.Run("Cache", func(b *testing.B) {
		c := open(b, 1<<20)
		require.True(b, c.Set(it))
		b.ReportAllocs()
		for b.Loop() {
			if c.Get(h, key) == nil {
				b.Fatal("a miss")
			}
		}
	})
	for name, ttl := range map[string]time.Duration{"ristretto": 0, "ristrettoTTL": time.Hour} {
		b.Run(name, func(b *testing.B) {
			r, err := ristretto.NewCache(&ristretto.Config[uint64, *Item[int]]{
				NumCounters: 1e4, MaxCost: 1 << 20, BufferItems: 64,
				KeyToHash: func(h uint64) (uint64, uint64) { return h, 0 },
			})
			require.NoError(b, err)
			defer r.Close()
			r.SetWithTTL(h, it, 1, ttl)
			r.Wait()
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := r.Get(h); !ok {
					b.Fatal("a miss")
				}
			}
		})
	}
}

func BenchmarkGetHitParallel(b *testing.B) {
	c := open(b, 1<<20)
	require.True(b, c.Set(item("k", 1)))
	h := Hash("k")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Get(h, "k")
		}
	})
}

func BenchmarkSet(b *testing.B) {
	c := open(b, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		c.Set(item("k", 1))
	}
}
