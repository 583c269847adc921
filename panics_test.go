package tiercache_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Many connections are made on goroutines of the library, where a panic would be the end
// of the process.
func TestAPanicWhileAConnectionIsMadeIsAnOutageAndNobodysPanic(t *testing.T) {
	t.Parallel()
	var armed atomic.Bool
	panics := func() {
		if armed.Load() {
			panic("boom")
		}
	}
	met := func(context.Context, *redis.Conn) error { panics(); return nil }
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		panics()
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	one := redistest.Start(t).Addr()
	cluster := redistest.StartCluster(t, 3).Client().Options().Addrs
	clients := map[string]redis.UniversalClient{
		"OnConnect":              redis.NewClient(&redis.Options{Addr: one, OnConnect: met}),
		"Dialer":                 redis.NewClient(&redis.Options{Addr: one, Dialer: dial}),
		"OnConnect of a cluster": redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster, OnConnect: met}),
		"its Dialer":             redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster, Dialer: dial}),
	}
	caches := make(map[string]*tiercache.Cache[int])
	for name, c := range clients {
		defer func() { _ = c.Close() }()
		tiers := open(t, hasty(c))
		hear(t, tiers)
		caches[name] = newCache(t, tiers, tiercache.Options[int]{})
	}
	armed.Store(true)
	for name, cache := range caches {
		var n numbers
		got, err := cache.GetOrLoadMany(bg, manyKeys(0, 50), n.load)
		require.NoError(t, err, name)
		assert.Equal(t, numbered(manyKeys(0, 50)), got)
		require.NoError(t, cache.SetMany(bg, numbered(manyKeys(50, 100))), name)
		require.NoError(t, cache.Set(bg, "k0", 1), name)
		_, _, err = cache.Get(bg, "k101")
		require.NoError(t, err, name)
	}
}
