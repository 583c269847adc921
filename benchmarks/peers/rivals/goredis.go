package rivals

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/redis/go-redis/v9"
)

// jsonIn is go-redis and encoding/json, the codec that is ours by default.
type jsonIn struct {
	client *redis.Client
	source *Source
}

func (j jsonIn) getOrLoad(ctx context.Context, key string) (*Profile, error) {
	raw, err := j.client.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return j.load(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	p := new(Profile)
	return p, json.Unmarshal(raw, p)
}

func (j jsonIn) load(ctx context.Context, key string) (*Profile, error) {
	p, err := j.source.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return p, j.client.Set(ctx, key, raw, ttl).Err()
}

func (j jsonIn) get(ctx context.Context, key string) (int64, error) {
	return idOf(j.getOrLoad(ctx, key))
}

// many is of keys that are stored.
func (j jsonIn) many(ctx context.Context, keys []string) (int, error) {
	replies, err := j.client.MGet(ctx, keys...).Result()
	if err != nil {
		return 0, err
	}
	all := make(map[string]*Profile, len(keys))
	for i, r := range replies {
		if s, ok := r.(string); ok {
			p := new(Profile)
			if err := json.Unmarshal([]byte(s), p); err != nil {
				return 0, err
			}
			all[keys[i]] = p
		}
	}
	return count(keys, all, nil)
}

// openGoRedis is the floor of a hit in Redis.
func openGoRedis(env Env) (*Cache, error) {
	j := jsonIn{redis.NewClient(&redis.Options{Addr: env.Addr}), env.Source}
	return &Cache{Get: j.get, Fresh: j.get, ManyFresh: j.many, Close: j.client.Close}, nil
}
