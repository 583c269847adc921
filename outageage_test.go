package tiercache_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// How old what memory serves may be while Redis is away, and when it is back.

// outOfUse waits until a node has given Redis up.
func outOfUse(t *testing.T, tiers *tiercache.Tiers) {
	t.Helper()
	soon(t, "Redis is out of use", func() bool { return !tiers.Health().Connected })
}

func TestWithoutOutageStalenessEveryReadInAnOutageLoads(t *testing.T) {
	t.Parallel()
	inEveryOutage(t, func(t *testing.T, s *redistest.Server, begin func() func()) {
		cfg := hasty(client(t, s.Addr()))
		cfg.OutageStaleness, cfg.StalenessBound = -1, 200*time.Millisecond
		tiers := open(t, cfg)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		hear(t, tiers)
		_, err := cache.GetOrLoad(bg, "k", value(0))
		require.NoError(t, err)
		inMemory(t, cache, "k")
		end := begin()
		soon(t, "out of use, and nothing vouches for memory", func() bool {
			_, _, _ = cache.Get(bg, "other") // somebody has to notice
			h := tiers.Health()
			return !h.Connected && !h.Masters[0].Fresh
		})
		for v := 1; v < 10; v++ {
			got, err := cache.GetOrLoad(bg, "k", value(v))
			require.NoError(t, err)
			require.Equal(t, v, got)
		}
		end()
		eventuallyConnected(t, tiers)
	})
}

// node with a Config of one's own.
func (b bubble) nodeOf(change func(*tiercache.Config)) *tiercache.Tiers {
	c := b.client()
	cfg := patient(c)
	change(&cfg)
	return open(b.T, cfg)
}

