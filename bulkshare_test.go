package tiercache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// Calls for many keys beside each other, beside single ones, and beside whatever else
// can come in between.

func TestFiftyCallsForOverlappingKeysLoadEachOnce(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		keys := manyKeys(0, 20)
		var loads [20]atomic.Int64
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 50 {
			r := rand.New(rand.NewPCG(7, uint64(i)))
			var mine []string
			for _, at := range r.Perm(20)[:1+r.IntN(20)] {
				mine = append(mine, keys[at])
			}
			wg.Go(func() {
				<-start
				got, err := cache.GetOrLoadMany(bg, mine, func(_ context.Context, keys []string) (map[string]int, error) {
					for _, k := range keys {
						loads[number(k)].Add(1)
					}
					runtime.Gosched()
					return numbered(keys), nil
				})
				assert.NoError(t, err)
				assert.Equal(t, numbered(mine), got)
			})
		}
		close(start)
		wg.Wait()
		for i := range loads {
			assert.EqualValues(t, 1, loads[i].Load(), "k%d", i)
		}
		identitiesHold(t, cache.Stats())
	})
}

// A of {1, 2}: leads 1, waits for B's 2 | B of {2, 1}: leads 2, waits for A's 1
func TestTwoCallsThatOverlapDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{LoadTimeout: time.Hour})
		ctx, cancel := context.WithTimeout(bg, long)
		defer cancel()
		for i := range 300 {
			keys := manyKeys(2*i, 2*i+2)
			var wg sync.WaitGroup
			for _, mine := range [][]string{keys, {keys[1], keys[0]}} {
				wg.Go(func() {
					got, err := cache.GetOrLoadMany(ctx, mine, func(_ context.Context, keys []string) (map[string]int, error) {
						return numbered(keys), nil
					})
					assert.NoError(t, err)
					assert.Equal(t, numbered(keys), got)
				})
			}
			wg.Wait()
			if t.Failed() {
				return
			}
		}
	})
}

func TestOnesOwnKeysAreLoadedWhileThoseOfOthersAreWaitedFor(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		others, mine := make(chan struct{}), make(chan []string, 1)
		go func() { // a single call has k1
			v, err := cache.GetOrLoad(bg, "k1", func(context.Context) (int, error) { <-others; return 100, nil })
			assert.NoError(b, err)
			assert.Equal(b, 100, v)
		}()
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := cache.GetOrLoadMany(bg, manyKeys(0, 3), func(_ context.Context, keys []string) (map[string]int, error) {
				mine <- keys
				<-others
				return numbered(keys), nil
			})
			assert.NoError(b, err)
			assert.Equal(b, map[string]int{"k0": 0, "k1": 100, "k2": 2}, got)
		}()
		assert.ElementsMatch(b, []string{"k0", "k2"}, <-mine)
		joined := make(chan struct{})
		go func() { // and a single call joins the other's k2
			defer close(joined)
			v, err := cache.GetOrLoad(bg, "k2", unwanted[int](b.T))
			assert.NoError(b, err)
			assert.Equal(b, 2, v)
		}()
		synctest.Wait()
		close(others)
		<-done
		<-joined
	})
}

func TestOnesOwnKeysAreLoadedWhileAnotherNodeHasTheLeaseOfOne(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache, other := b.cache(tiercache.Options[int]{}), b.cache(tiercache.Options[int]{})
		goOn, mine := make(chan struct{}), make(chan []string, 1)
		go func() {
			_, err := other.GetOrLoad(bg, "k1", func(context.Context) (int, error) { <-goOn; return 100, nil })
			assert.NoError(b, err)
		}()
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := cache.GetOrLoadMany(bg, manyKeys(0, 3), func(_ context.Context, keys []string) (map[string]int, error) {
				mine <- keys
				return numbered(keys), nil
			})
			assert.NoError(b, err)
			assert.Equal(b, map[string]int{"k0": 0, "k1": 100, "k2": 2}, got)
		}()
		assert.ElementsMatch(b, []string{"k0", "k2"}, <-mine)
		close(goOn)
		<-done
		assert.EqualValues(b, 2, cache.Stats().Loads)
	})
}

