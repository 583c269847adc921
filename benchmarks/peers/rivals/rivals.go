// Package rivals opens tiercache and what services use in its place, each as its
// README shows it, so that one program can drive them all.
//
// What is not as in a README: room for all keys that are measured and a TTL of
// an hour, so that a hit is a hit. Values are kept as pointers wherever the API
// lets them, so that copying a struct is not what is compared.
package rivals

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	ttl = time.Hour
	// capacity is in entries, where a rival counts those. sturdyc gives each of
	// its shards a tenth of it.
	capacity = 20_000
)

// Env is what a cache is opened with.
type Env struct {
	Addr   string // of a Redis that nothing else uses
	Source *Source
}

// Cache is one opened cache. Its functions are safe for concurrent use and return
// the ID of the profile that they got; nil where it has no such thing.
type Cache struct {
	// Get reads from wherever the value is nearest, and loads it if it is nowhere.
	Get func(ctx context.Context, key string) (int64, error)
	// Fresh reads from Redis, whatever is in memory.
	Fresh func(ctx context.Context, key string) (int64, error)
	// Many and ManyFresh are the same for many keys, and return how many they got.
	Many      func(ctx context.Context, keys []string) (int, error)
	ManyFresh func(ctx context.Context, keys []string) (int, error)
	// Hit is Get of what memory is known to have; nil: Get is.
	Hit func(ctx context.Context, key string) (int64, error)
	// NotMemory and NotRedis count answers that came from elsewhere; nil: the loads.
	NotMemory, NotRedis func() int64
	Close               func() error
}

// Opener is a cache that can be opened, several times for several instances.
type Opener struct {
	Name   string
	Memory bool // it keeps values in the process
	Redis  bool // it reads from Redis
	Loads  bool // it has a call that loads; else the load is written by hand
	Open   func(Env) (*Cache, error)
}

// All begins with ours.
var All = []Opener{
	{Tiercache, true, true, true, openTiercache},
	{TiercacheCapturing, true, true, true, openTiercacheCapturing},
	{TiercacheByValue, true, true, true, openTiercacheByValue},
	{Ristretto, true, false, false, openRistretto},
	{RistrettoTTL, true, false, false, openRistrettoTTL},
	{Otter, true, false, false, openOtter},
	{OtterLoading, true, false, true, openOtterLoading},
	{ByHand, true, true, true, openByHand},
	{Sturdyc, true, false, true, openSturdyc},
	{GoRedisCache, true, true, true, openGoRedisCache},
	{Rueidis, true, true, false, openRueidis},
	{GoRedisTracking, true, true, false, openGoRedisTracking},
	{GoRedis, false, true, false, openGoRedis},
}

const (
	Tiercache          = "tiercache"
	TiercacheCapturing = "tiercache, capturing loader"
	TiercacheByValue   = "tiercache, by value"
	Ristretto          = "ristretto"
	RistrettoTTL       = "ristretto, TTL"
	Otter              = "otter"
	OtterLoading       = "otter, loading"
	ByHand             = "ristretto + singleflight + go-redis"
	Sturdyc            = "sturdyc"
	GoRedisCache       = "go-redis/cache"
	Rueidis            = "rueidis, client-side"
	GoRedisTracking    = "go-redis, client-side"
	GoRedis            = "go-redis + encoding/json"
)

var errAbsent = errors.New("a key that was stored is absent")

func idOf(p *Profile, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return p.ID, nil
}

// count is of values that came for keys; too few are an error.
func count[V any](keys []string, got map[string]V, err error) (int, error) {
	if err == nil && len(got) != len(keys) {
		err = fmt.Errorf("%d of %d keys: %w", len(keys)-len(got), len(keys), errAbsent)
	}
	return len(got), err
}
