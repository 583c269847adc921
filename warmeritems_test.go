package tiercache_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// What one run of a job does with its keys.

func TestAJobLoadsAsManyAtOnceAsItsConcurrencyAndNoMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ concurrency, most int }{"default": {0, 4}, "two": {2, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
				var mu sync.Mutex // guards running and most
				running, most := 0, 0
				count := func(n int) {
					mu.Lock()
					defer mu.Unlock()
					running += n
					most = max(most, running)
				}
				w, _ := runJobs(t, tiers, cache.WarmEach(tiercache.Job{Name: "j", Concurrency: c.concurrency}, these(manyKeys(0, 40)...),
					func(context.Context, string) (int, error) {
						count(1)
						defer count(-1)
						time.Sleep(time.Second)
						return 1, nil
					}))
				require.NoError(t, w.Trigger(bg, "j"))
				assert.Equal(t, c.most, most)
				assert.Equal(t, 40, w.Status()[0].Done)
			})
		})
	}
}

func TestAJobLoadsNoFasterThanItsRate(t *testing.T) {
	t.Parallel()
	inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		job := tiercache.Job{Name: "each", Every: -1, Rate: 10}
		many := job
		many.Name, many.Batch = "many", 20
		var loads numbers
		w, _ := runJobs(t, tiers, cache.WarmEach(job, these(manyKeys(0, 101)...), each(1)),
			cache.WarmMany(many, these(manyKeys(0, 101)...), loads.load))
		for _, name := range []string{"each", "many"} {
			began := time.Now()
			require.NoError(t, w.Trigger(bg, name))
			assert.Equal(t, 10*time.Second, time.Since(began).Round(time.Millisecond), name)
		}
		assert.Len(t, loads.calls, 6)
	})
}

// tries notes when each try of a key begins, and fails as often as it is told to.
type tries struct {
	mu    sync.Mutex // guards at
	at    map[string][]time.Time
	fails map[string]int
	how   func() error
}

func (l *tries) load(_ context.Context, key string) (int, error) {
	l.mu.Lock()
	l.at[key] = append(l.at[key], time.Now())
	n := len(l.at[key])
	l.mu.Unlock()
	if n <= l.fails[key] {
		return 0, l.how()
	}
	return n, nil
}

func (l *tries) loadMany(ctx context.Context, keys []string) (map[string]int, error) {
	values, failed := make(map[string]int), tiercache.KeyErrors{}
	for _, k := range keys {
		if v, err := l.load(ctx, k); err != nil {
			failed[k] = err
		} else {
			values[k] = v
		}
	}
	return values, failed
}

// failures are the ways in which a loader fails.
var failures = map[string]func() error{
	"error":  func() error { return errSource },
	"panic":  func() error { panic(errSource) },
	"goexit": func() error { runtime.Goexit(); return nil },
}

func TestAKeyThatFailsIsTriedAgainAfterAPauseThatDoubles(t *testing.T) {
	t.Parallel()
	for name, how := range failures {
		for _, many := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " of many"}[many], func(t *testing.T) {
				t.Parallel()
				inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
					l := &tries{at: make(map[string][]time.Time), fails: map[string]int{"k:1": 3}, how: how}
					job := cache.WarmEach(tiercache.Job{Name: "j"}, these("k:1"), l.load)
					if many {
						job = cache.WarmMany(tiercache.Job{Name: "j"}, these("k:1"), l.loadMany)
					}
					w, _ := runJobs(t, tiers, job)
					require.NoError(t, w.Trigger(bg, "j"))
					at := l.at["k:1"]
					require.Len(t, at, 4)
					for i := range 3 {
						pause := 250 * time.Millisecond << i
						assert.InDelta(t, pause, at[i+1].Sub(at[i]), float64(pause)/2)
					}
					s := w.Status()[0]
					assert.Equal(t, []int{1, 1, 0}, []int{s.Total, s.Done, s.Failed})
					require.NoError(t, s.Err)
				})
			})
		}
	}
}

func TestAKeyThatFailsForGoodDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	for name, how := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
				cache := newCache(b.T, tiers, tiercache.Options[int]{KeyPrefix: "k"})
				l := &tries{at: make(map[string][]time.Time), fails: map[string]int{"k3": 1000, "k7": 1000}, how: how}
				keys := append(manyKeys(0, 10), "foreign", "k1") // a bad key, and one twice
				w, _ := runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j", Concurrency: 1}, these(keys...), l.load))
				err := w.Trigger(bg, "j")
				require.ErrorContains(b, err, "3 of 11 keys failed")
				s := w.Status()[0]
				assert.Equal(b, []int{11, 8, 3}, []int{s.Total, s.Done, s.Failed})
				assert.Len(b, l.at["k3"], 4)
				assert.Len(b, l.at["k1"], 1)
				assert.Empty(b, l.at["foreign"])
				found, err := cache.GetMany(bg, manyKeys(0, 10))
				require.NoError(b, err)
				assert.Len(b, found, 8)
			})
		})
	}
}

func TestOneBadKeyDoesNotFailItsBatch(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		l := &tries{at: make(map[string][]time.Time), fails: map[string]int{"k3": 1000}, how: failures["error"]}
		w, _ := runJobs(b.T, tiers, cache.WarmMany(tiercache.Job{Name: "j"}, these(append(manyKeys(0, 10), "", "~x")...), l.loadMany))
		require.ErrorIs(b, w.Trigger(bg, "j"), errSource)
		s := w.Status()[0]
		assert.Equal(b, []int{12, 9, 3}, []int{s.Total, s.Done, s.Failed})
		assert.Len(b, l.at["k3"], 4)
		assert.Len(b, l.at["k4"], 1)
	})
}

func TestKeysThatCannotBeHadAreAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, how := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
				var asked atomic.Int64
				keys := func(context.Context) ([]string, error) {
					if asked.Add(1)%4 != 0 {
						return nil, how()
					}
					return []string{"k:1"}, nil
				}
				w, _ := runJobs(t, tiers, cache.WarmEach(tiercache.Job{Name: "patient"}, keys, each(1)),
					cache.WarmEach(tiercache.Job{Name: "hasty", Retries: -1}, keys, each(1)))
				require.NoError(t, w.Trigger(bg, "patient"))
				assert.Equal(t, 1, w.Status()[0].Done)
				err := w.Trigger(bg, "hasty")
				require.ErrorContains(t, err, `job "hasty": no keys`)
				assert.Equal(t, err, w.Status()[1].Err)
			})
		})
	}
}

func TestStatusTellsHowFarAJobIsAndHowLongItTakesYet(t *testing.T) {
	t.Parallel()
	inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		l := &tries{at: make(map[string][]time.Time), fails: map[string]int{"k1": 1}, how: failures["error"]}
		w, _ := runJobs(t, tiers, cache.WarmEach(tiercache.Job{Name: "j", Concurrency: 1, Retries: -1, AtStart: true}, these(manyKeys(0, 10)...),
			func(ctx context.Context, key string) (int, error) { time.Sleep(time.Second); return l.load(ctx, key) }))
		began := time.Now()
		synctest.Wait()
		s := w.Status()[0]
		assert.True(t, s.Running)
		assert.Equal(t, 10, s.Total)
		assert.Zero(t, s.ETA, "not known")
		time.Sleep(4*time.Second + 400*time.Millisecond)
		s = w.Status()[0]
		assert.Equal(t, []int{10, 3, 1}, []int{s.Total, s.Done, s.Failed})
		assert.InDelta(t, 6600*time.Millisecond, s.ETA, float64(10*time.Millisecond))
		assert.Equal(t, began, s.Started)
		assert.Zero(t, s.Ended)
		time.Sleep(6 * time.Second)
		s = w.Status()[0]
		assert.False(t, s.Running)
		assert.Zero(t, s.ETA)
		assert.Equal(t, []int{10, 9, 1}, []int{s.Total, s.Done, s.Failed})
		assert.Equal(t, began.Add(10*time.Second), s.Ended)
		require.ErrorIs(t, s.Err, errSource)
		assert.True(t, s.Next.After(s.Ended))
	})
}

