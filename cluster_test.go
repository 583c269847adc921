package tiercache_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// clusterKeys returns n keys with their slots; with enough of them every master
// has some.
func clusterKeys(t *testing.T, c *redistest.Cluster, n int) (keys []string, slots map[string]int) {
	t.Helper()
	raw := c.Client()
	slots = make(map[string]int)
	thirds := make(map[int]int)
	for i := range n {
		key := fmt.Sprint("k:", i)
		slot, err := raw.ClusterKeySlot(bg, "t:"+key).Result()
		require.NoError(t, err)
		keys = append(keys, key)
		slots[key] = int(slot)
		thirds[int(slot)*3/redistest.Slots]++
	}
	require.Len(t, thirds, 3)
	return keys, slots
}

func TestAClusterIsUsedInAllItsParts(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	keys, _ := clusterKeys(t, c, 60)
	tiers := open(t, patient(c.Client()))
	cache := newCache(t, tiers, tiercache.Options[string]{})
	other := newCache(t, open(t, patient(c.Client())), tiercache.Options[string]{})
	eventuallyConnected(t, tiers)
	assert.Equal(t, "cluster", tiers.Health().Mode)
	assert.Len(t, tiers.Health().Masters, 3)

	mustLoad := func(what string) {
		t.Helper()
		for _, k := range keys {
			v, err := cache.GetOrLoad(bg, k, value(what))
			require.NoError(t, err)
			require.Equal(t, what, v, k)
			v, err = other.GetOrLoad(bg, k, unwanted[string](t), tiercache.Fresh())
			require.NoError(t, err)
			require.Equal(t, what, v, k)
		}
	}
	mustLoad("1")
	for i, node := range c.Nodes() {
		n, err := node.Client().DBSize(bg).Result()
		require.NoError(t, err)
		assert.Positive(t, n, "master %d", i)
	}

	require.NoError(t, cache.Delete(bg, keys...), "across slots")
	mustLoad("2")
	r, err := cache.InvalidatePattern(bg, "k:*")
	require.NoError(t, err)
	assert.Equal(t, tiercache.Report{Keys: 60}, r, "on every master")
	mustLoad("3")
	require.NoError(t, cache.Clear(bg))
	mustLoad("4")
	for _, k := range keys {
		require.NoError(t, cache.Set(bg, k, "5"))
	}
	mustLoad("5")
	_, err = cache.GetOrLoad(bg, "asked", value("6"), tiercache.Also(keys[:10]...))
	require.NoError(t, err, "an Also that crosses slots; its keys have values")
	require.NoError(t, cache.Delete(bg, keys...))
	_, err = cache.GetOrLoad(bg, "asked2", value("7"), tiercache.Also(keys...))
	require.NoError(t, err)
	mustLoad("7")
	s := tiers.Stats().Total
	assert.Zero(t, s.Errors)
	assert.Zero(t, s.FillsRefused)
	assert.Zero(t, s.Rejected)
}

func TestASlotMayMoveWhileItIsUsed(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	keys, slots := clusterKeys(t, c, 12)
	tiers := open(t, patient(c.Client()))
	cache := newCache(t, tiers, tiercache.Options[int64]{MemoryTTL: 1})
	eventuallyConnected(t, tiers)

	versions := make([]struct{ version, floor atomic.Int64 }, len(keys))
	ctx, stop := context.WithCancel(bg)
	defer stop()
	var reads, writes atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; ctx.Err() == nil; i++ {
				at := i % len(keys)
				v := &versions[at]
				if i%5 == 0 {
					n := v.version.Add(1)
					var err error
					if i%2 == 0 {
						err = cache.Delete(bg, keys[at])
					} else {
						_, err = cache.InvalidatePattern(bg, keys[at])
					}
					if !assert.NoError(t, err) {
						return
					}
					for old := v.floor.Load(); old < n && !v.floor.CompareAndSwap(old, n); old = v.floor.Load() {
					}
					writes.Add(1)
					continue
				}
				floor := v.floor.Load()
				got, err := cache.GetOrLoad(bg, keys[at], func(context.Context) (int64, error) { return v.version.Load(), nil })
				if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, got, floor, "stale") {
					return
				}
				reads.Add(1)
			}
		})
	}
	for round := range 4 {
		for _, k := range keys[:3] {
			home := slots[k] * 3 / redistest.Slots
			away := (home + 1) % 3
			if round%2 == 0 {
				c.MoveSlot(slots[k], home, away)
			} else {
				c.MoveSlot(slots[k], away, home)
			}
		}
	}
	stop()
	wg.Wait()
	assert.Positive(t, reads.Load())
	assert.Positive(t, writes.Load())
	eventuallySent(t, tiers)
	t.Logf("%d reads, %d writes", reads.Load(), writes.Load())
}

