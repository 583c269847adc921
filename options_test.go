package tiercache_test

import (
	"context"
	"math"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

func TestAConfigThatMakesNoSenseIsAnErrorThatNamesTheField(t *testing.T) {
	t.Parallel()
	dialled := make(chan struct{}, 100)
	some := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
		dialled <- struct{}{}
		return nil, net.ErrClosed
	}})
	defer some.Close()
	ring := redis.NewRing(&redis.RingOptions{})
	defer ring.Close()
	prefix := func(p string) tiercache.Config { return tiercache.Config{Redis: some, Prefix: p} }
	cases := map[string]struct {
		cfg   tiercache.Config
		field string
		why   string
	}{
		"no prefix":            {prefix(""), "Config.Prefix", "missing"},
		"prefix without colon": {prefix("shop"), "Config.Prefix", `"shop"`},
		"prefix with a star":   {prefix("sh*p:"), "Config.Prefix", `"sh*p:"`},
		"with a question mark": {prefix("sh?p:"), "Config.Prefix", `"sh?p:"`},
		"with a set":           {prefix("sh[o]p:"), "Config.Prefix", `"sh[o]p:"`},
		"with a backslash":     {prefix(`sh\p:`), "Config.Prefix", `sh\\p:`},
		"with a hash tag":      {prefix("{shop}:"), "Config.Prefix", `"{shop}:"`},
		"memory below 0":       {tiercache.Config{MemoryBytes: -1}, "Config.MemoryBytes", "-1"},
		"read budget below 0":  {tiercache.Config{ReadTimeout: -time.Second}, "Config.ReadTimeout", "-1s"},
		"write budget below 0": {tiercache.Config{WriteTimeout: -time.Second}, "Config.WriteTimeout", "-1s"},
		"summary below 0":      {tiercache.Config{SummaryEvery: -1}, "Config.SummaryEvery", "-1"},
		"a Ring":               {tiercache.Config{Redis: ring, Prefix: "shop:"}, "Config.Redis", "*redis.Ring"},
		"an unknown client":    {tiercache.Config{Redis: strangeClient{some}, Prefix: "shop:"}, "Config.Redis", "strangeClient"},
	}
	for name, c := range cases {
		tiers, err := tiercache.Open(c.cfg)
		require.ErrorContains(t, err, "tiercache: "+c.field, name)
		require.ErrorContains(t, err, c.why, name)
		require.Nil(t, tiers, name)
	}
	assert.Empty(t, dialled, "something was opened")
}

type strangeClient struct{ redis.UniversalClient }

func TestOptionsThatMakeNoSenseAreAnErrorThatNamesTheField(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	type options = tiercache.Options[int]
	cases := map[string]struct {
		opts  options
		field string
		why   string
	}{
		"no name":                  {options{TTL: time.Hour}, "Name", "empty"},
		"no TTL":                   {options{Name: "x"}, "TTL", "missing"},
		"TTL below 0":              {options{Name: "x", TTL: -time.Second}, "TTL", "-1s"},
		"TTL below 1 ms":           {options{Name: "x", TTL: time.Microsecond}, "TTL", "1µs"},
		"a number for a TTL":       {options{Name: "x", TTL: 300}, "TTL", "300ns"},
		"memory TTL below 0":       {options{Name: "x", TTL: time.Hour, MemoryTTL: -1}, "MemoryTTL", "-1ns"},
		"negative TTL below 1 ms":  {options{Name: "x", TTL: time.Hour, NegativeTTL: 1}, "NegativeTTL", "1ns"},
		"load timeout below 0":     {options{Name: "x", TTL: time.Hour, LoadTimeout: -1}, "LoadTimeout", "-1ns"},
		"jitter of all":            {options{Name: "x", TTL: time.Hour, Jitter: 1}, "Jitter", "1"},
		"jitter that is none":      {options{Name: "x", TTL: time.Hour, Jitter: math.NaN()}, "Jitter", "NaN"},
		"infinite jitter":          {options{Name: "x", TTL: time.Hour, Jitter: math.Inf(1)}, "Jitter", "+Inf"},
		"compress above below 0":   {options{Name: "x", TTL: time.Hour, Compressor: trims{}, CompressAbove: -1}, "CompressAbove", "-1"},
		"compress above and none":  {options{Name: "x", TTL: time.Hour, CompressAbove: 5}, "CompressAbove", "without a Compressor"},
		"a schema with a newline":  {options{Name: "x", TTL: time.Hour, Schema: "v2\n"}, "Schema", `"v2\n"`},
		"a schema that is no text": {options{Name: "x", TTL: time.Hour, Schema: "\xff"}, "Schema", `"\xff"`},
		"reserved key prefix":      {options{Name: "x", TTL: time.Hour, KeyPrefix: "~x:"}, "KeyPrefix", `"~x:"`},
	}
	for name, c := range cases {
		cache, err := tiercache.New(tiers, c.opts)
		require.ErrorContains(t, err, "tiercache: Options."+c.field+" ", name)
		require.ErrorContains(t, err, c.why, name)
		require.Nil(t, cache, name)
	}
	_, err := tiercache.New(tiers, options{Name: "x", TTL: time.Hour})
	require.NoError(t, err, "what failed has not taken the name")
	_, err = tiercache.New(tiers, options{Name: "x", TTL: time.Hour})
	require.ErrorContains(t, err, `tiercache: Options.Name "x" is taken`)
	_, err = tiercache.New(tiers, tiercache.Options[string]{Name: "x", TTL: time.Hour})
	require.ErrorContains(t, err, `"x" is taken`)
	assert.Len(t, tiers.Stats().Caches, 1)
}