// job: loads old | somebody invalidates, returns | (unfenced) job: stores old
func TestWhatAJobLoadedBeforeAnInvalidationIsNotStored(t *testing.T) {
	t.Parallel()
	invalidatedMeanwhile(t, -1, func(b bubble, cache *tiercache.Cache[int], w *tiercache.Warmer, err error) {
		require.ErrorContains(b, err, "1 of 1 keys failed")
		require.ErrorContains(b, err, "not stored")
		assert.Equal(b, 1, w.Status()[0].Failed)
		_, ok, err := cache.Get(bg, "k:1")
		require.NoError(b, err)
		assert.False(b, ok)
	})
}

func TestWhatAJobLoadedAndDidNotStoreIsLoadedAgain(t *testing.T) {
	t.Parallel()
	invalidatedMeanwhile(t, 1, func(b bubble, cache *tiercache.Cache[int], w *tiercache.Warmer, err error) {
		require.NoError(b, err)
		assert.Equal(b, 1, w.Status()[0].Done)
		is, ok, err := cache.Get(bg, "k:1")
		require.NoError(b, err)
		assert.True(b, ok)
		assert.Equal(b, 3, is, "what the source has after the invalidation")
	})
}

// invalidatedMeanwhile runs a job whose first load is overtaken by an invalidation: it
// gives 2, and the next 3.
func invalidatedMeanwhile(t *testing.T, retries int, then func(bubble, *tiercache.Cache[int], *tiercache.Warmer, error)) {
	t.Helper()
	for name, inv := range invalidations {
		for _, many := range []bool{false, true} {
			for _, standing := range []bool{false, true} {
				t.Run(name+map[bool]string{true: ", of many"}[many]+map[bool]string{true: ", over a value"}[standing], func(t *testing.T) {
					t.Parallel()
					inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
						cache := newCache(b.T, tiers, tiercache.Options[int]{})
						if standing {
							require.NoError(b, cache.Set(bg, "k:1", 1))
						}
						begun, goOn := make(chan struct{}), make(chan struct{})
						value := 1
						load := func(context.Context, string) (int, error) {
							if value++; value == 2 {
								close(begun)
								<-goOn
							}
							return value, nil
						}
						job := tiercache.Job{Name: "j", Retries: retries}
						if many {
							job = cache.WarmMany(job, these("k:1"), func(ctx context.Context, _ []string) (map[string]int, error) {
								v, err := load(ctx, "k:1")
								return map[string]int{"k:1": v}, err
							})
						} else {
							job = cache.WarmEach(job, these("k:1"), load)
						}
						w, _ := runJobs(b.T, tiers, job)
						ended := make(chan error, 1)
						go func() { ended <- w.Trigger(bg, "j") }()
						<-begun
						require.NoError(b, inv(tiers))
						close(goOn)
						then(b, cache, w, <-ended)
					})
				})
			}
		}
	}
}

func TestAJobReplacesWhatThereIsAndIsNoReader(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		var runs atomic.Int64
		load := func(_ context.Context, keys []string) (map[string]int, error) {
			n := int(runs.Add(1))
			assert.NotContains(b, keys, "")
			return map[string]int{"k1": n, "k2": n}, nil
		}
		w, _ := runJobs(b.T, tiers,
			cache.WarmMany(tiercache.Job{Name: "many"}, these("k0", "k1", "k2"), load, tiercache.WithTags("t")),
			cache.WarmEach(tiercache.Job{Name: "each"}, these("k0"), func(context.Context, string) (int, error) { return 0, tiercache.ErrNotFound }))
		require.NoError(b, w.Trigger(bg, "many"))
		require.NoError(b, w.Trigger(bg, "many"))
		require.NoError(b, w.Trigger(bg, "each"))
		assert.EqualValues(b, 2, runs.Load())
		assert.Equal(b, 1, w.Status()[1].Done, "what does not exist has not failed")
		assert.Zero(b, cache.Stats().Operations)
		found, err := cache.GetMany(bg, []string{"k0", "k1", "k2"})
		require.NoError(b, err)
		assert.Equal(b, map[string]int{"k1": 2, "k2": 2}, found)
		_, err = cache.GetOrLoad(bg, "k0", unwanted[int](b.T))
		require.ErrorIs(b, err, tiercache.ErrNotFound)
		_, err = tiers.Invalidate(bg, tiercache.Tag("t"))
		require.NoError(b, err)
		found, err = cache.GetMany(bg, []string{"k1", "k2"})
		require.NoError(b, err)
		assert.Empty(b, found)
	})
}

