package advice

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

var bg = context.Background()

// inMemory are Tiers without Redis.
func inMemory(t *testing.T, cfg tiercache.Config) *tiercache.Tiers {
	t.Helper()
	tiers, err := tiercache.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tiers.Close()) })
	return tiers
}

func client(t *testing.T, o *redis.Options) *redis.Client {
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newCache[T any](t *testing.T, tiers *tiercache.Tiers, opts tiercache.Options[T]) *tiercache.Cache[T] {
	t.Helper()
	opts.Name, opts.Jitter = "users", -1
	if opts.TTL == 0 {
		opts.TTL = time.Hour
	}
	c, err := tiercache.New(tiers, opts)
	require.NoError(t, err)
	return c
}

func value[T any](v T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, nil }
}

func read[T any](t *testing.T, c *tiercache.Cache[T], key string, v T, opts ...tiercache.CallOption) {
	t.Helper()
	_, err := c.GetOrLoad(bg, key, value(v), opts...)
	require.NoError(t, err)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 30*time.Second, 2*time.Millisecond, what)
}

// hears waits until memory is served.
func hears(t *testing.T, tiers *tiercache.Tiers) {
	t.Helper()
	eventually(t, "the node hears", func() bool {
		h := tiers.Health()
		return h.Connected && len(h.Masters) > 0 && h.Masters[0].Fresh
	})
}

// during is what work made of tiers.
func during(tiers *tiercache.Tiers, work func()) tiercache.Stats {
	before := tiers.Stats()
	work()
	return tiers.Stats().Sub(before)
}

// named are the rules that have something to say. That Redis is slow is none of them:
// it is whenever the machine is.
func named(s tiercache.Stats, hot ...tiercache.HotKey) (out []string) {
	s.Caches, s.Masters = slices.Clone(s.Caches), slices.Clone(s.Masters)
	for i := range s.Caches {
		s.Caches[i].RedisTime.P95 = 0
	}
	for i := range s.Masters {
		s.Masters[i].Ping = 0
	}
	for _, a := range Of(s, hot) {
		out = append(out, a.Rule)
	}
	return out
}

// says that a rule is among them, and which text it has.
func says(t *testing.T, s tiercache.Stats, rule, text string) {
	t.Helper()
	for _, a := range Of(s, nil) {
		if a.Rule == rule {
			assert.Contains(t, a.Text, text)
			return
		}
	}
	t.Errorf("%s is not among %s", rule, strings.Join(named(s), ", "))
}
