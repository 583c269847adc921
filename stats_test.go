package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

func identitiesHold(t *testing.T, s tiercache.CacheStats) {
	t.Helper()
	assert.Equal(t, s.Operations, s.Hits+s.Misses)
	assert.Equal(t, s.Hits, s.MemoryHits+s.RedisHits)
	assert.Equal(t, s.Misses, s.ColdMisses+s.ExpiredMisses+s.InvalidatedMisses+s.EvictedMisses+s.RefusedMisses)
	assert.LessOrEqual(t, s.AbsentHits, s.Hits)
	assert.LessOrEqual(t, s.LoadErrors, s.Loads)
	assert.LessOrEqual(t, s.Loads, s.Misses)
	assert.LessOrEqual(t, s.Coalesced, s.Operations)
}

func TestEveryCallIsOneOperationAndAHitOrAMiss(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		a := newCache(t, tiers, tiercache.Options[int]{Name: "a"})
		b := newCache(t, tiers, tiercache.Options[int]{Name: "b"})
		var calls, loads, failed atomic.Int64
		broken := errors.New("broken")
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(w)))
				for range 300 {
					cache, key := a, fmt.Sprint("a", r.IntN(30))
					if r.IntN(2) == 0 {
						cache, key = b, fmt.Sprint("b", r.IntN(30))
					}
					switch r.IntN(10) {
					case 0:
						assert.NoError(t, cache.Delete(bg, key))
					case 1:
						assert.NoError(t, cache.Set(bg, key, 1))
					case 2, 3:
						calls.Add(1)
						_, _, err := cache.Get(bg, key)
						assert.NoError(t, err)
					default:
						calls.Add(1)
						ctx := bg
						if r.IntN(20) == 0 { // one who gives up is a miss, or a hit of memory
							gone, cancel := context.WithCancel(bg)
							cancel()
							ctx = gone
						}
						how := r.IntN(5)
						_, err := cache.GetOrLoad(ctx, key, func(context.Context) (int, error) {
							loads.Add(1)
							switch how {
							case 0:
								failed.Add(1)
								return 0, broken
							case 1:
								return 0, tiercache.ErrNotFound
							}
							return 1, nil
						})
						if err != nil && !errors.Is(err, broken) && !errors.Is(err, tiercache.ErrNotFound) {
							assert.ErrorIs(t, err, context.Canceled)
						}
					}
				}
			})
		}
		wg.Wait()
		var s tiercache.Stats
		require.Eventually(t, func() bool { // loads whose callers have left may still end
			s = tiers.Stats()
			return s.Total.LoadErrors >= failed.Load() && s.Total.Loads >= loads.Load()
		}, 10*time.Second, time.Millisecond)
		require.Len(t, s.Caches, 2)
		assert.Equal(t, calls.Load(), s.Total.Operations)
		for _, c := range append(s.Caches, s.Total) {
			identitiesHold(t, c)
			assert.Positive(t, c.Hits)
			assert.Positive(t, c.Misses)
			assert.Positive(t, c.AverageTime)
			assert.InDelta(t, float64(c.Hits)/float64(c.Operations), c.HitRate(), 1e-12)
		}
		assert.Equal(t, s.Total.Operations, s.Caches[0].Operations+s.Caches[1].Operations)
		assert.Equal(t, s.Total.Loads, s.Caches[0].Loads+s.Caches[1].Loads)
		assert.Equal(t, a.Stats(), s.Caches[0])
		assert.Zero(t, s.Total.Errors)
		assert.Zero(t, s.Total.Rejected)
	})
}

func TestWhatIsCountedIsWhatHappened(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		tiers := b.node()
		cache := newCache(b.T, tiers, tiercache.Options[int]{MemoryTTL: time.Second, Jitter: -1})
		other := b.cache(tiercache.Options[int]{})
		load := func(context.Context) (int, error) { time.Sleep(100 * time.Millisecond); return 1, nil }

		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { _, _ = cache.GetOrLoad(bg, "k", load) })
			synctest.Wait()
		}
		wg.Wait()
		s := cache.Stats()
		assert.Equal(b, [4]int64{5, 5, 1, 4}, [4]int64{s.Operations, s.Misses, s.Loads, s.Coalesced})
		assert.Equal(b, 100*time.Millisecond, s.AverageTime)
		assert.EqualValues(b, 5, s.WaitTime.Count)
		assert.EqualValues(b, 1, s.LoadTime.Count)
		for _, l := range []tiercache.Latency{s.WaitTime, s.LoadTime} {
			assert.Equal(b, 100*time.Millisecond, l.Mean)
			assert.InEpsilon(b, 100*time.Millisecond, l.P50, 0.125)
			assert.InEpsilon(b, 100*time.Millisecond, l.P99, 0.125)
		}
		assert.Zero(b, s.MemoryTime)
		assert.Zero(b, s.RedisTime)

		_, _ = cache.GetOrLoad(bg, "k", load)
		time.Sleep(time.Second)
		_, _ = cache.GetOrLoad(bg, "k", load)
		_, _, _ = cache.Get(bg, "nothing")
		s = cache.Stats()
		assert.Equal(b, [5]int64{8, 2, 1, 1, 6}, [5]int64{s.Operations, s.Hits, s.MemoryHits, s.RedisHits, s.Misses})

		_, _ = cache.GetOrLoad(bg, "absent", func(context.Context) (int, error) { return 0, tiercache.ErrNotFound })
		_, _, _ = cache.Get(bg, "absent")
		assert.EqualValues(b, 1, cache.Stats().AbsentHits)

		_, err := cache.GetOrLoad(bg, "refused", func(ctx context.Context) (int, error) { return 1, other.Delete(ctx, "refused") })
		require.NoError(b, err)
		assert.EqualValues(b, 1, cache.Stats().FillsRefused)
		identitiesHold(b.T, cache.Stats())
		assert.Equal(b, cache.Stats(), tiers.Stats().Caches[0])
		assert.Equal(b, 0.0, tiercache.CacheStats{}.HitRate())
	})
}

