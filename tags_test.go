package tiercache_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// thing has its tags with it.
type thing struct {
	V    int
	Tags []string
}

func tagged(v int, tags ...string) func(context.Context) (thing, error) {
	return value(thing{v, tags})
}

func thingTags(t thing) []string { return t.Tags }

func void(t *testing.T, tiers *tiercache.Tiers, tags ...string) {
	t.Helper()
	var targets []tiercache.Target
	for _, tag := range tags {
		targets = append(targets, tiercache.Tag(tag))
	}
	r, err := tiers.Invalidate(bg, targets...)
	require.NoError(t, err)
	require.False(t, r.Queued)
}

// store loads until the value is stored: the first load after an invalidation may
// have read the clock before it.
func store[T any](t *testing.T, c *tiercache.Cache[T], key string, load func(context.Context) (T, error), opts ...tiercache.CallOption) {
	t.Helper()
	soon(t, "stored", func() bool {
		_, err := c.GetOrLoad(bg, key, load, opts...)
		require.NoError(t, err)
		_, ok, err := c.Get(bg, key)
		require.NoError(t, err)
		return ok
	})
}

func TestATagVoidsEveryValueThatHasItAndNoOther(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		things := newCache(t, tiers, tiercache.Options[thing]{Name: "things", Tags: thingTags})
		plain := newCache(t, tiers, tiercache.Options[int]{Name: "plain"})
		hear(t, tiers)
		for range 3 {
			store(t, things, "a", tagged(1, "red", "big"))
			store(t, things, "b", tagged(1, "big", "red", "big"))
			store(t, things, "c", tagged(1, "blue"))
			store(t, things, "d", tagged(1), tiercache.WithTags("red"))
			store(t, plain, "e", value(1), tiercache.WithTags("red", "blue"))
			store(t, plain, "f", value(1))
			require.NoError(t, things.Set(bg, "g", thing{1, []string{"red"}}))
			require.NoError(t, things.Set(bg, "h", thing{V: 1}, tiercache.WithTags("red")))
			require.NoError(t, things.Set(bg, "i", thing{V: 1}))

			void(t, tiers, "red")

			for _, gone := range []string{"a", "b", "d", "g", "h"} {
				_, ok, err := things.Get(bg, gone)
				require.NoError(t, err)
				require.False(t, ok, gone)
			}
			_, ok, err := plain.Get(bg, "e")
			require.NoError(t, err)
			require.False(t, ok)
			for _, left := range []string{"c", "i"} {
				_, ok, err := things.Get(bg, left)
				require.NoError(t, err)
				require.True(t, ok, left)
			}
			_, ok, err = plain.Get(bg, "f")
			require.NoError(t, err)
			require.True(t, ok)
		}
		assert.EqualValues(t, 3, tiers.Stats().TagInvalidations)
	})
}

func TestATagReachesCachesOnOtherNodes(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		var nodes [2]*tiercache.Tiers
		var things [2]*tiercache.Cache[thing]
		var plain [2]*tiercache.Cache[int]
		for i := range nodes {
			nodes[i] = open(t, patient(client(t, addr)))
			things[i] = newCache(t, nodes[i], tiercache.Options[thing]{Name: "things", Tags: thingTags})
			plain[i] = newCache(t, nodes[i], tiercache.Options[int]{Name: "plain"})
		}
		hear(t, nodes[:]...)
		for round := range 6 {
			store(t, things[0], "a", tagged(round, "red"))
			store(t, plain[1], "b", value(round), tiercache.WithTags("red"))
			for i := range nodes {
				require.Equal(t, round, inMemory(t, things[i], "a").V)
				require.Equal(t, round, inMemory(t, plain[i], "b"))
			}
			void(t, nodes[round%2], "red")
			mine, other := round%2, 1-round%2
			_, ok, err := things[mine].Get(bg, "a")
			require.NoError(t, err)
			require.False(t, ok)
			_, ok, err = plain[mine].Get(bg, "b")
			require.NoError(t, err)
			require.False(t, ok)
			soon(t, "the other node's memory", func() bool {
				_, ok1, err1 := things[other].Get(bg, "a")
				_, ok2, err2 := plain[other].Get(bg, "b")
				require.NoError(t, err1)
				require.NoError(t, err2)
				return !ok1 && !ok2
			})
		}
	})
}

