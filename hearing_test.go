package tiercache_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// P4 and P5: what changes anywhere reaches every node's memory, in time.

// What somebody does with another client, and no word of this library.
var strangers = map[string]func(c *redis.Client) error{
	"DEL":     func(c *redis.Client) error { return c.Del(bg, "t:k").Err() },
	"SET":     func(c *redis.Client) error { return c.Set(bg, "t:k", "x", 0).Err() },
	"EXPIRE":  func(c *redis.Client) error { return c.PExpire(bg, "t:k", time.Millisecond).Err() },
	"RENAME":  func(c *redis.Client) error { return c.Rename(bg, "t:k", "elsewhere").Err() },
	"FLUSHDB": func(c *redis.Client) error { return c.FlushDB(bg).Err() },
	"FLUSHALL": func(c *redis.Client) error {
		return c.FlushAll(bg).Err()
	},
	"FLUSHALL ASYNC": func(c *redis.Client) error { return c.FlushAllAsync(bg).Err() },
	"a script": func(c *redis.Client) error {
		return c.Eval(bg, `return redis.call('DEL', KEYS[1])`, []string{"t:k"}).Err()
	},
	"MULTI": func(c *redis.Client) error {
		_, err := c.TxPipelined(bg, func(p redis.Pipeliner) error { return p.Del(bg, "t:k").Err() })
		return err
	},
	"eviction": func(c *redis.Client) error {
		// Nothing can be evicted while memory suffices, everything when it does not.
		if err := c.ConfigSet(bg, "maxmemory-policy", "allkeys-lru").Err(); err != nil {
			return err
		}
		if err := c.ConfigSet(bg, "maxmemory", "1").Err(); err != nil {
			return err
		}
		for c.Exists(bg, "t:k").Val() > 0 {
		}
		return c.ConfigSet(bg, "maxmemory", "0").Err()
	},
}

func TestWhatAStrangerDoesReachesTheMemoryOfEveryNode(t *testing.T) {
	t.Parallel()
	for name, change := range strangers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			_, caches := pair(t, s.Addr(), tiercache.Options[int]{})
			for _, c := range caches {
				_, err := c.GetOrLoad(bg, "k", value(1))
				require.NoError(t, err)
				require.Equal(t, 1, inMemory(t, c, "k"))
			}
			require.NoError(t, change(s.Client()))
			for _, c := range caches {
				soon(t, "the new value", func() bool {
					v, err := c.GetOrLoad(bg, "k", value(2))
					require.NoError(t, err)
					return v == 2
				})
			}
		})
	}
}

func TestAnExpiryInRedisReachesMemory(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	_, caches := pair(t, s.Addr(), tiercache.Options[int]{})
	_, err := caches[0].GetOrLoad(bg, "k", value(1), tiercache.WithTTL(time.Hour))
	require.NoError(t, err)
	inMemory(t, caches[1], "k")
	require.NoError(t, s.Client().PExpire(bg, "t:k", 50*time.Millisecond).Err())
	for _, c := range caches {
		soon(t, "memory has nothing", func() bool {
			_, ok, err := c.Get(bg, "k")
			require.NoError(t, err)
			return !ok
		})
	}
}

// invalidations of one node, in every mode.
func TestAnInvalidationReachesTheOtherNodesMemory(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		nodes, caches := pair(t, addr, tiercache.Options[int]{})
		for name, inv := range invalidations {
			_, err := caches[0].GetOrLoad(bg, "k:1", value(1))
			require.NoError(t, err)
			require.Equal(t, 1, inMemory(t, caches[1], "k:1"), name)
			require.NoError(t, inv(nodes[0]))
			soon(t, "the new value, after "+name, func() bool {
				v, err := caches[1].GetOrLoad(bg, "k:1", value(2))
				require.NoError(t, err)
				return v == 2
			})
			require.NoError(t, caches[0].Delete(bg, "k:1"))
			soon(t, "nothing", func() bool { _, ok, _ := caches[1].Get(bg, "k:1"); return !ok })
		}
	})
}

