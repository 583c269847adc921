package tiercache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

func profilesOf(b *testing.B, cache *tiercache.Cache[profile], n int) (keys []string) {
	values := make(map[string]profile)
	for i := range n {
		key := fmt.Sprintf("user:%d", i)
		keys, values[key] = append(keys, key), ann
	}
	require.NoError(b, cache.SetMany(bg, values))
	return keys
}

// BenchmarkManyMemoryHits sets 100 keys in memory beside as many single hits that build
// the same map.
func BenchmarkManyMemoryHits(b *testing.B) {
	cache := benchCache(b, tiercache.Config{})
	keys := profilesOf(b, cache, 100)
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out := make(map[string]profile, len(keys))
			for _, k := range keys {
				if v, ok, err := cache.Get(bg, k); ok && err == nil {
					out[k] = v
				}
			}
			if len(out) != len(keys) {
				b.Fatal(len(out))
			}
		}
	})
	b.Run("GetMany", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if out, err := cache.GetMany(bg, keys); err != nil || len(out) != len(keys) {
				b.Fatal(len(out), err)
			}
		}
	})
}

// BenchmarkManyRedisHits sets 100 keys in Redis beside go-redis MGET plus json decode.
func BenchmarkManyRedisHits(b *testing.B) {
	addr := redistest.Start(b).Addr()
	bare := redis.NewClient(&redis.Options{Addr: addr})
	b.Cleanup(func() { _ = bare.Close() })
	cache := benchCache(b, patient(bare))
	keys := profilesOf(b, cache, 100)
	encoded, err := json.Marshal(ann)
	require.NoError(b, err)
	var bareKeys []string
	for _, k := range keys {
		bareKeys = append(bareKeys, "bare:"+k)
		require.NoError(b, bare.Set(bg, "bare:"+k, encoded, time.Hour).Err())
	}
	none := func(context.Context, []string) (map[string]profile, error) { return nil, nil }
	b.Run("go-redis", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			raw, err := bare.MGet(bg, bareKeys...).Result()
			if err != nil {
				b.Fatal(err)
			}
			out := make(map[string]profile, len(keys))
			for i, r := range raw {
				var p profile
				if err := json.Unmarshal([]byte(r.(string)), &p); err != nil {
					b.Fatal(err)
				}
				out[keys[i]] = p
			}
		}
	})
	b.Run("GetOrLoadMany", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if out, err := cache.GetOrLoadMany(bg, keys, none, tiercache.Fresh()); err != nil || len(out) != len(keys) {
				b.Fatal(len(out), err)
			}
		}
	})
}