// load begins | the tag is invalidated, here or elsewhere, returns | the load ends:
// returned, not stored
func TestALoadThatBeganBeforeItsTagWasInvalidatedIsNotStored(t *testing.T) {
	t.Parallel()
	how := map[string]struct {
		tags []string
		call []tiercache.CallOption
	}{
		"Options.Tags": {[]string{"red"}, nil},
		"WithTags":     {nil, []tiercache.CallOption{tiercache.WithTags("red")}},
		"both":         {[]string{"blue"}, []tiercache.CallOption{tiercache.WithTags("red")}},
		"both, red":    {[]string{"red"}, []tiercache.CallOption{tiercache.WithTags("blue")}},
	}
	onEveryRedis(t, func(t *testing.T, addr string) {
		var nodes [2]*tiercache.Tiers
		var caches [2]*tiercache.Cache[thing]
		for i := range nodes {
			nodes[i] = open(t, patient(client(t, addr)))
			caches[i] = newCache(t, nodes[i], tiercache.Options[thing]{Tags: thingTags})
		}
		hear(t, nodes[:]...)
		for name, h := range how {
			for who, node := range nodes {
				for _, known := range []bool{true, false} {
					what := fmt.Sprintf("%s, by node %d, the tag known: %v", name, who, known)
					key := strings.ReplaceAll(what, " ", "")
					if known {
						store(t, caches[0], key, tagged(0, h.tags...), h.call...)
						require.NoError(t, caches[0].Delete(bg, key))
					}
					got, err := caches[0].GetOrLoad(bg, key, func(ctx context.Context) (thing, error) {
						_, err := node.Invalidate(ctx, tiercache.Tag("red"))
						return thing{1, h.tags}, err
					}, h.call...)
					require.NoError(t, err)
					require.Equal(t, 1, got.V, what)
					for i, c := range caches {
						gone := func() bool {
							_, ok, err := c.Get(bg, key)
							require.NoError(t, err)
							return !ok
						}
						if i == who {
							require.True(t, gone(), "%s: node %d has it", what, i)
						}
						soon(t, "within the bound", gone)
					}
				}
			}
		}
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		tiers := open(t, tiercache.Config{})
		cache := newCache(t, tiers, tiercache.Options[thing]{Tags: thingTags})
		for name, h := range how {
			got, err := cache.GetOrLoad(bg, name, func(ctx context.Context) (thing, error) {
				_, err := tiers.Invalidate(ctx, tiercache.Tag("red"))
				return thing{1, h.tags}, err
			}, h.call...)
			require.NoError(t, err)
			require.Equal(t, 1, got.V, name)
			_, ok, err := cache.Get(bg, name)
			require.NoError(t, err)
			require.False(t, ok, name)
		}
	})
}

// leader loads old | the tag is invalidated, returns | a caller joins | leader: old
func TestAJoinerThatCameAfterATagsInvalidationDoesNotGetTheOlderLoad(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"Options.Tags", "WithTags"} {
		for _, by := range []string{"itself", "another node"} {
			t.Run(call+", by "+by, func(t *testing.T) {
				t.Parallel()
				inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
					voider := tiers
					if by == "another node" {
						if tiers.Health().Mode == "memory" {
							return // there is no other
						}
						voider = b.node()
					}
					cache := newCache(b.T, tiers, tiercache.Options[thing]{Tags: thingTags})
					opts, tags := []tiercache.CallOption(nil), []string{"red"}
					if call == "WithTags" {
						opts, tags = []tiercache.CallOption{tiercache.WithTags("red")}, nil
					}
					synctest.Wait()
					goOn, led, joined := make(chan struct{}), make(chan int, 1), make(chan int, 1)
					go func() {
						v, err := cache.GetOrLoad(bg, "k", func(context.Context) (thing, error) { <-goOn; return thing{1, tags}, nil }, opts...)
						assert.NoError(b, err)
						led <- v.V
					}()
					synctest.Wait()
					void(b.T, voider, "red")
					time.Sleep(2 * time.Second) // longer than the bound
					go func() {
						v, err := cache.GetOrLoad(bg, "k", tagged(2, tags...), opts...)
						assert.NoError(b, err)
						joined <- v.V
					}()
					synctest.Wait()
					close(goOn)
					assert.Equal(b, 1, <-led)
					assert.Equal(b, 2, <-joined)
				})
			})
		}
	}
}

func TestWhatIsAbsentHasTheTagsOfItsCallOnly(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		asked := 0
		cache := newCache(t, tiers, tiercache.Options[thing]{Tags: func(thing) []string { asked++; return []string{"blue"} }})
		hear(t, tiers)
		none := func(context.Context) (thing, error) { return thing{}, tiercache.ErrNotFound }
		known := func() bool { // that there is none
			before := cache.Stats().AbsentHits
			_, ok, err := cache.Get(bg, "k")
			require.NoError(t, err)
			require.False(t, ok)
			return cache.Stats().AbsentHits > before
		}
		_, err := cache.GetOrLoad(bg, "k", none, tiercache.WithTags("red"))
		require.ErrorIs(t, err, tiercache.ErrNotFound)
		assert.Zero(t, asked, "there is no value to ask")
		require.True(t, known())
		void(t, tiers, "blue")
		require.True(t, known())
		void(t, tiers, "red")
		require.False(t, known())
	})
}