// old in memory | the tracking connection is killed | DEL | old must not be served
// for longer than the bound
func TestANodeWhoseConnectionIsKilledServesNothingOldBeyondTheBound(t *testing.T) {
	t.Parallel()
	const bound = 500 * time.Millisecond
	s := redistest.Start(t)
	raw := s.Client()
	cfg := patient(client(t, s.Addr()))
	cfg.StalenessBound = bound
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	for i := range 10 {
		key := "k" + strconv.Itoa(i)
		_, err := cache.GetOrLoad(bg, key, value(1))
		require.NoError(t, err)
		inMemory(t, cache, key)
		if i%2 == 0 {
			require.Positive(t, raw.ClientKillByFilter(bg, "TYPE", "pubsub").Val(), "nobody listened")
			require.NoError(t, raw.Del(bg, "t:"+key).Err())
		} else { // at the same moment
			_, err := raw.TxPipelined(bg, func(p redis.Pipeliner) error {
				p.ClientKillByFilter(bg, "TYPE", "pubsub")
				return p.Del(bg, "t:"+key).Err()
			})
			require.NoError(t, err)
		}
		deleted := time.Now()
		for {
			began := time.Now()
			v, err := cache.GetOrLoad(bg, key, value(2))
			require.NoError(t, err)
			if v == 2 {
				break
			}
			require.Less(t, began.Sub(deleted), bound, "round %d", i)
		}
		hear(t, tiers)
	}
}

// old in memory | the connection is lost | DEL | the connection is there again |
// first read of the key since
func TestWhatMemoryHeldBeforeHearingWasLostIsVoidWhenItIsRegained(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	raw := s.Client()
	log := &records{}
	cfg := patient(client(t, s.Addr()))
	cfg.Logger = slog.New(log)
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	regained := func() (n int) {
		log.mu.Lock()
		defer log.mu.Unlock()
		for _, r := range log.all {
			r.Attrs(func(a slog.Attr) bool {
				if a.Key == "mode" && a.Value.String() == "tracking" {
					n++
				}
				return true
			})
		}
		return n
	}
	for i := range 5 {
		hear(t, tiers)
		require.Equal(t, i+1, regained())
		store(t, cache, "k", value(i))
		inMemory(t, cache, "k")
		require.Positive(t, raw.ClientKillByFilter(bg, "TYPE", "pubsub").Val())
		require.NoError(t, raw.Del(bg, "t:k").Err())
		soon(t, "the connection is there again", func() bool { return regained() == i+2 })
		hear(t, tiers)
		_, ok, err := cache.Get(bg, "k")
		require.NoError(t, err)
		require.False(t, ok, "what was deleted while nobody listened")
	}
}

// old in memory | the server hangs | after the bound nothing vouches for memory
func TestANodeThatHearsNothingForABoundDoesNotServeItsMemory(t *testing.T) {
	t.Parallel()
	const bound = 300 * time.Millisecond
	s := redistest.Start(t)
	cfg := hasty(client(t, s.Addr()))
	cfg.StalenessBound, cfg.OutageStaleness = bound, -1
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	_, err := cache.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	inMemory(t, cache, "k")
	s.Pause()
	paused := time.Now()
	for {
		began := time.Now()
		v, err := cache.GetOrLoad(bg, "k", value(2))
		require.NoError(t, err)
		if v == 2 {
			break
		}
		require.Less(t, began.Sub(paused), bound)
	}
	s.Resume()
	hear(t, tiers)
	soon(t, "memory again", func() bool {
		before := cache.Stats().MemoryHits
		_, err := cache.GetOrLoad(bg, "k", value(3))
		require.NoError(t, err)
		return cache.Stats().MemoryHits > before
	})
}

// A half-open connection: what is sent arrives, answers do not.
func TestAHalfOpenConnectionIsNoticedWithinTheBound(t *testing.T) {
	t.Parallel()
	const bound = 500 * time.Millisecond
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr())
	cfg := hasty(client(t, p.Addr()))
	cfg.StalenessBound, cfg.OutageStaleness = bound, -1
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	_, err := cache.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	inMemory(t, cache, "k")
	p.HalfOpen()
	require.NoError(t, s.Client().Del(bg, "t:k").Err())
	deleted := time.Now()
	for {
		began := time.Now()
		v, err := cache.GetOrLoad(bg, "k", value(2))
		require.NoError(t, err)
		if v == 2 {
			break
		}
		require.Less(t, began.Sub(deleted), bound)
	}
	p.Pass()
}

