package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache"
)

// row is what is cached.
type row struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

const (
	loadTime = time.Millisecond
	ttl      = 10 * time.Minute // longer than a fault is measured
)

// fetch is the source of truth.
func fetch(key string) row {
	time.Sleep(loadTime)
	return row{key, "somebody@example.com"}
}

// a contender is a cache as a service would have it. get is safe for concurrent
// use, and returns an error if what it got is not the row of the key.
type contender struct {
	name  string
	get   func(ctx context.Context, key string) error
	inUse func() bool             // Redis is; nil: it does not say
	key   func(key string) string // as it is in Redis
	close func() error
}

func check(got row, key string, err error) error {
	if err == nil && got.Key != key {
		return fmt.Errorf("asked for %q and got %q", key, got.Key)
	}
	return err
}

func bare(_ context.Context, key string) error { return check(fetch(key), key, nil) }

func ofTiers(name string, cfg tiercache.Config) (contender, error) {
	tiers, err := tiercache.Open(cfg)
	if err != nil {
		return contender{}, err
	}
	rows, err := tiercache.New(tiers, tiercache.Options[row]{Name: "rows", TTL: ttl})
	if err != nil {
		return contender{}, err
	}
	return contender{
		name: name,
		get: func(ctx context.Context, key string) error {
			v, err := rows.GetOrLoad(ctx, key, func(context.Context) (row, error) { return fetch(key), nil })
			return check(v, key, err)
		},
		inUse: func() bool { return tiers.Health().Connected },
		key:   func(key string) string { return cfg.Prefix + key },
		close: tiers.Close,
	}, nil
}

func memoryOnly() (contender, error) {
	c, err := ofTiers(memoryName, tiercache.Config{})
	c.inUse = nil
	return c, err
}

const (
	bareName   = "bare loader"
	memoryName = "memory only"
	oursName   = "tiercache"
	rivalName  = "go-redis/cache"
	byHandName = "go-redis by hand"
)

// openers make the contenders, ours first, each with the defaults of what it uses.
var openers = []func(addr string) (contender, error){ours, rival, byHand}

func ours(addr string) (contender, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	c, err := ofTiers(oursName, tiercache.Config{Redis: client, Prefix: "outage:"})
	if err != nil {
		return c, err
	}
	end := c.close
	c.close = func() error { _ = client.Close(); return end() }
	return c, nil
}

// rival is what the README of go-redis/cache shows.
func rival(addr string) (contender, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	c := cache.New(&cache.Options{Redis: client, LocalCache: cache.NewTinyLFU(1000, time.Minute)})
	return contender{
		name: rivalName,
		get: func(ctx context.Context, key string) error {
			var v row
			err := c.Once(&cache.Item{
				Ctx: ctx, Key: key, Value: &v, TTL: ttl,
				Do: func(*cache.Item) (any, error) { return fetch(key), nil },
			})
			return check(v, key, err)
		},
		key:   func(key string) string { return key },
		close: client.Close,
	}, nil
}

// byHand is what services have that use no library: GET, else load and SET, and
// trouble with Redis is not their callers'.
func byHand(addr string) (contender, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	return contender{
		name: byHandName,
		get: func(ctx context.Context, key string) error {
			var v row
			if raw, err := client.Get(ctx, key).Bytes(); err == nil && json.Unmarshal(raw, &v) == nil {
				return check(v, key, nil)
			}
			v = fetch(key)
			if raw, err := json.Marshal(v); err == nil {
				_ = client.Set(ctx, key, raw, ttl).Err()
			}
			return check(v, key, nil)
		},
		key:   func(key string) string { return key },
		close: client.Close,
	}, nil
}