func TestATagThatMayNotBeIsAnErrorThatNamesIt(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[thing]{Tags: thingTags})
		for tag, why := range map[string]string{
			"":                        "a tag is empty",
			"caf\xe9":                 `"caf\xe9" is not valid UTF-8`,
			strings.Repeat("x", 9999): "has 9999 bytes",
		} {
			uses := map[string]func() error{
				"Invalidate": func() error { _, err := tiers.Invalidate(bg, tiercache.Tag("good"), tiercache.Tag(tag)); return err },
				"Expire":     func() error { _, err := tiers.Expire(bg, tiercache.Tag(tag)); return err },
				"Mutate": func() error {
					_, err := tiers.Mutate(bg, func(context.Context) error { t.Error("fn ran"); return nil }, tiercache.Tag(tag))
					return err
				},
				"WithTags": func() error {
					_, err := cache.GetOrLoad(bg, "k", unwanted[thing](t), tiercache.WithTags("good", tag))
					return err
				},
				"Set, WithTags": func() error { return cache.Set(bg, "k", thing{}, tiercache.WithTags(tag)) },
				"Set":           func() error { return cache.Set(bg, "k", thing{Tags: []string{tag}}) },
			}
			for name, use := range uses {
				err := use()
				if assert.ErrorContains(t, err, why, name) {
					assert.ErrorContains(t, err, "tiercache: ", name)
				}
			}
			v, err := cache.GetOrLoad(bg, "computed", tagged(7, tag))
			require.NoError(t, err, "its caller gets the value")
			require.Equal(t, 7, v.V)
			_, ok, err := cache.Get(bg, "computed")
			require.NoError(t, err)
			require.False(t, ok, "but nobody could void it")
		}
		assert.Zero(t, tiers.Stats().TagInvalidations, "a bad target, and nothing is done")
	})
}

func TestTagsThatLookLikeOtherThingsAreTags(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[int]{})
		hear(t, tiers)
		odd := []string{"clock", "seq", "all", "c:things", "t:x", "{0}all", "{", "}", "*", "ünïcode", "a b\nc", "~", "things", strings.Repeat("x", 200)}
		for i, tag := range odd {
			store(t, cache, strconv.Itoa(i), value(i), tiercache.WithTags(tag))
		}
		for i, tag := range odd {
			void(t, tiers, tag)
			_, ok, err := cache.Get(bg, strconv.Itoa(i))
			require.NoError(t, err)
			require.False(t, ok, "%q", tag)
			for j := i + 1; j < len(odd); j++ {
				_, ok, err := cache.Get(bg, strconv.Itoa(j))
				require.NoError(t, err)
				require.True(t, ok, "%q took %q along", tag, odd[j])
			}
		}
	})
}

// stored under a tag | Redis dies | the tag is invalidated: queued | Redis is back,
// with the value: it counts nowhere
func TestATagInvalidatedInAnOutageIsVoidHereAtOnceAndEverywhereAfter(t *testing.T) {
	t.Parallel()
	inEveryOutage(t, func(t *testing.T, s *redistest.Server, begin func() func()) {
		var nodes [2]*tiercache.Tiers
		var caches [2]*tiercache.Cache[thing]
		for i := range nodes {
			cfg := hasty(client(t, s.Addr()))
			cfg.TrustAfterFailover = true // or nothing of before would count anyway
			nodes[i] = open(t, cfg)
			caches[i] = newCache(t, nodes[i], tiercache.Options[thing]{Tags: thingTags})
		}
		hear(t, nodes[:]...)
		store(t, caches[0], "k", tagged(1, "red"))
		store(t, caches[0], "with", tagged(1), tiercache.WithTags("red"))
		inMemory(t, caches[0], "k")
		inMemory(t, caches[1], "k")
		end := begin()
		r, err := nodes[0].Invalidate(bg, tiercache.Tag("red"))
		require.NoError(t, err)
		require.True(t, r.Queued)
		require.Equal(t, 1, nodes[0].Health().Queued)
		for _, key := range []string{"k", "with"} {
			v, err := caches[0].GetOrLoad(bg, key, tagged(2, "red"))
			require.NoError(t, err)
			require.Equal(t, 2, v.V, key)
		}
		end()
		deadline := time.Now().Add(long)
		for nodes[0].Health().Queued > 0 || !nodes[0].Health().Connected || !nodes[1].Health().Connected {
			for _, key := range []string{"k", "with"} {
				v, err := caches[0].GetOrLoad(bg, key, tagged(2, "red"))
				require.NoError(t, err)
				require.Equal(t, 2, v.V, "%s, while it is queued", key)
			}
			require.True(t, time.Now().Before(deadline))
		}
		hear(t, nodes[:]...)
		for _, key := range []string{"k", "with"} {
			for i, c := range caches {
				v, err := c.GetOrLoad(bg, key, tagged(2, "red"))
				require.NoError(t, err)
				require.Equal(t, 2, v.V, "%s, node %d", key, i)
			}
		}
	})
}