// user makes one that may do everything but what is taken from it.
func user(t *testing.T, s *redistest.Server, without ...string) *redis.Client {
	t.Helper()
	rules := append([]string{"on", ">secret", "~*", "&*", "+@all"}, without...)
	args := []any{"ACL", "SETUSER", "limited"}
	for _, r := range rules {
		args = append(args, r)
	}
	require.NoError(t, s.Client().Do(bg, args...).Err())
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: "limited", Password: "secret", DialTimeout: 10 * time.Second})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestHealthNamesHowANodeHears(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		want    string
		stamped bool
		client  func(t *testing.T) *redis.Client
	}{
		"a redis-server": {"tracking", true, func(t *testing.T) *redis.Client { return redistest.Start(t).Client() }},
		"a miniredis":    {"pubsub", false, func(t *testing.T) *redis.Client { return client(t, miniredis.RunT(t).Addr()) }},
		"no CLIENT": {"pubsub", true, func(t *testing.T) *redis.Client {
			return user(t, redistest.Start(t), "-client")
		}},
		"no CLIENT TRACKING": {"pubsub", true, func(t *testing.T) *redis.Client {
			return user(t, redistest.Start(t), "-client|tracking")
		}},
		"no channel": {"none", true, func(t *testing.T) *redis.Client {
			return user(t, redistest.Start(t), "resetchannels")
		}},
		"no SUBSCRIBE": {"none", true, func(t *testing.T) *redis.Client {
			return user(t, redistest.Start(t), "-subscribe")
		}},
		"no INFO": {"tracking", false, func(t *testing.T) *redis.Client {
			return user(t, redistest.Start(t), "-info")
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := c.client(t)
			tiers, other := open(t, patient(rdb)), open(t, patient(rdb))
			cache, there := newCache(t, tiers, tiercache.Options[int]{}), newCache(t, other, tiercache.Options[int]{})
			soon(t, c.want, func() bool {
				h := tiers.Health()
				return h.Connected && h.Masters[0].Hearing == c.want
			})
			soon(t, "the same there", func() bool {
				h := other.Health()
				return h.Connected && h.Masters[0].Hearing == c.want
			})
			m := tiers.Health().Masters[0]
			assert.Equal(t, c.stamped, m.Stamp != "", m.Stamp)
			if c.want == "none" {
				assert.False(t, m.Fresh)
			} else {
				hear(t, tiers, other)
			}
			for v := range 5 {
				got, err := there.GetOrLoad(bg, "k", value(v))
				require.NoError(t, err)
				require.Equal(t, v, got)
				for range 3 {
					got, err = cache.GetOrLoad(bg, "k", unwanted[int](t))
					require.NoError(t, err)
					require.Equal(t, v, got)
				}
				if c.want != "none" {
					inMemory(t, cache, "k")
				}
				require.NoError(t, there.Delete(bg, "k"))
				soon(t, "nothing here", func() bool { _, ok, _ := cache.Get(bg, "k"); return !ok })
			}
			if c.want == "none" {
				assert.Zero(t, cache.Stats().MemoryHits, "nothing vouches for memory")
				assert.EqualValues(t, 15, cache.Stats().RedisHits)
			}
			assert.Zero(t, tiers.Stats().Total.Errors)
			assert.Zero(t, tiers.Stats().InvalidationErrors)
		})
	}
}

// What a node without Pub/Sub invalidates, it and those like it see at once: they
// ask Redis each time.
func TestNodesThatHearNothingAreRightAllTheSame(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	rdb := user(t, s, "-subscribe", "-publish", "-client")
	var caches []*tiercache.Cache[int]
	for range 2 {
		tiers := open(t, patient(rdb))
		soon(t, "no hearing", func() bool { h := tiers.Health(); return h.Connected && h.Masters[0].Hearing == "none" })
		caches = append(caches, newCache(t, tiers, tiercache.Options[int]{Tags: func(int) []string { return []string{"all of them"} }}))
	}
	var version atomic.Int64
	for i := range 30 {
		want := int(version.Load())
		for _, c := range caches {
			got, err := c.GetOrLoad(bg, "k", func(context.Context) (int, error) { return int(version.Load()), nil })
			require.NoError(t, err)
			require.Equal(t, want, got, fmt.Sprint("round ", i))
		}
		version.Add(1)
		switch writer := caches[i%2]; i % 4 {
		case 0, 1:
			require.NoError(t, writer.Delete(bg, "k"))
		case 2:
			_, err := writer.InvalidatePattern(bg, "k*")
			require.NoError(t, err)
		case 3:
			require.NoError(t, writer.Clear(bg))
		}
	}
}
