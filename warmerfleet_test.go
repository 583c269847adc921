package tiercache_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Jobs of several processes that share a Redis.

// runs notes which node runs a job, and when.
type runs struct {
	mu sync.Mutex // guards of and at
	of []int
	at []time.Time
}

func (r *runs) by(node int, keys ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.of, r.at = append(r.of, node), append(r.at, time.Now())
		return keys, nil
	}
}

func (r *runs) count() int { return len(r.nodes()) }

func (r *runs) nodes() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.of)
}

func (r *runs) times() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

// warmTurn is where the turn of the job "j" stands in Redis.
const warmTurn = "t:~refresh:~warm:j"

func TestOfAFleetOneProcessRunsAJobThatIsDue(t *testing.T) {
	t.Parallel()
	for name, job := range map[string]tiercache.Job{
		"every":    {Name: "j", Every: 10 * time.Second, AtStart: true},
		"schedule": {Name: "j", Schedule: schedule(func(t time.Time) time.Time { return t.Truncate(10 * time.Second).Add(10 * time.Second) }), AtStart: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b bubble) {
				var r runs
				var caches []*tiercache.Cache[int]
				start := func() {
					tiers := b.node()
					cache := newCache(b.T, tiers, tiercache.Options[int]{})
					runJobs(b.T, tiers, cache.WarmEach(job, r.by(len(caches), "k:1"), func(context.Context, string) (int, error) {
						time.Sleep(10 * time.Millisecond)
						return 1, nil
					}))
					caches = append(caches, cache)
				}
				for range 3 {
					start()
				}
				time.Sleep(35 * time.Second)
				start() // the fleet has run it a moment ago
				time.Sleep(65 * time.Second)
				assert.GreaterOrEqual(b, len(r.times()), 10)
				assert.LessOrEqual(b, len(r.times()), 12, "%v", r.times())
				for i := 1; i < len(r.times()); i++ {
					assert.GreaterOrEqual(b, r.times()[i].Sub(r.times()[i-1]), 8900*time.Millisecond)
				}
				for _, cache := range caches {
					v, ok, err := cache.Get(bg, "k:1")
					require.NoError(b, err)
					assert.True(b, ok)
					assert.Equal(b, 1, v)
				}
			})
		})
	}
}

func TestWhenTheOwnerOfAJobDiesAnotherRunsItWithinTheLease(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		require.NoError(b, b.mini.Set(warmTurn, "L")) // as a process that was killed leaves it
		b.mini.SetTTL(warmTurn, 2500*time.Millisecond)
		began := time.Now()
		var r runs
		tiers := b.node()
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j", AtStart: true}, r.by(0, "k:1"), each(1)))
		time.Sleep(2 * time.Second)
		assert.Empty(b, r.times())
		time.Sleep(2 * time.Second)
		require.Len(b, r.times(), 1)
		assert.LessOrEqual(b, r.times()[0].Sub(began), 3*time.Second)
	})
}

func TestTheOwnerOfAJobKeepsItsTurnForAsLongAsItRuns(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		var r runs
		for i := range 2 {
			tiers := b.node()
			cache := newCache(b.T, tiers, tiercache.Options[int]{})
			runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j", AtStart: true, Every: time.Minute}, r.by(i, "k:1"),
				func(context.Context, string) (int, error) { time.Sleep(8 * time.Second); return 1, nil }))
		}
		time.Sleep(30 * time.Second)
		assert.Len(b, r.nodes(), 1)
		assert.Greater(b, b.mini.TTL(warmTurn), 20*time.Second, "nobody is to run it before it is due")
	})
}