func TestMemoryServesForOutageStalenessAndNoLonger(t *testing.T) {
	t.Parallel()
	const most = 2 * time.Second
	inBubble(t, func(b bubble) {
		tiers := b.nodeOf(func(c *tiercache.Config) { c.OutageStaleness = most })
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		synctest.Wait()
		_, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(b, err)
		inMemory(b.T, cache, "k")
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		heard := time.Now() // the last PONG was asked for less than half a bound ago
		b.leave()
		time.Sleep(time.Second) // it is known by now that it does not answer
		for time.Since(heard) < 2*most {
			v, err := cache.GetOrLoad(bg, "k", value(2))
			require.NoError(b, err)
			if v == 2 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		assert.InDelta(b, most, time.Since(heard), float64(500*time.Millisecond))
		assert.LessOrEqual(b, time.Since(heard), most+5*time.Millisecond)
		began := time.Now()
		for v := 2; v == 2; { // an entry of the outage, as long after its load
			v, err = cache.GetOrLoad(bg, "k", value(3))
			require.NoError(b, err)
			if v == 2 {
				time.Sleep(time.Millisecond)
			}
		}
		assert.InDelta(b, most, time.Since(began), float64(5*time.Millisecond))
	})
}

// Redis returns | hold-off: hot keys come from memory, the source sees no storm,
// and nothing old shows, then or later
func TestAfterAnOutageHotKeysComeFromMemoryUntilRedisIsBelieved(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	tiers := open(t, hasty(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	const keys = 20
	var loads atomic.Int64
	versions := make([]int, keys)
	read := func() {
		t.Helper()
		for i, want := range versions {
			v, err := cache.GetOrLoad(bg, strconv.Itoa(i), func(context.Context) (int, error) { loads.Add(1); return want, nil })
			require.NoError(t, err)
			require.Equal(t, want, v)
		}
	}
	read()
	require.NoError(t, s.Client().Save(bg).Err())
	s.Kill()
	outOfUse(t, tiers)
	for i := range keys / 2 {
		versions[i]++
		require.NoError(t, cache.Delete(bg, strconv.Itoa(i)))
	}
	read()
	s.Restart()
	loads.Store(0)
	rounds := 0
	for ; !tiers.Health().Connected; rounds++ {
		read()
	}
	// Each is loaded once when Redis is believed, which has nothing from before, and
	// those that were changed once more when it is told.
	assert.LessOrEqual(t, loads.Load(), int64(3*keys), "memory served, in %d rounds", rounds)
	assert.Greater(t, rounds, 10)
	for range 20 {
		read()
	}
	hear(t, tiers)
	read()
}

// loaded in the outage | Redis is back, and heard | another node changes it: an
// UNLINK of what is not there pushes nothing
func TestWhatWasLoadedInAnOutageIsVoidWhenItIsOver(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr())
	tiers := open(t, hasty(client(t, p.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	p.Refuse()
	outOfUse(t, tiers)
	// The epoch ends a moment after the circuit has opened, and with it what was loaded in between.
	require.Eventually(t, func() bool {
		before := cache.Stats().MemoryHits
		v, err := cache.GetOrLoad(bg, "k", value(1))
		return err == nil && v == 1 && cache.Stats().MemoryHits > before
	}, 10*time.Second, time.Millisecond, "in the outage it is served")
	_, err := open(t, patient(client(t, s.Addr()))).Invalidate(bg, tiercache.Key("k"))
	require.NoError(t, err)
	p.Pass()
	eventuallyConnected(t, tiers)
	hear(t, tiers)
	v, err := cache.GetOrLoad(bg, "k", value(2))
	require.NoError(t, err)
	require.Equal(t, 2, v)
}

func TestTrustAfterFailoverKeepsWhatASnapshotHasAndTheDefaultDoesNot(t *testing.T) {
	t.Parallel()
	for _, trust := range []bool{true, false} {
		t.Run(strconv.FormatBool(trust), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			cfg := hasty(client(t, s.Addr()))
			cfg.TrustAfterFailover = trust
			tiers := open(t, cfg)
			cache := newCache(t, tiers, tiercache.Options[thing]{Tags: thingTags})
			hear(t, tiers)
			store(t, cache, "k", tagged(1, "red"))
			s.Snapshot()
			s.RestartFromSnapshot()
			fresh := open(t, cfg)
			there := newCache(t, fresh, tiercache.Options[thing]{Tags: thingTags})
			eventuallyConnected(t, tiers)
			hear(t, tiers, fresh)
			for _, c := range []*tiercache.Cache[thing]{cache, there} {
				v, ok, err := c.Get(bg, "k")
				require.NoError(t, err)
				require.Equal(t, trust, ok)
				if trust {
					require.Equal(t, 1, v.V)
				}
			}
			store(t, cache, "k", tagged(2, "red"))
			void(t, tiers, "red")
			_, ok, err := cache.Get(bg, "k")
			require.NoError(t, err)
			require.False(t, ok, "the tag works on")
		})
	}
}

// fill, executed or not, not answered | Redis stays in use: what memory has of it is
// for an outage, since no change of it need be heard
func TestAValueWhoseFillWasNotAcknowledgedIsNotServedWhileRedisIsInUse(t *testing.T) {
	t.Parallel()
	w := &wire{addr: miniredis.RunT(t).Addr()}
	c := redis.NewClient(w.options())
	t.Cleanup(func() { _ = c.Close() })
	cfg := patient(c)
	cfg.WriteTimeout = 500 * time.Millisecond
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	fill := w.holdReply(t, filling...)
	v, err := cache.GetOrLoad(bg, "k:1", value(1))
	require.NoError(t, err)
	require.Equal(t, 1, v)
	fill.wait(t)
	fill.release()
	require.NoError(t, client(t, w.addr).Del(bg, "t:k:1").Err()) // of which Pub/Sub does not tell
	v, err = cache.GetOrLoad(bg, "k:1", value(2))
	require.NoError(t, err)
	assert.Equal(t, 2, v)
	assert.EqualValues(t, 1, cache.Stats().Errors)
}

// TrustAfterFailover, another life: the clock may have lost ticks that records have,
// so that no reading covers their births
func TestTagsAreOfUseInALifeThatIsTrusted(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	cfg := patient(client(t, s.Addr()))
	cfg.TrustAfterFailover = true
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[thing]{Tags: thingTags})
	hear(t, tiers)
	store(t, cache, "a", tagged(1, "red"))
	s.Snapshot()
	s.RestartFromSnapshot()
	eventuallyConnected(t, tiers)
	hear(t, tiers)
	store(t, cache, "b", tagged(1, "red"))
	void(t, tiers, "unrelated")
	store(t, cache, "c", tagged(1, "red"))
	void(t, tiers, "red")
	for _, key := range []string{"a", "b", "c"} {
		_, ok, err := cache.Get(bg, key)
		require.NoError(t, err)
		assert.False(t, ok, key)
	}
}

// Everybody reads all the time | Redis: hangs, answers again | each key is read from it
// once, and none is loaded
func TestAfterAnOutageRedisIsReadOnceForEachKeyAndTheSourceNotAtAll(t *testing.T) {
	t.Parallel()
	const keys, readerCount = 200, 5
	s := redistest.Start(t)
	tiers := open(t, hasty(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	var loads atomic.Int64
	read := func() {
		for i := range keys {
			_, err := cache.GetOrLoad(bg, strconv.Itoa(i), counted(&loads, value(i)))
			require.NoError(t, err)
		}
	}
	read()
	soon(t, "Redis has all, and memory too", func() bool {
		before := cache.Stats().MemoryHits
		read()
		return cache.Stats().MemoryHits == before+keys
	})
	s.Pause()
	outOfUse(t, tiers)
	loads.Store(0)
	before := cache.Stats()
	ctx, cancel := context.WithCancel(bg)
	var readers sync.WaitGroup
	for range readerCount - 1 { // and this goroutine
		readers.Go(func() {
			for ctx.Err() == nil {
				read()
			}
		})
	}
	s.Resume()
	eventuallyConnected(t, tiers)
	hear(t, tiers)
	soon(t, "memory answers all", func() bool {
		before := cache.Stats()
		read()
		return cache.Stats().RedisHits == before.RedisHits
	})
	cancel()
	readers.Wait()
	after := cache.Stats()
	assert.LessOrEqual(t, loads.Load(), after.Errors-before.Errors+5, "but for reads that a busy machine took longer over than their budget, and fills whose echo was not judged before")
	// What a reader reads while the answer to the first question is on its way is read
	// again when it has come: the epoch is another one then.
	assert.LessOrEqual(t, after.RedisHits-before.RedisHits-(after.Coalesced-before.Coalesced), int64(keys+4*readerCount))
}
