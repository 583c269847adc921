package advice

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachetest"
)

// inFakeTime gives a workload a cache in memory, whose values live for ten seconds.
func inFakeTime(t *testing.T, work func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int])) (s tiercache.Stats) {
	synctest.Test(t, func(t *testing.T) {
		tiers := inMemory(t, tiercache.Config{})
		cache := newCache(t, tiers, tiercache.Options[int]{TTL: 10 * time.Second})
		s = during(tiers, func() { work(t, tiers, cache) })
	})
	return s
}

// rounds of reading the same 20 keys, so far apart.
func rounds(n int, apart time.Duration) func(*testing.T, *tiercache.Tiers, *tiercache.Cache[int]) {
	return func(t *testing.T, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
		for range n {
			for k := range 20 {
				read(t, cache, fmt.Sprint("user:", k), k)
			}
			time.Sleep(apart)
		}
	}
}

func TestATTLIsTooShortIfItEndsBetweenTwoReads(t *testing.T) {
	t.Parallel()
	s := inFakeTime(t, rounds(20, 11*time.Second))
	assert.Equal(t, []string{"short-ttl"}, named(s))
	says(t, s, "short-ttl", `The hit rate of cache "users" is 0 %: 380 of 400 misses were of values past their TTL.`)

	s = inFakeTime(t, rounds(20, time.Second))
	assert.Equal(t, []string{"ok"}, named(s), "a miss in ten seconds, hits in the others")
	says(t, s, "ok", "All is well: 90 % of 400 operations in 20 s were hits, 90 % from memory and 0 % from Redis. 40 loads were run.")
}

func TestKeysThatNeverComeAgainAreTooSpecific(t *testing.T) {
	t.Parallel()
	search := func(same int) func(*testing.T, *tiercache.Tiers, *tiercache.Cache[int]) {
		return func(t *testing.T, _ *tiercache.Tiers, cache *tiercache.Cache[int]) {
			for n := range 300 {
				read(t, cache, fmt.Sprint("inquiries:until=", n/same), n)
			}
		}
	}
	s := inFakeTime(t, search(1))
	assert.Equal(t, []string{"specific-keys"}, named(s))
	says(t, s, "specific-keys", "300 of 300 misses were of keys never asked for before, and there were 0 hits")

	s = inFakeTime(t, search(3))
	assert.Equal(t, []string{"cold-keys"}, named(s), "each comes again, and not often")
	says(t, s, "cold-keys", `The hit rate of cache "users" is 67 %: 100 of 100 misses were of keys never asked for before.`)

	assert.Equal(t, []string{"ok"}, named(inFakeTime(t, search(10))))
}

func TestInvalidationsAreTooWideIfWhatTheyVoidIsReadNext(t *testing.T) {
	t.Parallel()
	writes := func(target func(n int) tiercache.Target) func(*testing.T, *tiercache.Tiers, *tiercache.Cache[int]) {
		return func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
			for n := range 20 {
				for k := range 20 {
					read(t, cache, fmt.Sprint("user:", k), k)
				}
				_, err := tiers.Invalidate(bg, target(n))
				require.NoError(t, err)
			}
		}
	}
	s := inFakeTime(t, writes(func(int) tiercache.Target { return tiercache.Pattern("user:*") }))
	assert.Equal(t, []string{"wide-invalidation"}, named(s), "in memory alone a pattern scans nothing")
	says(t, s, "wide-invalidation", "380 of 400 misses were of values that had been invalidated; this process invalidated 20 patterns.")

	assert.Equal(t, []string{"ok"}, named(inFakeTime(t, writes(func(n int) tiercache.Target {
		return tiercache.Key(fmt.Sprint("user:", n))
	}))))
}

