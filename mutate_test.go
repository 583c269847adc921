package tiercache_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// marked are what a Mutate may name, for a value that has the tag "red" under the
// key "k".
var marked = map[string]tiercache.Target{"key": tiercache.Key("k"), "tag": tiercache.Tag("red")}

func forEachMarked(t *testing.T, test func(t *testing.T, nodes [2]*tiercache.Tiers, caches [2]*tiercache.Cache[thing], target tiercache.Target)) {
	t.Helper()
	onEveryRedis(t, func(t *testing.T, addr string) {
		for name, target := range marked {
			t.Run(name, func(t *testing.T) {
				var nodes [2]*tiercache.Tiers
				var caches [2]*tiercache.Cache[thing]
				for i := range nodes {
					nodes[i] = open(t, patient(client(t, addr)))
					caches[i] = newCache(t, nodes[i], tiercache.Options[thing]{Tags: thingTags, Name: name})
				}
				hear(t, nodes[:]...)
				test(t, nodes, caches, target)
			})
		}
	})
}

func mustLoad(t *testing.T, c *tiercache.Cache[thing], v int, opts ...tiercache.CallOption) {
	t.Helper()
	got, err := c.GetOrLoad(bg, "k", tagged(v, "red"), opts...)
	require.NoError(t, err)
	require.Equal(t, v, got.V)
}

func TestWhileAMutateRunsLoadsAreReturnedAndNotStored(t *testing.T) {
	t.Parallel()
	forEachMarked(t, func(t *testing.T, nodes [2]*tiercache.Tiers, caches [2]*tiercache.Cache[thing], target tiercache.Target) {
		store(t, caches[0], "k", tagged(0, "red"))
		inMemory(t, caches[1], "k")
		ran := 0
		_, err := nodes[0].Mutate(bg, func(ctx context.Context) error {
			ran++
			for i, c := range caches {
				if i == 1 {
					soon(t, "the marker is heard of", func() bool { _, ok, _ := c.Get(bg, "k"); return !ok })
				}
				for v := 1; v < 4; v++ {
					mustLoad(t, c, v)
					mustLoad(t, c, v+10, tiercache.Fresh())
					_, ok, err := c.Get(bg, "k")
					assert.NoError(t, err)
					assert.False(t, ok, "node %d", i)
				}
			}
			return nil
		}, target)
		require.NoError(t, err)
		require.Equal(t, 1, ran)
		mustLoad(t, caches[0], 5)
		store(t, caches[0], "k", tagged(6, "red")) // it is either
		soon(t, "it is stored again", func() bool { _, ok, _ := caches[1].Get(bg, "k"); return ok })
	})
}

// load begins | Mutate begins and ends | the load ends: old
func TestALoadThatBeganBeforeAMutateIsNotStored(t *testing.T) {
	t.Parallel()
	forEachMarked(t, func(t *testing.T, nodes [2]*tiercache.Tiers, caches [2]*tiercache.Cache[thing], target tiercache.Target) {
		for by, node := range nodes {
			_, err := caches[0].GetOrLoad(bg, "k", func(ctx context.Context) (thing, error) {
				_, err := node.Mutate(ctx, func(context.Context) error { return nil }, target)
				return thing{1, []string{"red"}}, err
			})
			require.NoError(t, err)
			soon(t, "nobody has it", func() bool {
				_, ok0, _ := caches[0].Get(bg, "k")
				_, ok1, _ := caches[1].Get(bg, "k")
				return !ok0 && !ok1
			})
			mustLoad(t, caches[by], 2)
			require.NoError(t, caches[0].Delete(bg, "k"))
		}
	})
}

// load begins under the marker, of a tag that the value alone will tell | it ends
// after the Mutate: what it read may be from before the commit
func TestALoadThatBeganDuringAMutateIsNotStoredAfterIt(t *testing.T) {
	t.Parallel()
	forEachMarked(t, func(t *testing.T, nodes [2]*tiercache.Tiers, caches [2]*tiercache.Cache[thing], target tiercache.Target) {
		for _, c := range caches {
			began, goOn := make(chan struct{}), make(chan struct{})
			got := make(chan int, 1)
			_, err := nodes[0].Mutate(bg, func(context.Context) error {
				go func() {
					v, _ := c.GetOrLoad(bg, "k", func(context.Context) (thing, error) {
						close(began)
						<-goOn
						return thing{1, []string{"red"}}, nil
					})
					got <- v.V
				}()
				<-began
				return nil
			}, target)
			require.NoError(t, err)
			close(goOn)
			require.Equal(t, 1, <-got)
			soon(t, "nobody has it", func() bool {
				_, ok0, _ := caches[0].Get(bg, "k")
				_, ok1, _ := caches[1].Get(bg, "k")
				return !ok0 && !ok1
			})
		}
	})
}