func TestWhoEndsWhileItRunsAJobLeavesItToAnother(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]bool{"context": false, "close": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t).Addr() // where a turn that is not given back runs out
			var r runs
			begun := make(chan struct{}, 1)
			node := func(i int) (tiers *tiercache.Tiers, stop func() error) {
				tiers = open(t, patient(client(t, addr)))
				cache := newCache(t, tiers, tiercache.Options[int]{})
				_, stop = runJobs(t, tiers, cache.WarmEach(tiercache.Job{Name: "j", AtStart: true}, r.by(i, "k:1"),
					func(ctx context.Context, _ string) (int, error) {
						begun <- struct{}{}
						<-ctx.Done()
						return 0, ctx.Err()
					}))
				return tiers, stop
			}
			dying, stop := node(0)
			<-begun
			node(1)
			if closes {
				require.NoError(t, dying.Close())
			} else {
				require.ErrorIs(t, stop(), context.Canceled)
			}
			select {
			case <-begun:
			case <-time.After(30 * time.Second):
				t.Fatal("nobody has taken over")
			}
			assert.Equal(t, []int{0, 1}, r.nodes())
		})
	}
}

func TestWithoutRedisEachProcessWarmsItsOwnMemory(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		var r runs
		var caches []*tiercache.Cache[int]
		for i := range 2 {
			tiers := b.node()
			cache := newCache(b.T, tiers, tiercache.Options[int]{})
			caches = append(caches, cache)
			runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j", Every: 20 * time.Second, AtStart: true}, r.by(i, "k:1"), each(1)))
		}
		time.Sleep(5 * time.Second)
		require.Equal(b, 1, r.count())
		b.leave()
		time.Sleep(20 * time.Second)
		assert.ElementsMatch(b, []int{0, 1}, r.nodes()[1:])
		for _, cache := range caches {
			e, ok, err := cache.Lookup(bg, "k:1")
			require.NoError(b, err)
			assert.True(b, ok)
			assert.Equal(b, "memory", e.Tier)
		}
	})
}

func TestAMemoryOnlyCacheIsWarmedInEachProcess(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		var r runs
		for i := range 2 {
			tiers := b.node()
			cache := newCache(b.T, tiers, tiercache.Options[int]{MemoryOnly: true})
			runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j", AtStart: true}, r.by(i, "k:1"), each(1)))
		}
		time.Sleep(time.Second)
		assert.ElementsMatch(b, []int{0, 1}, r.nodes())
	})
}

func TestOneLostAnswerDoesNotHaveAJobRunBesideAnothers(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		require.NoError(b, b.mini.Set(warmTurn, "L"))
		var r runs
		tiers := b.node()
		synctest.Wait()
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		b.mini.SetError("ERR no answer")
		runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j", AtStart: true}, r.by(0, "k:1"), each(1)))
		synctest.Wait()
		b.mini.SetError("")
		time.Sleep(10 * time.Second)
		assert.Empty(b, r.nodes())
	})
}

func TestTriggerRunsAJobThatTheFleetRestsFromAndTheFleetRestsAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		var r runs
		var all []*tiercache.Warmer
		for i := range 2 {
			tiers := b.node()
			cache := newCache(b.T, tiers, tiercache.Options[int]{})
			w, _ := runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j", Every: 20 * time.Second, AtStart: true}, r.by(i, "k:1"),
				func(context.Context, string) (int, error) { time.Sleep(3 * time.Second); return 1, nil }))
			all = append(all, w)
		}
		time.Sleep(time.Second)
		require.Equal(b, 1, r.count())
		other := 1 - r.nodes()[0]
		require.NoError(b, all[other].Trigger(bg, "j")) // while it runs there
		require.Equal(b, 2, r.count())
		assert.GreaterOrEqual(b, r.times()[1].Sub(r.times()[0]), 3*time.Second, "not side by side")
		time.Sleep(10 * time.Second)
		require.NoError(b, all[r.nodes()[0]].Trigger(bg, "j"))
		assert.Equal(b, []int{1 - other, other, 1 - other}, r.nodes())
		time.Sleep(17 * time.Second)
		assert.Equal(b, 3, r.count())
		time.Sleep(7 * time.Second)
		assert.Equal(b, 4, r.count())
		assert.True(b, slices.IsSortedFunc(r.times(), time.Time.Compare))
	})
}
