package tiercache_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
)

// inEveryBubble runs a test in fake time, in memory alone and with a miniredis.
func inEveryBubble(t *testing.T, test func(b bubble, tiers *tiercache.Tiers)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(b bubble) { test(b, open(b.T, tiercache.Config{})) })
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		inBubble(t, func(b bubble) { test(b, b.node()) })
	})
}

// Each test here is a scenario in which one or more of the known caching
// libraries for Go (gocache, jetcache-go, sturdyc, go-redis/cache, otter,
// rueidisaside) gives its caller something wrong.

// Wrong elsewhere: the waiter gets context.Canceled (gocache, jetcache-go,
// sturdyc, go-redis/cache).
func TestAHealthyWaiterOutlivesTheLeader(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		goOn := make(chan struct{})
		load := func(context.Context) (int, error) { <-goOn; return 7, nil }
		ctx, cancel := context.WithCancel(bg)
		led, joined := make(chan error, 1), make(chan int, 1)
		go func() { _, err := cache.GetOrLoad(ctx, "k", load); led <- err }()
		synctest.Wait()
		go func() {
			v, err := cache.GetOrLoad(bg, "k", unwanted[int](b.T))
			assert.NoError(b, err)
			joined <- v
		}()
		synctest.Wait()
		cancel()
		assert.Equal(b, context.Canceled, <-led)
		close(goOn)
		assert.Equal(b, 7, <-joined)
		assert.EqualValues(b, 1, cache.Stats().Coalesced)
	})
}

// Wrong elsewhere: it returns after 1 s (the same four).
func TestAWaiterLeavesAtItsOwnDeadline(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		load := func(context.Context) (int, error) { time.Sleep(time.Second); return 7, nil }
		led := make(chan int, 1)
		go func() { v, _ := cache.GetOrLoad(bg, "k", load); led <- v }()
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
		defer cancel()
		_, err := cache.GetOrLoad(ctx, "k", load)
		assert.Equal(b, context.DeadlineExceeded, err)
		assert.Equal(b, 100*time.Millisecond, time.Since(began))
		assert.Equal(b, 7, <-led)
		assert.EqualValues(b, 1, cache.Stats().Loads)
	})
}

// Wrong elsewhere: the Get is stale (the same four).
func TestADeleteDuringALoadIsNotUndoneByIt(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "k", func(ctx context.Context) (int, error) {
			return 1, cache.Delete(ctx, "k")
		})
		require.NoError(t, err)
		_, ok, err := cache.Get(bg, "k")
		require.NoError(t, err)
		assert.False(t, ok)
		v, err := cache.GetOrLoad(bg, "k", value(2))
		require.NoError(t, err)
		assert.Equal(t, 2, v)
	})
}

// Wrong elsewhere: the waiter's own goroutine ends too, or it gets a zero value
// and no error (sturdyc).
func TestALoaderThatEndsItsGoroutineIsAnErrorForItsWaiter(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[string]{})
		goOn, got := make(chan struct{}), make(chan error, 2)
		for range 2 {
			go func() {
				_, err := cache.GetOrLoad(bg, "k", func(context.Context) (string, error) {
					<-goOn
					runtime.Goexit()
					return "", nil
				})
				got <- err
			}()
			synctest.Wait()
		}
		close(goOn)
		assert.ErrorIs(b, <-got, tiercache.ErrGoexit)
		assert.ErrorIs(b, <-got, tiercache.ErrGoexit)
		assert.EqualValues(b, 1, cache.Stats().Loads)
		v, err := cache.GetOrLoad(bg, "k", value("next"))
		require.NoError(b, err)
		assert.Equal(b, "next", v)
	})
}

// Wrong elsewhere: the first Get takes 1.7 s to 3.5 s, of retries and the pauses
// between them; or it fails (rueidisaside).
func TestARedisThatRefusesConnectionsCostsOneDialAndNoPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		c := redis.NewClient(&redis.Options{
			Dialer: func(context.Context, string, string) (net.Conn, error) {
				dials.Add(1)
				return nil, errors.New("connection refused")
			},
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		defer c.Close()
		began := time.Now()
		cache := newCache(t, open(t, tiercache.Config{Redis: c, Prefix: "t:"}), tiercache.Options[int]{})
		v, err := cache.GetOrLoad(bg, "k", value(7))
		require.NoError(t, err)
		assert.Equal(t, 7, v)
		assert.Zero(t, time.Since(began), "somebody slept")
		assert.LessOrEqual(t, dials.Load(), int64(3), "the call's own, and at Open that of the question who it is, and the listener's")

		synctest.Wait() // whichever dial failed first has been heard of
		before := dials.Load()
		for i := range 100 {
			_, err := cache.GetOrLoad(bg, "k"+strconv.Itoa(i), value(i))
			require.NoError(t, err)
			require.NoError(t, cache.Set(bg, "s"+strconv.Itoa(i), i))
		}
		assert.Zero(t, time.Since(began))
		assert.Equal(t, before, dials.Load(), "out of use, it is not dialled")
	})
}