func TestAMovedSlotIsUsedAtItsNewPlace(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 2)
	tiers := open(t, patient(c.Client()))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	eventuallyConnected(t, tiers)
	raw := c.Client()
	slot, err := raw.ClusterKeySlot(bg, "t:k").Result()
	require.NoError(t, err)
	home := int(slot) * 2 / redistest.Slots
	for i := range 3 {
		from, to := (home+i)%2, (home+i+1)%2
		_, err := cache.GetOrLoad(bg, "k", value(i))
		require.NoError(t, err)
		c.MoveSlot(int(slot), from, to)

		r, err := tiers.Invalidate(bg, tiercache.Key("k"))
		require.NoError(t, err)
		require.Equal(t, tiercache.Report{Keys: 1}, r, "the value has moved with its slot")
		v, err := cache.GetOrLoad(bg, "k", value(10+i))
		require.NoError(t, err)
		require.Equal(t, 10+i, v)
		require.EqualValues(t, 1, c.Nodes()[to].Client().Exists(bg, "t:k").Val(), "filled at its new place")

		r, err = tiers.Invalidate(bg, tiercache.Pattern("k*"))
		require.NoError(t, err)
		require.Equal(t, tiercache.Report{Keys: 1}, r)
	}
	assert.Zero(t, tiers.Stats().Total.Errors)
}

// One dead master is no trouble for the keys of the others.
func TestADeadMasterConcernsItsOwnKeysOnly(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	keys, slots := clusterKeys(t, c, 30)
	for _, n := range c.Nodes() { // or the living refuse everything with the dead
		require.NoError(t, n.Client().ConfigSet(bg, "cluster-require-full-coverage", "no").Err())
	}
	tiers := open(t, hasty(c.Client()))
	cache := newCache(t, tiers, tiercache.Options[int]{MemoryTTL: 1})
	eventuallyConnected(t, tiers)
	c.Nodes()[1].Kill()
	for round := range 3 {
		for _, k := range keys {
			v, err := cache.GetOrLoad(bg, k, value(round))
			require.NoError(t, err)
			if slots[k]*3/redistest.Slots == 1 {
				require.Equal(t, round, v, "its master is dead, so every read loads")
			} else {
				require.Equal(t, 0, v, "its master lives")
			}
		}
	}
	r, err := tiers.Invalidate(bg, tiercache.Pattern("k:*"))
	require.NoError(t, err)
	assert.True(t, r.Queued)
	read := func(k string, loads int) int {
		v, err := cache.GetOrLoad(bg, k, value(loads))
		require.NoError(t, err)
		return v
	}
	for _, k := range keys {
		require.Equal(t, 7, read(k, 7))
	}
	// What waits for the dead one waits for it alone.
	round := 7
	stored := func(thirds ...int) func() bool {
		return func() bool {
			round++
			for _, k := range keys {
				if slices.Contains(thirds, slots[k]*3/redistest.Slots) && read(k, round) == round {
					return false
				}
			}
			return true
		}
	}
	require.Eventually(t, stored(0, 2), long, 5*time.Millisecond)
	assert.NotZero(t, tiers.Health().Queued)
	assert.False(t, stored(1)(), "its master is dead")

	r, err = tiers.Invalidate(bg, tiercache.Pattern("k:*"))
	require.NoError(t, err)
	assert.True(t, r.Queued)
	for _, k := range keys {
		require.Equal(t, -1, read(k, -1), "invalidated once more while it waited")
	}
	require.Eventually(t, stored(0, 2), long, 5*time.Millisecond)

	c.Nodes()[1].Restart()
	eventuallySent(t, tiers)
	require.Eventually(t, stored(0, 1, 2), long, 5*time.Millisecond)
	assert.Zero(t, tiers.Health().Queued)
}

// A cluster that was never reached, whose connections are neither refused nor
// made: nobody waits for the reading of its slot table for longer than a read may
// take, or than his own context lasts.
func TestAClusterThatNeverAnswersHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs:                    []string{"a:1", "b:1", "c:1"},
			Dialer:                   func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		defer func() { _ = c.Close() }()
		const budget = 50 * time.Millisecond
		cache := newCache(t, open(t, tiercache.Config{Redis: c, Prefix: "t:", ReadTimeout: budget}), tiercache.Options[int]{})
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				v, err := cache.GetOrLoad(bg, fmt.Sprint(i), value(7))
				assert.NoError(t, err)
				assert.Equal(t, 7, v)
				assert.LessOrEqual(t, time.Since(began), budget)
			})
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(bg, 30*time.Millisecond)
				defer cancel()
				_, err := cache.GetOrLoad(ctx, fmt.Sprint("own", i), value(7))
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, 30*time.Millisecond, time.Since(began))
			})
		}
		wg.Wait()
		time.Sleep(5 * time.Second) // by now it is known not to answer
		began = time.Now()
		_, err := cache.GetOrLoad(bg, "later", value(7))
		require.NoError(t, err)
		assert.Zero(t, time.Since(began), "nobody waits for what is known to be away")
	})
}
