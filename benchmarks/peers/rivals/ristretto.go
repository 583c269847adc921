package rivals

import (
	"context"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

func openRistretto(env Env) (*Cache, error)    { return ofRistretto(env, 0) }
func openRistrettoTTL(env Env) (*Cache, error) { return ofRistretto(env, ttl) }

func newRistretto() (*ristretto.Cache[string, *Profile], error) {
	return ristretto.NewCache(&ristretto.Config[string, *Profile]{NumCounters: 1e7, MaxCost: 1 << 30, BufferItems: 64})
}

// ofRistretto is the bare engine: a Get of a pointer, no load, no Redis.
func ofRistretto(env Env, ttl time.Duration) (*Cache, error) {
	c, err := newRistretto()
	if err != nil {
		return nil, err
	}
	return &Cache{
		Get: func(ctx context.Context, key string) (int64, error) {
			if p, ok := c.Get(key); ok {
				return p.ID, nil
			}
			p, err := env.Source.Load(ctx, key)
			if err == nil {
				c.SetWithTTL(key, p, 1, ttl)
				c.Wait() // what is set is found after this
			}
			return idOf(p, err)
		},
		Close: func() error { c.Close(); return nil },
	}, nil
}
