package tiercache_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// bubble is a test in fake time: nodes that share a miniredis over pipes. In it
// every wait is over at once, and synctest.Wait returns when nothing can go on.
type bubble struct {
	*testing.T
	mini *miniredis.Miniredis
	away *atomic.Bool // nobody is let in
}

// unbounded is a pool that nobody waits for: go-redis keeps the timers of those who
// do for the whole process, and one of a bubble must not be used outside of it.
const unbounded = 10_000

// leave ends all connections, and lets in none.
func (b bubble) leave() { b.away.Store(true); b.mini.Close() }

func inBubble(t *testing.T, test func(b bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		m.ClockTTL(true)
		t.Cleanup(m.Close)
		test(bubble{t, m, new(atomic.Bool)})
	})
}

// node is one more process.
func (b bubble) node() *tiercache.Tiers { return open(b.T, patient(b.client())) }

func (b bubble) client() *redis.Client {
	c := redis.NewClient(&redis.Options{
		PoolSize: unbounded,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if b.away.Load() {
				return nil, errors.New("connection refused")
			}
			c, err := b.mini.Dial()
			if err != nil {
				return nil, err
			}
			return newBuffered(c), nil
		},
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	b.Cleanup(func() { _ = c.Close() })
	return c
}

func (b bubble) cache(opts tiercache.Options[int]) *tiercache.Cache[int] {
	opts.Jitter = -1
	return newCache(b.T, b.node(), opts)
}

// leader loads old | joiner joins | another node invalidates, returns | fill is
// refused | the joiner must not take the old value for a valid one
func TestAJoinerOfARefusedLoadGoesRound(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache, other := b.cache(tiercache.Options[int]{}), b.node()
		goOn := make(chan struct{})
		go func() {
			v, err := cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) { <-goOn; return 1, nil })
			assert.NoError(b, err)
			assert.Equal(b, 1, v, "its own caller may have it")
		}()
		synctest.Wait()
		joined := make(chan int, 1)
		go func() {
			v, err := cache.GetOrLoad(bg, "k:1", value(2))
			assert.NoError(b, err)
			joined <- v
		}()
		synctest.Wait()
		r, err := other.Invalidate(bg, tiercache.Key("k:1"))
		require.NoError(b, err)
		assert.EqualValues(b, 1, r.Keys, "the lease")
		close(goOn)
		assert.Equal(b, 2, <-joined)
	})
}

// The same without Redis: the generation of the shard is the judge.
func TestAJoinerOfAVoidedLoadGoesRound(t *testing.T) {
	t.Parallel()
	for name, inv := range invalidations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tiers := open(t, tiercache.Config{})
				cache := newCache(t, tiers, tiercache.Options[int]{})
				goOn := make(chan struct{})
				go func() {
					_, _ = cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) { <-goOn; return 1, nil })
				}()
				synctest.Wait()
				joined := make(chan int, 1)
				go func() {
					v, err := cache.GetOrLoad(bg, "k:1", value(2))
					assert.NoError(t, err)
					joined <- v
				}()
				synctest.Wait()
				require.NoError(t, inv(tiers))
				close(goOn)
				assert.Equal(t, 2, <-joined)
			})
		})
	}
}

func TestTheFleetLoadsOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		loads := 0 // written by one loader, or the race detector tells
		load := func(context.Context) (int, error) { loads++; time.Sleep(4 * time.Second); return 7, nil }
		done := make(chan int)
		for range 4 {
			cache := b.cache(tiercache.Options[int]{})
			for range 50 {
				go func() {
					v, err := cache.GetOrLoad(bg, "k:1", load)
					assert.NoError(b, err)
					done <- v
				}()
			}
		}
		for range 200 {
			assert.Equal(b, 7, <-done)
		}
		assert.Equal(b, 1, loads, "the load outlasted its lease time, so the lease must have been renewed")
	})
}

func TestWhenTheHolderOfALeaseDiesTheNextLoadStartsWithinTheLeaseTime(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		dying := b.node()
		cache := newCache(b.T, dying, tiercache.Options[int]{})
		go func() {
			_, _ = cache.GetOrLoad(bg, "k:1", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		}()
		synctest.Wait()
		lease, err := b.mini.Get("t:k:1")
		require.NoError(b, err)
		require.NoError(b, b.mini.Set("t:k:2", lease)) // as a process that was killed leaves it
		b.mini.SetTTL("t:k:2", 3*time.Second)
		began := time.Now()
		v, err := b.cache(tiercache.Options[int]{Name: "other"}).GetOrLoad(bg, "k:2", value(2))
		require.NoError(b, err)
		assert.Equal(b, 2, v)
		assert.LessOrEqual(b, time.Since(began), 3*time.Second+100*time.Millisecond)
	})
}