func TestInvalidationsAreCountedByKind(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[int]{})
		require.NoError(t, cache.Delete(bg, "a", "b"))
		require.NoError(t, cache.Delete(bg))
		_, err := tiers.Invalidate(bg, tiercache.Key("c"), tiercache.Pattern("d*"), tiercache.Pattern("e*"))
		require.NoError(t, err)
		_, err = cache.InvalidatePattern(bg, "f*")
		require.NoError(t, err)
		require.NoError(t, cache.Clear(bg))
		s := tiers.Stats()
		assert.EqualValues(t, 3, s.KeyInvalidations)
		assert.EqualValues(t, 3, s.PatternInvalidations)
		assert.EqualValues(t, 1, s.Clears)
	})
}

func TestAReportSaysHowMuchWasRemoved(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		tiers := open(t, patient(client(t, addr)))
		fill := client(t, addr).Pipeline()
		for i := range 1500 { // more than one SCAN returns
			fill.Set(bg, fmt.Sprint("t:k", i), "x", 0)
		}
		_, err := fill.Exec(bg)
		require.NoError(t, err)
		r, err := tiers.Invalidate(bg, tiercache.Key("k0"), tiercache.Key("nothing"), tiercache.Key("k1"))
		require.NoError(t, err)
		assert.Equal(t, tiercache.Report{Keys: 2}, r)
		r, err = tiers.Invalidate(bg, tiercache.Pattern("k1*"), tiercache.Key("k2"))
		require.NoError(t, err)
		assert.Equal(t, tiercache.Report{Keys: 10 + 100 + 500 + 1}, r) // k10–, k100–, k1000–k1499, k2
	})
}

// records keeps what is logged.
type records struct {
	slog.Handler
	mu  sync.Mutex
	all []slog.Record
}

func (h *records) Enabled(context.Context, slog.Level) bool { return true }
func (h *records) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, r)
	return nil
}

func TestASummaryIsLoggedEverySoManyOperations(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		log := &records{}
		cfg := config()
		cfg.SummaryEvery, cfg.Logger = 50, slog.New(log)
		tiers := open(t, cfg)
		a := newCache(t, tiers, tiercache.Options[int]{Name: "a"})
		b := newCache(t, tiers, tiercache.Options[int]{Name: "b"})
		for i := range 101 {
			_, err := a.GetOrLoad(bg, fmt.Sprint("k", i%10), value(1))
			require.NoError(t, err)
			if i%2 == 0 {
				_, _, err = b.Get(bg, "nothing")
				require.NoError(t, err)
			}
		}
		require.NoError(t, tiers.Close())
		var summaries []map[string]any
		for _, r := range log.all {
			if r.Message != "tiercache: summary" {
				continue
			}
			attrs := make(map[string]any)
			r.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value.Any(); return true })
			summaries = append(summaries, attrs)
		}
		require.Len(t, summaries, 3)
		for i, s := range summaries {
			assert.EqualValues(t, 50*(i+1), s["operations"])
		}
		assert.EqualValues(t, 10, summaries[2]["loads"])
		assert.InDelta(t, 60, summaries[2]["hitRate"], 1, "150 operations, of which 50 of b and 10 of a missed")
	})
}

// FillsRefused: "loaded, and not stored: invalidated meanwhile"; in memory alone it stays 0
func TestARefusedFillIsCountedOnEveryTier(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "k", func(ctx context.Context) (int, error) { return 1, cache.Delete(ctx, "k") })
		require.NoError(t, err)
		assert.EqualValues(t, 1, cache.Stats().FillsRefused)
	})
}