func TestAJobThatMeetsAReadersLoadIsNoOperationThatJoinsIt(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		w, _ := runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j"}, these("k:1"), each(2)))
		begun, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) {
				close(begun)
				time.Sleep(time.Second)
				return 1, nil
			})
			ended <- err
		}()
		<-begun
		require.NoError(b, w.Trigger(bg, "j"))
		require.NoError(b, <-ended)
		s := cache.Stats()
		assert.EqualValues(b, 1, s.Operations)
		assert.EqualValues(b, 1, s.Warmed)
		assert.Zero(b, s.Coalesced)
	})
}

func TestAJobThatNobodyReadsFromStopsUntilSomebodyDoes(t *testing.T) {
	t.Parallel()
	inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		hourly := schedule(func(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) })
		var at, beside []time.Duration
		w, stop := runJobs(t, tiers,
			cache.WarmEach(tiercache.Job{Name: "j", Schedule: hourly, StopAfterIdle: 150 * time.Minute}, starts(&at, "k:1"), each(1)),
			cache.WarmEach(tiercache.Job{Name: "other", Schedule: hourly}, starts(&beside, "k:1"), each(1)))
		time.Sleep(90 * time.Minute)
		_, err := cache.GetOrLoad(bg, "k:1", unwanted[int](t))
		require.NoError(t, err)
		time.Sleep(5 * time.Hour) // at 6:30
		assert.True(t, w.Status()[0].Idle)
		assert.False(t, w.Status()[1].Idle)
		require.NoError(t, w.Trigger(bg, "j"))
		time.Sleep(time.Hour)
		_, err = cache.GetOrLoad(bg, "k:1", unwanted[int](t))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.False(t, w.Status()[0].Idle)
		_ = stop()
		h := time.Hour
		assert.Equal(t, []time.Duration{h, 2 * h, 3 * h, 4 * h, 6*h + h/2, 8 * h}, at)
		assert.Len(t, slices.Compact(beside), 8, "and another job is no reader")
	})
}

func TestRunEndsAtOnceIfAJobIgnoresItsContext(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]bool{"context": false, "close": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
				cache := newCache(b.T, tiers, tiercache.Options[int]{})
				goOn := make(chan struct{})
				b.Cleanup(sync.OnceFunc(func() { close(goOn) }))
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				w, err := tiercache.NewWarmer(tiers,
					cache.WarmEach(tiercache.Job{Name: "loader", AtStart: true}, these(manyKeys(0, 9)...), func(context.Context, string) (int, error) { <-goOn; return 1, nil }),
					cache.WarmMany(tiercache.Job{Name: "many", AtStart: true}, these(manyKeys(10, 19)...), func(context.Context, []string) (map[string]int, error) { <-goOn; return nil, nil }),
					cache.WarmEach(tiercache.Job{Name: "keys", AtStart: true}, func(context.Context) ([]string, error) { <-goOn; return nil, nil }, each(1)),
					cache.WarmEach(tiercache.Job{Name: "pause", AtStart: true, Retries: 100}, these("k:x"), func(context.Context, string) (int, error) { return 0, errSource }),
					cache.WarmEach(tiercache.Job{Name: "rate", AtStart: true, Rate: 0.01}, these(manyKeys(20, 29)...), each(1)))
				require.NoError(b, err)
				ended := make(chan error, 1)
				go func() { ended <- w.Run(ctx) }()
				asked := make(chan error, 1)
				go func() { asked <- w.Trigger(bg, "keys") }()
				time.Sleep(5 * time.Second) // a load may take 10
				for _, s := range w.Status() {
					assert.True(b, s.Running, s.Name)
				}
				began, want := time.Now(), context.Canceled
				if closes {
					want = tiercache.ErrClosed
					go func() { _ = tiers.Close() }()
				} else {
					cancel()
				}
				require.ErrorIs(b, <-ended, want)
				require.ErrorIs(b, <-asked, want)
				assert.Less(b, time.Since(began), time.Second)
				for _, s := range w.Status() {
					assert.False(b, s.Running, s.Name)
					require.ErrorIs(b, s.Err, want, s.Name)
				}
			})
		})
	}
}
