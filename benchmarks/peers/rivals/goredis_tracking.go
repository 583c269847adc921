package rivals

import "github.com/redis/go-redis/v9"

// openGoRedisTracking keeps replies in the process, and decodes them at each hit.
func openGoRedisTracking(env Env) (*Cache, error) {
	j := jsonIn{redis.NewClient(&redis.Options{
		Addr: env.Addr, Protocol: 3,
		ClientSideCacheConfig: &redis.ClientSideCacheConfig{MaxEntries: capacity},
	}), env.Source}
	return &Cache{Get: j.get, Close: j.client.Close}, nil
}