// Mutate | another node's invalidation, Set, Clear and pattern: the marker stays
func TestWhatNeighboursDoLeavesTheMarker(t *testing.T) {
	t.Parallel()
	forEachMarked(t, func(t *testing.T, nodes [2]*tiercache.Tiers, caches [2]*tiercache.Cache[thing], target tiercache.Target) {
		neighbours := map[string]func() error{
			"Delete":     func() error { return caches[1].Delete(bg, "k") },
			"own Delete": func() error { return caches[0].Delete(bg, "k") },
			"Set":        func() error { return caches[1].Set(bg, "k", thing{9, []string{"red"}}) },
			"pattern":    func() error { _, err := caches[1].InvalidatePattern(bg, "k*"); return err },
			"tag":        func() error { _, err := nodes[1].Invalidate(bg, tiercache.Tag("red")); return err },
			"Expire":     func() error { _, err := nodes[1].Expire(bg, tiercache.Key("k")); return err },
			"Clear":      func() error { return caches[1].Clear(bg) },
			"Mutate": func() error {
				_, err := nodes[1].Mutate(bg, func(context.Context) error { return nil }, target)
				return err
			},
		}
		for name, do := range neighbours {
			_, err := nodes[0].Mutate(bg, func(context.Context) error {
				require.NoError(t, do(), name)
				for _, c := range caches {
					soon(t, "nothing is stored after "+name, func() bool { _, ok, _ := c.Get(bg, "k"); return !ok })
					for range 2 {
						mustLoad(t, c, 1)
						_, ok, err := c.Get(bg, "k")
						require.NoError(t, err)
						require.False(t, ok, name)
					}
				}
				return nil
			}, target)
			require.NoError(t, err)
			mustLoad(t, caches[0], 2)
			require.NoError(t, caches[0].Delete(bg, "k"))
		}
	})
}

func TestOfTwoMutatesThatOverlapEachKeepsItsOwnMarker(t *testing.T) {
	t.Parallel()
	forEachMarked(t, func(t *testing.T, nodes [2]*tiercache.Tiers, caches [2]*tiercache.Cache[thing], target tiercache.Target) {
		inner, endInner, innerDone := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		outer, endOuter, outerDone := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := nodes[0].Mutate(bg, func(context.Context) error { close(outer); <-endOuter; return nil }, target)
			outerDone <- err
		}()
		<-outer
		go func() {
			_, err := nodes[1].Mutate(bg, func(context.Context) error { close(inner); <-endInner; return nil }, target)
			innerDone <- err
		}()
		<-inner
		close(endOuter) // the first to begin ends first
		require.NoError(t, <-outerDone)
		for _, c := range caches {
			mustLoad(t, c, 1)
			_, ok, err := c.Get(bg, "k")
			require.NoError(t, err)
			require.False(t, ok, "one is still under way")
		}
		close(endInner)
		require.NoError(t, <-innerDone)
		mustLoad(t, caches[1], 2)
		store(t, caches[1], "k", tagged(2, "red"))
	})
}

func TestAMutateInvalidatesWhateverItsFunctionDoes(t *testing.T) {
	t.Parallel()
	broken := errors.New("no commit")
	ends := map[string]func(ctx context.Context) error{
		"nil":    func(context.Context) error { return nil },
		"error":  func(context.Context) error { return broken },
		"panic":  func(context.Context) error { panic(broken) },
		"Goexit": func(context.Context) error { runtime.Goexit(); return nil },
	}
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[thing]{Tags: thingTags})
		hear(t, tiers)
		for what, target := range marked {
			for name, end := range ends {
				store(t, cache, "k", tagged(1, "red"))
				var err error
				var panicked any
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { panicked = recover() }()
					_, err = tiers.Mutate(bg, end, target)
				})
				wg.Wait()
				_, ok, gerr := cache.Get(bg, "k")
				require.NoError(t, gerr)
				require.False(t, ok, "%s, %s", what, name)
				switch name {
				case "error":
					require.True(t, err == broken, "%v", err)
				case "panic":
					require.Equal(t, broken, panicked)
				default:
					require.NoError(t, err)
					require.Nil(t, panicked)
				}
				mustLoad(t, cache, 2)
				store(t, cache, "k", tagged(2, "red")) // no marker is left
				require.NoError(t, cache.Delete(bg, "k"))
			}
		}
		assert.Zero(t, tiers.Stats().InvalidationErrors)
	})
}

