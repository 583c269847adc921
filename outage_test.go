package tiercache_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Redis away, and back. The budgets are short here, so that a server that hangs
// is given up soon; what a test expects does not depend on them.

func hasty(c redis.UniversalClient) tiercache.Config {
	return tiercache.Config{Redis: c, Prefix: "t:", ReadTimeout: 200 * time.Millisecond, WriteTimeout: 200 * time.Millisecond}
}

const long = 20 * time.Second // for what happens by itself, on a busy machine

func eventuallyConnected(t *testing.T, tiers *tiercache.Tiers) {
	t.Helper()
	require.Eventually(t, func() bool { return tiers.Health().Connected }, long, 5*time.Millisecond)
}

func eventuallySent(t *testing.T, tiers *tiercache.Tiers) {
	t.Helper()
	require.Eventually(t, func() bool { return tiers.Health().Queued == 0 }, long, 5*time.Millisecond)
}

// outages are the ways to be away. begin returns what ends it.
var outages = map[string]func(s *redistest.Server) (end func()){
	"killed": func(s *redistest.Server) func() { s.Kill(); return s.Restart },
	"killed, with a snapshot of before": func(s *redistest.Server) func() {
		if err := s.Client().Save(bg).Err(); err != nil {
			panic(err)
		}
		s.Kill()
		return s.Restart
	},
	"hung": func(s *redistest.Server) func() { s.Pause(); return s.Resume },
}

func inEveryOutage(t *testing.T, test func(t *testing.T, s *redistest.Server, begin func() (end func()))) {
	t.Helper()
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			test(t, s, func() func() { return begin(s) })
		})
	}
}