// Wrong elsewhere: "*" is jetcache-go's placeholder for "no such thing".
func TestNoValueIsTakenForAPlaceholder(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		for _, v := range []string{"*", "", "null", "nil", "\x00", "tc1L", "tc1N", "{}", "\xff\xfe"} {
			writer := newCache(t, open(t, config()), tiercache.Options[string]{})
			require.NoError(t, writer.Set(bg, "set", v))
			got, err := writer.GetOrLoad(bg, "loaded", value(v), tiercache.Fresh())
			require.NoError(t, err)
			require.Equal(t, v, got)
			for _, key := range []string{"set", "loaded"} {
				got, ok, err := writer.Get(bg, key)
				require.NoError(t, err)
				require.True(t, ok, "%q", v)
				require.Equal(t, v, got)
			}
			require.NoError(t, writer.Delete(bg, "set", "loaded"))
		}
	})
}

func TestRedisGivesEveryStringBackAsItWas(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		writer := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{})
		reader := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{})
		for _, v := range []string{"*", "", "null", "\x00", "tc1L", "\xff\xfe"} {
			key := "k" + strconv.Quote(v)
			require.NoError(t, writer.Set(bg, key, v))
			got, ok, err := reader.Get(bg, key)
			require.NoError(t, err)
			require.True(t, ok, key)
			assert.Equal(t, v, got)
		}
		assert.EqualValues(t, 6, reader.Stats().RedisHits)
	})
}

// Wrong elsewhere: gocache's Clear is FLUSHALL.
func TestClearLeavesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		for _, k := range []string{"foreign", "t2:a", "t:foreign"} {
			require.NoError(t, raw.Set(bg, k, "x", 0).Err())
		}
		require.NoError(t, raw.RPush(bg, "t:list", "x").Err())
		tiers := open(t, patient(client(t, addr)))
		mine := newCache(t, tiers, tiercache.Options[int]{Name: "mine"})
		other := newCache(t, tiers, tiercache.Options[int]{Name: "other"})
		require.NoError(t, mine.Set(bg, "a", 1))
		require.NoError(t, other.Set(bg, "b", 1))

		require.NoError(t, mine.Clear(bg))

		_, ok, err := mine.Get(bg, "a")
		require.NoError(t, err)
		assert.False(t, ok)
		v, err := other.GetOrLoad(bg, "b", unwanted[int](t))
		require.NoError(t, err)
		assert.Equal(t, 1, v)
		v, err = other.GetOrLoad(bg, "b", unwanted[int](t), tiercache.Fresh())
		require.NoError(t, err)
		assert.Equal(t, 1, v)
		assert.EqualValues(t, 4, raw.Exists(bg, "foreign", "t2:a", "t:foreign", "t:list").Val())
		late := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{Name: "mine"})
		_, ok, err = late.Get(bg, "a")
		require.NoError(t, err)
		assert.False(t, ok, "what stands in Redis counts for nobody")
	})
}

// Wrong elsewhere: go-redis/cache makes an hour of a TTL below a second.
func TestATTLBelowASecondIsThatInRedis(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{TTL: 500 * time.Millisecond, Jitter: -1})
		_, err := cache.GetOrLoad(bg, "loaded", value(1))
		require.NoError(t, err)
		require.NoError(t, cache.Set(bg, "set", 1))
		for _, k := range []string{"t:loaded", "t:set"} {
			left := raw.PTTL(bg, k).Val()
			assert.LessOrEqual(t, left, 500*time.Millisecond)
			assert.NotEqual(t, time.Duration(-1), left, "it never expires")
		}
	})
	inBubble(t, func(b bubble) {
		cache := b.cache(tiercache.Options[int]{TTL: 500 * time.Millisecond})
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		assert.Equal(b, 500*time.Millisecond, b.mini.TTL("t:k"))
	})
}

// Wrong elsewhere: jetcache-go's second Close panics, sturdyc's goroutine has no
// end.
func TestASecondCloseIsFineAndNoGoroutineStays(t *testing.T) {
	// Not parallel: others' goroutines would be in the way.
	before := goleak.IgnoreCurrent()
	tiers, err := tiercache.Open(tiercache.Config{})
	require.NoError(t, err)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	_, err = cache.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	require.NoError(t, tiers.Close())
	require.NoError(t, tiers.Close())
	goleak.VerifyNone(t, before)
}

// Wrong elsewhere: sturdyc evicted 99 entries when one key was overwritten.
func TestOverwritingOneKeyEvictsNoOther(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	cache := newCache(t, tiers, tiercache.Options[int]{})
	for i := range 100 {
		require.NoError(t, cache.Set(bg, strconv.Itoa(i), i))
	}
	for i := range 1000 {
		require.NoError(t, cache.Set(bg, "0", i))
	}
	for i := 1; i < 100; i++ {
		v, ok, err := cache.Get(bg, strconv.Itoa(i))
		require.NoError(t, err)
		require.True(t, ok, i)
		require.Equal(t, i, v)
	}
	s := tiers.Stats()
	assert.Zero(t, s.MemoryEvictions)
	assert.EqualValues(t, 100, s.MemoryEntries)
}