func TestAMutateThatMakesNoSenseIsAnErrorAndRunsNothing(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		fn := func(context.Context) error { t.Error("fn ran"); return nil }
		ended, cancel := context.WithCancel(bg)
		cancel()
		for what, mutate := range map[string]func(context.Context, func(context.Context) error, ...tiercache.Target) (tiercache.Report, error){
			"Mutate": tiers.Mutate, "MutateAnyway": tiers.MutateAnyway,
		} {
			_, err := mutate(bg, fn, tiercache.Key("k"), tiercache.Pattern("a*"))
			require.ErrorContains(t, err, `"a*"`, what)
			_, err = mutate(bg, fn)
			require.ErrorContains(t, err, "no targets", what)
			_, err = mutate(bg, nil, tiercache.Key("k"))
			require.ErrorContains(t, err, "no function", what)
			_, err = mutate(bg, fn, tiercache.Key(""))
			require.ErrorContains(t, err, "the key is empty", what)
			_, err = mutate(nil, fn, tiercache.Key("k")) //nolint:staticcheck // a caller's mistake
			require.ErrorContains(t, err, "nil", what)
		}
		if tiers.Health().Mode != "memory" {
			_, err := tiers.Mutate(ended, fn, tiercache.Key("k"))
			require.ErrorIs(t, err, context.Canceled)
		}
		require.NoError(t, tiers.Close())
		_, err := tiers.Mutate(bg, fn, tiercache.Key("k"))
		require.ErrorIs(t, err, tiercache.ErrClosed)
		_, err = tiers.MutateAnyway(bg, fn, tiercache.Key("k"))
		require.ErrorIs(t, err, tiercache.ErrClosed)
	})
}

func TestWithoutRedisMutateRunsNothingAndMutateAnywayQueues(t *testing.T) {
	t.Parallel()
	for name, target := range marked {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryOutage(t, func(t *testing.T, s *redistest.Server, begin func() func()) {
				cfg := hasty(client(t, s.Addr()))
				cfg.TrustAfterFailover = true
				tiers, other := open(t, cfg), open(t, cfg)
				cache := newCache(t, tiers, tiercache.Options[thing]{Tags: thingTags})
				there := newCache(t, other, tiercache.Options[thing]{Tags: thingTags})
				hear(t, tiers, other)
				store(t, cache, "k", tagged(1, "red"))
				end := begin()
				_, err := tiers.Mutate(bg, func(context.Context) error { t.Error("fn ran"); return nil }, target)
				require.ErrorIs(t, err, tiercache.ErrNotMarked)
				ran := false
				r, err := tiers.MutateAnyway(bg, func(context.Context) error { ran = true; return nil }, target)
				require.NoError(t, err)
				require.True(t, ran)
				require.True(t, r.Queued)
				mustLoad(t, cache, 2)
				end()
				eventuallySent(t, tiers)
				eventuallyConnected(t, tiers)
				eventuallyConnected(t, other)
				hear(t, tiers, other)
				for _, c := range []*tiercache.Cache[thing]{cache, there} {
					v, err := c.GetOrLoad(bg, "k", tagged(2, "red"))
					require.NoError(t, err)
					require.Equal(t, 2, v.V)
				}
			})
		})
	}
}

func TestTheContextOfAMutateEndsBeforeItsMarkerDoes(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		synctest.Wait()
		began := time.Now()
		ctx := context.WithValue(bg, contextKey{}, "trace")
		_, err := tiers.Mutate(ctx, func(ctx context.Context) error {
			end, ok := ctx.Deadline()
			assert.True(b, ok)
			assert.Equal(b, 29*time.Second, end.Sub(began))
			assert.Equal(b, "trace", ctx.Value(contextKey{}))
			if tiers.Health().Mode != "memory" {
				assert.Equal(b, 30*time.Second, b.mini.TTL("t:k"))
			}
			<-ctx.Done()
			return ctx.Err()
		}, tiercache.Key("k"), tiercache.Tag("red"))
		assert.Equal(b, context.DeadlineExceeded, err)
		assert.Equal(b, 29*time.Second, time.Since(began))

		short, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err = tiers.Mutate(short, func(ctx context.Context) error { <-ctx.Done(); return nil }, tiercache.Key("k"))
		require.NoError(b, err, "fn says that it committed")
		if tiers.Health().Mode != "memory" {
			assert.False(b, b.mini.Exists("t:k"), "the marker is gone all the same")
		}
	})
}

// mark | commit, or not | the process dies: after the marker's time loads are
// stored again
func TestAProcessThatDiesInAMutateHoldsNobodyUpForLong(t *testing.T) {
	t.Parallel()
	for name, target := range marked {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b bubble) {
				dying, tiers := b.node(), b.node()
				cache := newCache(b.T, tiers, tiercache.Options[thing]{Tags: thingTags})
				synctest.Wait()
				// What the living see of it is a marker that nobody ends.
				hang, ended := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(ended)
					_, _ = dying.Mutate(bg, func(context.Context) error { <-hang; return nil }, target)
				}()
				synctest.Wait()
				stored := func() bool {
					_, err := cache.GetOrLoad(bg, "k", tagged(1, "red"))
					require.NoError(b, err)
					_, ok, err := cache.Get(bg, "k")
					require.NoError(b, err)
					return ok
				}
				began := time.Now()
				for time.Since(began) < 30*time.Second {
					require.False(b, stored(), "after %v", time.Since(began))
					time.Sleep(time.Second)
				}
				for !stored() {
					require.Less(b, time.Since(began), 32*time.Second)
					time.Sleep(100 * time.Millisecond)
				}
				close(hang)
				<-ended
			})
		})
	}
}