func TestRedisDownAtOpenIsNoErrorAndIsUsedWhenItComes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Kill()
	tiers := open(t, hasty(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	for i := range 20 {
		v, err := cache.GetOrLoad(bg, "k"+strconv.Itoa(i), value(i))
		require.NoError(t, err)
		require.Equal(t, i, v)
		v, err = cache.GetOrLoad(bg, "k"+strconv.Itoa(i), unwanted[int](t))
		require.NoError(t, err)
		require.Equal(t, i, v, "memory works")
	}
	assert.False(t, tiers.Health().Connected)
	s.Restart()
	eventuallyConnected(t, tiers)
	n := 0
	soon(t, "what is loaded is stored", func() bool { // its budgets are small, a busy machine may need more
		n++
		key := "new" + strconv.Itoa(n)
		_, err := cache.GetOrLoad(bg, key, value(7))
		require.NoError(t, err)
		return s.Client().Exists(bg, "t:"+key).Val() == 1
	})
	assert.NotEmpty(t, tiers.Health().Masters[0].Stamp)
	assert.Positive(t, tiers.Health().Ping)
}

func TestAnOutageGivesNoErrorsAndTheRightValuesAndEndsByItself(t *testing.T) {
	t.Parallel()
	inEveryOutage(t, func(t *testing.T, s *redistest.Server, begin func() func()) {
		tiers := open(t, hasty(client(t, s.Addr())))
		cache := newCache(t, tiers, tiercache.Options[int]{})
		eventuallyConnected(t, tiers)
		var version atomic.Int64
		use := func() {
			for i := range 10 {
				key := "k" + strconv.Itoa(i)
				want := int(version.Load())
				v, err := cache.GetOrLoad(bg, key, value(want))
				require.NoError(t, err)
				require.Equal(t, want, v)
				want = int(version.Add(1))
				if i%2 == 0 {
					require.NoError(t, cache.Set(bg, key, want))
				} else {
					require.NoError(t, cache.Delete(bg, key))
				}
				v, err = cache.GetOrLoad(bg, key, value(want))
				require.NoError(t, err)
				require.Equal(t, want, v)
			}
			_, err := cache.InvalidatePattern(bg, "k*")
			require.NoError(t, err)
		}
		use()
		end := begin()
		for range 3 {
			use()
		}
		require.False(t, tiers.Health().Connected)
		end()
		use()
		eventuallyConnected(t, tiers)
		eventuallySent(t, tiers)
		use()
		v, err := cache.GetOrLoad(bg, "after", value(7))
		require.NoError(t, err)
		require.Equal(t, 7, v)
		assert.EqualValues(t, 1, s.Client().Exists(bg, "t:after").Val())
	})
}

// old in Redis | outage | invalidate: queued | Redis is back, with old or not |
// every read meanwhile, and after
func TestAnInvalidationInAnOutageIsNotUndoneByIt(t *testing.T) {
	t.Parallel()
	targets := map[string]tiercache.Target{
		"key":             tiercache.Key("k:1"),
		"pattern":         tiercache.Pattern("k:*"),
		"another pattern": tiercache.Pattern("*1"),
	}
	inEveryOutage(t, func(t *testing.T, s *redistest.Server, begin func() func()) {
		nodes := make(map[string]*tiercache.Tiers)
		caches := make(map[string]*tiercache.Cache[int])
		for name := range targets {
			nodes[name] = open(t, hasty(client(t, s.Addr())))
			caches[name] = newCache(t, nodes[name], tiercache.Options[int]{Name: name})
			eventuallyConnected(t, nodes[name])
		}
		first := caches["key"]
		_, err := first.GetOrLoad(bg, "k:1", value(1))
		require.NoError(t, err)
		end := begin()
		for name, target := range targets {
			r, err := nodes[name].Invalidate(bg, target)
			require.NoError(t, err, name)
			require.True(t, r.Queued, name)
			require.Positive(t, nodes[name].Health().Queued, name)
		}
		mustBe := func(want int, opts ...tiercache.CallOption) {
			t.Helper()
			for name, cache := range caches {
				v, err := cache.GetOrLoad(bg, "k:1", value(2), opts...)
				require.NoError(t, err, name)
				require.Equal(t, want, v, name)
			}
		}
		mustBe(2)
		end()
		deadline := time.Now().Add(long)
		for name, tiers := range nodes {
			for tiers.Health().Queued > 0 {
				v, err := caches[name].GetOrLoad(bg, "k:1", value(2), tiercache.Fresh())
				require.NoError(t, err, name)
				require.Equal(t, 2, v, name)
				require.True(t, time.Now().Before(deadline), "%s is still queued", name)
			}
		}
		mustBe(2, tiercache.Fresh())
		mustBe(2)
		for name, tiers := range nodes {
			eventuallyConnected(t, tiers)
			r, err := tiers.Invalidate(bg, targets[name])
			require.NoError(t, err)
			require.False(t, r.Queued, name)
		}
	})
}

// P6: what a server stored in an earlier life is not believed, by nodes that
// knew it and by those that did not.
func TestARedisFromAnOldSnapshotServesNothingOfBefore(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	tiers := open(t, hasty(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{MemoryTTL: 1})
	_, err := cache.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	_, err = cache.GetOrLoad(bg, "untouched", value(1))
	require.NoError(t, err)
	require.NoError(t, s.Client().Save(bg).Err())
	require.NoError(t, cache.Delete(bg, "k")) // which the snapshot has missed
	before := tiers.Health().Masters[0].Stamp
	s.Kill()
	s.Restart()
	require.EqualValues(t, 2, s.Client().Exists(bg, "t:k", "t:untouched").Val(), "the snapshot was not read")

	late := newCache(t, open(t, patient(client(t, s.Addr()))), tiercache.Options[int]{})
	for _, key := range []string{"k", "untouched"} {
		_, ok, err := late.Get(bg, key)
		require.NoError(t, err)
		require.False(t, ok, key)
		v, err := cache.GetOrLoad(bg, key, value(2))
		require.NoError(t, err)
		require.Equal(t, 2, v, key)
	}
	eventuallyConnected(t, tiers)
	assert.NotEqual(t, before, tiers.Health().Masters[0].Stamp)
	v, err := late.GetOrLoad(bg, "k", value(2))
	require.NoError(t, err)
	assert.Equal(t, 2, v)
}

func TestTheEndOfItsContextDoesNotUndoAnInvalidation(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		tiers := open(t, patient(client(t, addr)))
		cache := newCache(t, tiers, tiercache.Options[int]{})
		ended, cancel := context.WithCancel(bg)
		cancel()
		for name, invalidate := range map[string]func() error{
			"Delete":            func() error { return cache.Delete(ended, "k") },
			"InvalidatePattern": func() error { _, err := cache.InvalidatePattern(ended, "k*"); return err },
			"Clear":             func() error { return cache.Clear(ended) },
		} {
			require.NoError(t, cache.Set(bg, "k", 1), name)
			require.NoError(t, invalidate(), name)
			v, err := cache.GetOrLoad(bg, "k", value(2))
			require.NoError(t, err, name)
			require.Equal(t, 2, v, name)
			eventuallySent(t, tiers)
			v, err = cache.GetOrLoad(bg, "k", value(2), tiercache.Fresh())
			require.NoError(t, err, name)
			require.Equal(t, 2, v, name)
		}
	})
}

