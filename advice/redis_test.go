package advice

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachetest"
	"github.com/tiercache/tiercache/internal/redistest"
)

func optionsOf(m *miniredis.Miniredis) *redis.Options { return &redis.Options{Addr: m.Addr()} }

// slowly answers some commands after a while.
func slowly(m *miniredis.Miniredis, d time.Duration, commands ...string) {
	m.Server().SetPreHook(func(_ *server.Peer, cmd string, _ ...string) bool {
		if slices.Contains(commands, strings.ToUpper(cmd)) {
			time.Sleep(d)
		}
		return false
	})
}

func TestARedisThatIsDownAndWhatWaitsForItComeFirst(t *testing.T) {
	t.Parallel()
	tiers, mini := cachetest.OpenWithRedis(t)
	addr := mini.Addr()
	hears(t, tiers)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	work := func() {
		for n := range 200 {
			read(t, cache, fmt.Sprint("user:", n%10), n)
		}
	}
	assert.Equal(t, []string{"ok"}, named(during(tiers, work)))

	mini.Close()
	eventually(t, "it is out of use", func() bool {
		_, _ = cache.GetOrLoad(bg, "another", value(1), tiercache.Fresh())
		return tiers.Health().Masters[0].State == "open"
	})
	s := during(tiers, func() {
		for range 3 {
			r, err := tiers.Invalidate(bg, tiercache.Key("user:1"))
			require.NoError(t, err)
			require.True(t, r.Queued)
		}
		work()
	})
	assert.Equal(t, []string{"redis-down", "queued"}, named(s)[:2])
	says(t, s, "redis-down", "Redis at "+addr+" does not answer and is out of use. Memory and the loaders answer; it is asked again in ")
	says(t, s, "queued", "1 invalidation waits for Redis")
	none := tiers.Stats()
	assert.Equal(t, []string{"redis-down", "queued", "few"}, named(none.Sub(none)), "known without any operation")

	restarted(t, mini, tiers)
	assert.Equal(t, []string{"ok"}, named(during(tiers, work)))
}

// restarted is over when tiers use it again.
func restarted(t *testing.T, mini *miniredis.Miniredis, tiers *tiercache.Tiers) {
	t.Helper()
	require.NoError(t, mini.Restart())
	eventually(t, "it is back", func() bool {
		h := tiers.Health()
		return h.Connected && h.Queued == 0 && h.Masters[0].Fresh
	})
}

func TestARedisThatIsLostAgainAndAgainIsUnstable(t *testing.T) {
	t.Parallel()
	tiers, mini := cachetest.OpenWithRedis(t, func(c *tiercache.Config) { c.StalenessBound = 100 * time.Millisecond })
	hears(t, tiers)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	work := func(restarts int) func() {
		return func() {
			for range restarts {
				mini.Close()
				eventually(t, "it is missed", func() bool { h := tiers.Health(); return !h.Masters[0].Fresh })
				restarted(t, mini, tiers)
			}
			for n := range 200 {
				read(t, cache, fmt.Sprint("user:", n%10), n)
			}
		}
	}
	says(t, during(tiers, work(3)), "unstable-redis", "Redis at "+mini.Addr()+" is unstable: in ")
	assert.Equal(t, []string{"ok"}, named(during(tiers, work(0))), "that was before")
}

func TestARedisThatTakesNoWritesIsToldOf(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory-policy", "noeviction")
	tiers := inMemory(t, tiercache.Config{Redis: s.Client(), Prefix: "t:", ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second})
	hears(t, tiers)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	read(t, cache, "user:1", 1)
	assert.NotContains(t, named(tiers.Stats()), "read-only")
	require.NoError(t, s.Client().ConfigSet(bg, "maxmemory", "1").Err())
	eventually(t, "it is known to be full", func() bool {
		read(t, cache, "user:2", 1)
		return tiers.Health().Masters[0].State == "read-only"
	})
	says(t, tiers.Stats(), "read-only", "Redis at "+s.Addr()+" takes no writes: it is out of memory, or over its quota.")
}

func TestANodeThatHearsNothingIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, refused string
		none          bool
	}{{"neither", "-subscribe", true}, {"Pub/Sub only", "-client|tracking", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			require.NoError(t, s.Client().Do(bg, "ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", c.refused).Err())
			rdb := client(t, &redis.Options{Addr: s.Addr(), Username: "limited", Password: "secret"})
			tiers := inMemory(t, tiercache.Config{Redis: rdb, Prefix: "t:", ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second})
			if !c.none {
				hears(t, tiers)
				assert.Equal(t, []string{"few"}, named(tiers.Stats()))
				return
			}
			eventually(t, "it is known", func() bool {
				h := tiers.Health()
				return h.Connected && h.Masters[0].Hearing == "none"
			})
			assert.Equal(t, []string{"no-hearing", "few"}, named(tiers.Stats()), "and not that it is deaf")
		})
	}
}