func TestTheClientOfTheUserIsNeverUsedOrChanged(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		mine := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: 7, ReadTimeout: 42 * time.Second, PoolSize: 3, ClientName: "mine"})
		before := *mine.Options()
		tiers := open(t, patient(mine))
		cache := newCache(t, tiers, tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(t, err)
		assert.Zero(t, mine.PoolStats().TotalConns)
		assert.Equal(t, before.MaxRetries, mine.Options().MaxRetries)
		assert.Equal(t, before.ReadTimeout, mine.Options().ReadTimeout)
		assert.Equal(t, before.PoolTimeout, mine.Options().PoolTimeout)
		assert.Nil(t, mine.Options().OnConnect)
		require.NoError(t, mine.Close())
		_, err = cache.GetOrLoad(bg, "k", unwanted[int](t), tiercache.Fresh())
		assert.NoError(t, err, "its Close does not matter")
		require.NoError(t, tiers.Close())
	})
}

func TestTheUsersOnConnectIsCalled(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		called := make(chan struct{}, 100)
		c := redis.NewClient(&redis.Options{Addr: addr, OnConnect: func(ctx context.Context, cn *redis.Conn) error {
			called <- struct{}{}
			return cn.Ping(ctx).Err()
		}})
		defer c.Close()
		cache := newCache(t, open(t, patient(c)), tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(t, err)
		assert.NotEmpty(t, called)
	})
}

// var rdb *redis.Client // nil when Redis is not configured
func TestAClientThatIsANilPointerIsAnErrorAndNoCrash(t *testing.T) {
	t.Parallel()
	for _, c := range []redis.UniversalClient{(*redis.Client)(nil), (*redis.ClusterClient)(nil)} {
		require.NotPanics(t, func() {
			_, err := tiercache.Open(tiercache.Config{Redis: c, Prefix: "t:"})
			require.ErrorContains(t, err, "Config.Redis")
		})
	}
}

func TestANilContextIsAnErrorAndNothingHangs(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[int]{})
		var none context.Context
		_, err := cache.GetOrLoad(none, "k", value(1))
		assert.ErrorContains(t, err, "context is nil")
		assert.ErrorContains(t, cache.Set(none, "k", 1), "context is nil")
		assert.ErrorContains(t, cache.Delete(none, "k"), "context is nil")
		assert.ErrorContains(t, cache.Clear(none), "context is nil")
		v, err := cache.GetOrLoad(bg, "k", value(2))
		require.NoError(t, err)
		assert.Equal(t, 2, v)
		require.NoError(t, tiers.Close())
	})
}