func TestASetInAnOutageBecomesAnInvalidation(t *testing.T) {
	t.Parallel()
	inEveryOutage(t, func(t *testing.T, s *redistest.Server, begin func() func()) {
		tiers := open(t, hasty(client(t, s.Addr())))
		cache := newCache(t, tiers, tiercache.Options[int]{})
		eventuallyConnected(t, tiers)
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(t, err)
		end := begin()
		require.NoError(t, cache.Set(bg, "k", 2))
		v, err := cache.GetOrLoad(bg, "k", unwanted[int](t))
		require.NoError(t, err)
		require.Equal(t, 2, v, "memory has it")
		require.Equal(t, 1, tiers.Health().Queued)
		end()
		eventuallySent(t, tiers)
		v, err = cache.GetOrLoad(bg, "k", value(2), tiercache.Fresh())
		require.NoError(t, err)
		require.Equal(t, 2, v)
	})
}

// refusing is a client whose Redis refuses every connection.
func refusing(t *testing.T) *redis.Client {
	c := redis.NewClient(&redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("connection refused")
		},
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestCloseTellsOfInvalidationsThatNeverReachedRedis(t *testing.T) {
	t.Parallel()
	tiers, err := tiercache.Open(tiercache.Config{Redis: refusing(t), Prefix: "t:"})
	require.NoError(t, err)
	_, err = tiers.Invalidate(bg, tiercache.Key("a"), tiercache.Key("b"), tiercache.Key("b"), tiercache.Pattern("c*"))
	require.NoError(t, err)
	assert.Equal(t, 3, tiers.Health().Queued)
	require.ErrorContains(t, tiers.Close(), "Redis: 3")
}

// More than the journal holds becomes one invalidation of everything.
func TestAJournalThatOverflowsForgetsNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	tiers := open(t, hasty(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{MemoryTTL: 1})
	eventuallyConnected(t, tiers)
	_, err := cache.GetOrLoad(bg, "first", value(1))
	require.NoError(t, err)
	_, err = cache.GetOrLoad(bg, "last", value(1))
	require.NoError(t, err)
	s.Pause()
	require.NoError(t, cache.Delete(bg, "first"))
	many := make([]string, 10_100)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	require.NoError(t, cache.Delete(bg, many...))
	require.NoError(t, cache.Delete(bg, "last"))
	assert.Less(t, tiers.Health().Queued, 10_000)
	s.Resume()
	eventuallySent(t, tiers)
	for _, key := range []string{"first", "last"} {
		v, err := cache.GetOrLoad(bg, key, value(2))
		require.NoError(t, err)
		assert.Equal(t, 2, v, key)
	}
}

// A master is in use again once the keys that waited were sent: patterns, whose scans
// take long, come after. Until they are done they cover what they match.
func TestKeysAreSentAgainBeforePatterns(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	w := &wire{addr: s.Addr()}
	c := redis.NewClient(w.options())
	t.Cleanup(func() { _ = c.Close() })
	tiers := open(t, patient(c))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	eventuallyConnected(t, tiers)
	s.Kill()
	outOfUse(t, tiers)
	for _, pattern := range []string{"p*", "q*"} {
		r, err := tiers.Invalidate(bg, tiercache.Pattern(pattern))
		require.NoError(t, err)
		require.True(t, r.Queued)
	}
	require.NoError(t, cache.Delete(bg, "k"))
	scan := w.holdRequest(t, "scan")
	s.Restart()
	scan.wait(t)
	soon(t, "the key was sent", func() bool { return tiers.Health().Queued == 2 })
	eventuallyConnected(t, tiers)
	v, err := cache.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	require.Equal(t, 1, v)
	assert.EqualValues(t, 1, s.Client().Exists(bg, "t:k").Val(), "it is in Redis")
	scan.release()
	eventuallySent(t, tiers)
}

// A pattern waits, Redis refuses it | a load without Redis | another node deletes the
// key | its value must not stay for as long as an outage's would
func TestWhatIsLoadedUnderAPatternThatWaitsIsNoOlderThanTheBound(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	cfg := patient(user(t, s, "-scan"))
	cfg.OutageStaleness = time.Hour
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	other := newCache(t, open(t, patient(client(t, s.Addr()))), tiercache.Options[int]{})
	hear(t, tiers)
	r, err := tiers.Invalidate(bg, tiercache.Pattern("k:*"))
	require.NoError(t, err)
	require.True(t, r.Queued)
	_, err = cache.GetOrLoad(bg, "k:1", value(1))
	require.NoError(t, err)
	require.NoError(t, other.Delete(bg, "k:1"))
	soon(t, "the value of before is gone", func() bool {
		v, err := cache.GetOrLoad(bg, "k:1", value(2))
		require.NoError(t, err)
		return v == 2
	})
	require.NotZero(t, tiers.Health().Queued)
	require.True(t, tiers.Health().Connected)
}