// A server that takes connections and says nothing: its circuit is closed until the
// first answer is given up.
func TestANodeThatDoesNotHearYetIsDeaf(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() // before the Tiers, which else would wait for an answer
	rdb := client(t, &redis.Options{Addr: l.Addr().String()})
	silent, err := tiercache.Open(tiercache.Config{Redis: rdb, Prefix: "t:", ReadTimeout: time.Minute, WriteTimeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	assert.Equal(t, []string{"deaf", "few"}, named(silent.Stats()))

	tiers := cachetest.Open(t)
	hears(t, tiers)
	assert.Equal(t, []string{"few"}, named(tiers.Stats()))
}

type brokenCodec struct{}

func (brokenCodec) Append([]byte, int) ([]byte, error) { return nil, errors.New("broken") }
func (brokenCodec) Decode([]byte) (int, error)         { return 0, errors.New("broken") }

func TestOperationsThatFailInRedisOrTheCodecAreToldOf(t *testing.T) {
	t.Parallel()
	work := func(codec tiercache.Codec[int]) tiercache.Stats {
		tiers := cachetest.Open(t)
		hears(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[int]{Codec: codec})
		return during(tiers, func() {
			for n := range 200 {
				_, _ = cache.GetOrLoad(bg, fmt.Sprint("user:", n%10), value(n))
			}
		})
	}
	says(t, work(brokenCodec{}), "redis-errors", `of Redis or of the codec failed in 200 calls of cache "users".`)
	assert.Equal(t, []string{"ok"}, named(work(nil)))
}

func TestASlowRedisIsToldOf(t *testing.T) {
	t.Parallel()
	tiers, mini := cachetest.OpenWithRedis(t)
	hears(t, tiers)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	work := func() {
		var all sync.WaitGroup
		for k := range 16 {
			all.Go(func() {
				for range 10 {
					read(t, cache, fmt.Sprint("user:", k), k, tiercache.Fresh())
				}
			})
		}
		all.Wait()
	}
	work()
	slowly(mini, slowRead, "GETRANGE")
	s := during(tiers, work)
	says(t, s, "slow-redis", `Redis is slow: of 160 reads that it answered in cache "users", one in twenty took `)
}

// Reads share round trips and are never more than there are connections; scans are.
func TestConnectionsThatAreWaitedForInVainAreToldOf(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	rdb := client(t, &redis.Options{Addr: mini.Addr(), PoolSize: 1})
	tiers := inMemory(t, tiercache.Config{Redis: rdb, Prefix: "t:", ReadTimeout: 200 * time.Millisecond, WriteTimeout: 5 * time.Second})
	hears(t, tiers)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	work := func() {
		for n := range 200 {
			read(t, cache, fmt.Sprint("user:", n%5), n)
		}
	}
	work()
	slowly(mini, 100*time.Millisecond, "SCAN")
	s := during(tiers, func() {
		var all sync.WaitGroup
		for k := range 30 {
			all.Go(func() {
				_, err := tiers.Invalidate(bg, tiercache.Pattern(fmt.Sprint("inquiries:", k, "*")))
				assert.NoError(t, err)
			})
		}
		work()
		all.Wait()
	})
	says(t, s, "pool-timeouts", "A connection to Redis was waited for in vain ")
	slowly(mini, 0)
	eventually(t, "nothing waits", func() bool { return tiers.Health().Queued == 0 })
	assert.NotContains(t, named(during(tiers, work)), "pool-timeouts", "that is over")
}

func TestManyPatternsAreToldOf(t *testing.T) {
	t.Parallel()
	work := func(patterns int) tiercache.Stats {
		tiers := cachetest.Open(t)
		hears(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		return during(tiers, func() {
			for n := range 200 {
				read(t, cache, fmt.Sprint("user:", n%10), n)
			}
			for range patterns {
				_, err := tiers.Invalidate(bg, tiercache.Pattern("inquiries:*"))
				require.NoError(t, err)
			}
		})
	}
	assert.Equal(t, []string{"patterns"}, named(work(200)))
	assert.Equal(t, []string{"ok"}, named(work(9)))
}
