package rivals

import (
	"context"
	"encoding/json"

	"github.com/redis/rueidis"
)

// openRueidis uses its client-side cache, which decodes at each hit; the load is
// by hand.
func openRueidis(env Env) (*Cache, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{env.Addr}})
	if err != nil {
		return nil, err
	}
	decode := func(ctx context.Context, key string, r rueidis.RedisResult) (int64, error) {
		var p Profile
		err := r.DecodeJSON(&p)
		if !rueidis.IsRedisNil(err) {
			return p.ID, err
		}
		loaded, err := env.Source.Load(ctx, key)
		if err != nil {
			return 0, err
		}
		raw, err := json.Marshal(loaded)
		if err != nil {
			return 0, err
		}
		return loaded.ID, client.Do(ctx, client.B().Set().Key(key).Value(string(raw)).Ex(ttl).Build()).Error()
	}
	return &Cache{
		Get: func(ctx context.Context, key string) (int64, error) {
			return decode(ctx, key, client.DoCache(ctx, client.B().Get().Key(key).Cache(), ttl))
		},
		Fresh: func(ctx context.Context, key string) (int64, error) {
			return decode(ctx, key, client.Do(ctx, client.B().Get().Key(key).Build()))
		},
		Many: func(ctx context.Context, keys []string) (int, error) {
			all, err := rueidis.MGetCache(client, ctx, ttl, keys)
			return decodeAll(keys, all, err)
		},
		ManyFresh: func(ctx context.Context, keys []string) (int, error) {
			all, err := rueidis.MGet(client, ctx, keys)
			return decodeAll(keys, all, err)
		},
		Close: func() error { client.Close(); return nil },
	}, nil
}

func decodeAll(keys []string, replies map[string]rueidis.RedisMessage, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	all := make(map[string]*Profile, len(keys))
	for key, m := range replies {
		p := new(Profile)
		if err := m.DecodeJSON(p); err != nil {
			return 0, err
		}
		all[key] = p
	}
	return count(keys, all, nil)
}