func TestInvalidationsAreTooWideIfTheyRefuseWhatIsBeingLoaded(t *testing.T) {
	t.Parallel()
	for name, tiers := range map[string]*tiercache.Tiers{"memory": inMemory(t, tiercache.Config{}), "redis": cachetest.Open(t)} {
		cache := newCache(t, tiers, tiercache.Options[int]{})
		work := func(voids int) func() {
			return func() {
				for n := range 100 {
					key := fmt.Sprint("user:", n)
					for range 10 {
						_, err := cache.GetOrLoad(bg, key, func(ctx context.Context) (int, error) {
							if n < voids {
								voids-- // each once
								return 1, cache.Delete(ctx, key)
							}
							return 1, nil
						})
						require.NoError(t, err)
					}
				}
				cache.Clear(bg)
			}
		}
		says(t, during(tiers, work(100)), "wide-invalidation", `of cache "users" were not stored, since a write came meanwhile; this process invalidated`)
		assert.NotContains(t, named(during(tiers, work(0))), "wide-invalidation", name)
	}
}

func TestMissesOfManyCausesAreToldApart(t *testing.T) {
	t.Parallel()
	s := inFakeTime(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		for n := range 20 {
			for k := range 10 {
				read(t, cache, fmt.Sprint("old:", k), k)
				read(t, cache, fmt.Sprint("written:", k), k)
				_, err := tiers.Invalidate(bg, tiercache.Key(fmt.Sprint("written:", k)))
				require.NoError(t, err)
				read(t, cache, fmt.Sprint("written:", k), k)
				read(t, cache, fmt.Sprint("new:", n, ":", k), k)
				read(t, cache, fmt.Sprint("new:", n, ":", k), k)
			}
			time.Sleep(11 * time.Second)
		}
	})
	assert.Equal(t, []string{"mixed-misses"}, named(s))
	c := s.Caches[0]
	assert.EqualValues(t, 800, c.ColdMisses+c.ExpiredMisses+c.InvalidatedMisses)
	// What is remembered of a key gives way to what is of another, in one of 260,000 cases.
	assert.LessOrEqual(t, c.ColdMisses-220, int64(3))
	assert.GreaterOrEqual(t, c.ColdMisses, int64(220))
	assert.GreaterOrEqual(t, c.InvalidatedMisses, int64(197))
	says(t, s, "mixed-misses", fmt.Sprintf(`The hit rate of cache "users" is 20 %%: 800 misses in 1,000 operations, of keys %d never asked for before, %d past their TTL and %d invalidated.`, c.ColdMisses, c.ExpiredMisses, c.InvalidatedMisses))

	s = inFakeTime(t, rounds(20, 11*time.Second))
	assert.NotContains(t, named(s), "mixed-misses", "they have one cause")
}

func TestMemoryIsTooSmallIfWhatItHadNoRoomForIsAskedForAgain(t *testing.T) {
	t.Parallel()
	const small, large = 64 << 10, 64 << 20
	tiers := map[string]func(bytes int64) *tiercache.Tiers{
		"memory": func(bytes int64) *tiercache.Tiers { return inMemory(t, tiercache.Config{MemoryBytes: bytes}) },
		"redis": func(bytes int64) *tiercache.Tiers {
			tiers := cachetest.Open(t, func(c *tiercache.Config) { c.MemoryBytes = bytes })
			hears(t, tiers)
			return tiers
		},
	}
	for name, open := range tiers {
		t.Run(name, func(t *testing.T) {
			page := string(make([]byte, 1<<10))
			work := func(bytes int64) tiercache.Stats {
				tiers := open(bytes)
				cache := newCache(t, tiers, tiercache.Options[string]{})
				return during(tiers, func() {
					for range 6 {
						for k := range 200 {
							read(t, cache, fmt.Sprint("page:", k), page)
						}
						eventually(t, "what has no room is gone", func() bool { return tiers.Stats().MemoryBytes <= bytes })
					}
				})
			}
			s := work(small)
			says(t, s, "small-memory", ` of 1,200 operations of cache "users" found nothing there and something in Redis, or loaded it again.`)
			assert.NotContains(t, named(s), "mixed-misses")
			assert.Equal(t, []string{"ok"}, named(work(large)))
		})
	}
}
