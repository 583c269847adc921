package advice

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachetest"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestLoadsThatFailAreToldOf(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	work := func(one int) tiercache.Stats {
		tiers := inMemory(t, tiercache.Config{})
		cache := newCache(t, tiers, tiercache.Options[int]{})
		return during(tiers, func() {
			for n := range 400 {
				_, err := cache.GetOrLoad(bg, fmt.Sprint("user:", n), func(context.Context) (int, error) {
					if n%one == 0 {
						return 0, broken
					}
					return 1, nil
				})
				if n%one == 0 {
					require.ErrorIs(t, err, broken)
				}
			}
		})
	}
	says(t, work(10), "load-errors", `40 of 400 loads of cache "users" failed.`)
	assert.NotContains(t, named(work(100)), "load-errors")

	tiers := inMemory(t, tiercache.Config{})
	cache := newCache(t, tiers, tiercache.Options[int]{})
	s := during(tiers, func() {
		for n := range 400 {
			_, err := cache.GetOrLoad(bg, fmt.Sprint("user:", n), func(context.Context) (int, error) { return 0, tiercache.ErrNotFound })
			require.ErrorIs(t, err, tiercache.ErrNotFound)
		}
	})
	assert.NotContains(t, named(s), "load-errors", "no such thing is an answer")
}

func TestValuesThatAreTooLargeAreToldOf(t *testing.T) {
	t.Parallel()
	work := func(size int) tiercache.Stats {
		tiers := inMemory(t, tiercache.Config{LargestValue: 1 << 10})
		cache := newCache(t, tiers, tiercache.Options[string]{})
		return during(tiers, func() {
			for range 200 {
				read(t, cache, "page", string(make([]byte, size)))
			}
		})
	}
	s := work(1<<10 + 1)
	assert.Equal(t, []string{"too-large"}, named(s), "which is why the hit rate is low")
	says(t, s, "too-large", `200 values of cache "users" were not stored: longer than Config.LargestValue`)
	assert.Equal(t, []string{"ok"}, named(work(1<<10)))
}

func TestValuesThatAreNotBelievedAreToldOf(t *testing.T) {
	t.Parallel()
	work := func(schema string) tiercache.Stats {
		mine, redis := cachetest.OpenWithRedis(t)
		hears(t, mine)
		theirs, err := tiercache.Open(tiercache.Config{Redis: client(t, optionsOf(redis)), Prefix: "test:", ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second})
		require.NoError(t, err)
		t.Cleanup(func() { _ = theirs.Close() })
		hears(t, theirs)
		before := newCache(t, theirs, tiercache.Options[int]{Schema: "v1"})
		after := newCache(t, mine, tiercache.Options[int]{Schema: schema})
		for n := range 200 {
			read(t, before, fmt.Sprint("user:", n), n)
		}
		return during(mine, func() {
			for n := range 200 {
				read(t, after, fmt.Sprint("user:", n), n)
			}
		})
	}
	s := work("v2")
	says(t, s, "rejected", `200 values found in Redis for 200 operations of cache "users" were not believed`)
	assert.NotContains(t, named(s), "mixed-misses")
	assert.NotContains(t, named(work("v1")), "rejected")
}

func TestASourceIsFasterThanRedisIfItsMedianIs(t *testing.T) {
	t.Parallel()
	work := func(source time.Duration) tiercache.Stats {
		// Farther away than a busy machine takes to call a loader.
		tiers := cachetest.Open(t, func(c *tiercache.Config) {
			p := redistest.StartProxy(t, c.Redis.(*redis.Client).Options().Addr)
			p.Delay(2 * time.Millisecond)
			far := redis.NewClient(&redis.Options{
				Addr: p.Addr(), MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			})
			t.Cleanup(func() { _ = far.Close() })
			c.Redis = far
		})
		hears(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		keys := make([]string, 40)
		for k := range keys {
			keys[k] = fmt.Sprint("user:", k)
		}
		return during(tiers, func() {
			for _, key := range keys {
				_, err := cache.GetOrLoad(bg, key, func(context.Context) (int, error) { time.Sleep(source); return 1, nil })
				require.NoError(t, err)
			}
			for range 5 {
				for _, key := range keys {
					read(t, cache, key, 1, tiercache.Fresh())
				}
			}
		})
	}
	s := work(0)
	says(t, s, "fast-source", `The source of cache "users" is faster than Redis: half of 40 loads took up to `)
	assert.NotContains(t, named(work(50*time.Millisecond)), "fast-source")
}

func TestValuesAreLargeIfTheyComeFromRedisSo(t *testing.T) {
	t.Parallel()
	work := func(size int, how ...tiercache.CallOption) tiercache.Stats {
		tiers := cachetest.Open(t)
		hears(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[string]{})
		return during(tiers, func() {
			for range 10 {
				for k := range 20 {
					read(t, cache, fmt.Sprint("page:", k), string(make([]byte, size)), how...)
				}
			}
		})
	}
	says(t, work(32<<10, tiercache.Fresh()), "large-values", "and 180 reads came from Redis. Options.Compressor makes them shorter there")
	assert.NotContains(t, named(work(1<<10, tiercache.Fresh())), "large-values")
	assert.NotContains(t, named(work(32<<10)), "large-values", "memory answered")
}