// The other node's load fails: the key comes to a call of the loader of its own.
func TestAKeyThatAnotherNodeDidNotLoadIsLoadedLater(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache, other := b.cache(tiercache.Options[int]{}), b.cache(tiercache.Options[int]{})
		goOn := make(chan struct{})
		go func() {
			_, err := other.GetOrLoad(bg, "k1", func(context.Context) (int, error) { <-goOn; return 0, errBroken })
			assert.Equal(b, errBroken, err)
		}()
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(goOn) })
		var n numbers
		got, err := cache.GetOrLoadMany(bg, manyKeys(0, 3), n.load)
		require.NoError(b, err)
		assert.Equal(b, numbered(manyKeys(0, 3)), got)
		assert.Equal(b, [][]string{{"k0", "k2"}, {"k1"}}, n.calls)
	})
}

// P3: bulk loads old | Delete, returns | a read must not see old
func TestADeleteDuringALoadOfManyLeavesNothingOld(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		goOn, began := make(chan struct{}), make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := cache.GetOrLoadMany(bg, manyKeys(0, 10), func(_ context.Context, keys []string) (map[string]int, error) {
				close(began)
				<-goOn
				return numbered(keys), nil
			})
			assert.NoError(b, err)
			assert.Equal(b, numbered(manyKeys(0, 10)), got, "its own caller may have it")
		}()
		<-began
		require.NoError(b, cache.Delete(bg, manyKeys(0, 5)...))
		newer := make(chan map[string]int, 1)
		go func() { // comes after the deletes, before the end of the load
			got, err := cache.GetOrLoadMany(bg, manyKeys(0, 10), func(_ context.Context, keys []string) (map[string]int, error) {
				out := make(map[string]int)
				for _, k := range keys {
					out[k] = 100
				}
				return out, nil
			})
			assert.NoError(b, err)
			newer <- got
		}()
		synctest.Wait()
		close(goOn)
		<-done
		got := <-newer
		again, err := cache.GetMany(bg, manyKeys(0, 10))
		require.NoError(b, err)
		assert.Equal(b, got, again)
		neighbours := 0
		for i := range 10 {
			switch v := got["k"+strconv.Itoa(i)]; {
			case i < 5:
				assert.Equal(b, 100, v, "it was deleted")
			case v == 100: // without Redis, if a deleted key is in its shard: in one of forty runs one is
				neighbours++
			default:
				assert.Equal(b, i, v)
			}
		}
		assert.LessOrEqual(b, neighbours, 2)
	})
}

func TestManyReadersAndWritersOfManyKeysSeeNothingStale(t *testing.T) {
	t.Parallel()
	onEveryFleet(t, 1_500, func(t *testing.T, nodes []*tiercache.Tiers, rounds int) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		var left, reads atomic.Int64
		left.Store(int64(rounds))
		var wg sync.WaitGroup
		for n, tiers := range nodes {
			cache := newCache(t, tiers, tiercache.Options[int64]{})
			sources := make(map[string]*source)
			var keys []string
			for i := range 8 {
				key := fmt.Sprintf("n%d:%d", n, i)
				keys, sources[key] = append(keys, key), &source{key: key}
			}
			load := func(_ context.Context, keys []string) (map[string]int64, error) {
				out := make(map[string]int64)
				for _, k := range keys {
					out[k] = sources[k].version.Load()
					runtime.Gosched()
				}
				return out, nil
			}
			for w := range 8 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(n*8+w)))
					for left.Add(-1) >= 0 {
						var mine []string
						for _, at := range r.Perm(len(keys))[:1+r.IntN(len(keys))] {
							mine = append(mine, keys[at])
						}
						if r.IntN(3) == 0 {
							mine = mine[:1+len(mine)/3]
							versions := make(map[string]int64)
							for _, k := range mine {
								versions[k] = sources[k].version.Add(1)
							}
							if !assert.NoError(t, cache.Delete(bg, mine...)) {
								return
							}
							for k, v := range versions {
								sources[k].raise(v)
							}
							continue
						}
						floors := make(map[string]int64)
						for _, k := range mine {
							floors[k] = sources[k].floor.Load()
						}
						got, err := cache.GetOrLoadMany(bg, mine, load)
						if !assert.NoError(t, err) {
							return
						}
						for k, floor := range floors {
							v, ok := got[k]
							if !ok || v < floor {
								t.Errorf("stale: %s is %d, at least %d was out before the read began", k, v, floor)
								return
							}
						}
						reads.Add(1)
					}
				})
			}
		}
		wg.Wait()
		assert.Greater(t, reads.Load(), int64(rounds/3))
	})
}
