package tiercache_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// source is a source of truth of one key. floor is the newest version of which
// somebody was told that it is out: no read that starts now may see an older one.
type source struct {
	key     string
	version atomic.Int64
	floor   atomic.Int64
	writing sync.Mutex // who Sets must know that his value is the newest
}

func (s *source) raise(v int64) {
	for {
		old := s.floor.Load()
		if v <= old || s.floor.CompareAndSwap(old, v) {
			return
		}
	}
}

// interleavings runs rounds of random steps, each on one of a few keys from one
// of several goroutines, and counts reads that saw a version below the floor of
// their node. write puts a committed version out, and returns when it is.
func interleavings(t *testing.T, nodes []*tiercache.Tiers, rounds int, write func(r *rand.Rand, tiers *tiercache.Tiers, c *tiercache.Cache[int64], s *source) error) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const workers, keys = 8, 5
	var left atomic.Int64
	left.Store(int64(rounds))
	var reads, loads, stale atomic.Int64
	var wg sync.WaitGroup
	for n, tiers := range nodes {
		cache := newCache(t, tiers, tiercache.Options[int64]{})
		sources := make([]*source, keys)
		for i := range sources {
			sources[i] = &source{key: "n" + strconv.Itoa(n) + ":" + strconv.Itoa(i)}
		}
		for w := range workers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(n*workers+w)))
				yield := func() {
					for range r.IntN(4) {
						runtime.Gosched()
					}
				}
				for left.Add(-1) >= 0 {
					s := sources[r.IntN(keys)]
					if r.IntN(3) == 0 {
						if !assert.NoError(t, write(r, tiers, cache, s)) {
							return
						}
						continue
					}
					floor := s.floor.Load()
					v, err := cache.GetOrLoad(bg, s.key, func(context.Context) (int64, error) {
						loads.Add(1)
						v := s.version.Load()
						yield()
						return v, nil
					})
					if !assert.NoError(t, err) {
						return
					}
					reads.Add(1)
					if v < floor {
						stale.Add(1)
						t.Errorf("stale: %s is %d, at least %d was out before the read began", s.key, v, floor)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	assert.Zero(t, stale.Load())
	t.Logf("%d reads, %d loads", reads.Load(), loads.Load())
	assert.Greater(t, reads.Load(), int64(rounds/2))
	assert.Greater(t, loads.Load(), int64(rounds/50), "the writers were idle")
}

// onEveryFleet runs a test on a node of memory alone, and on two nodes that
// share a Redis, each judged by its own writes. A miniredis gets a tenth of the
// rounds: its scripts run a hundred times slower.
func onEveryFleet(t *testing.T, rounds int, test func(t *testing.T, nodes []*tiercache.Tiers, rounds int)) {
	t.Helper()
	pair := func(t *testing.T, addr string) []*tiercache.Tiers {
		return []*tiercache.Tiers{open(t, patient(client(t, addr))), open(t, patient(client(t, addr)))}
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, []*tiercache.Tiers{open(t, tiercache.Config{})}, rounds)
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, pair(t, miniredis.RunT(t).Addr()), rounds/10)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, pair(t, redistest.Start(t).Addr()), rounds)
	})
}

func TestTenThousandInterleavingsOfLoadAndDeleteServeNothingStale(t *testing.T) {
	t.Parallel()
	onEveryFleet(t, 10_000, func(t *testing.T, nodes []*tiercache.Tiers, rounds int) {
		interleavings(t, nodes, rounds, func(r *rand.Rand, _ *tiercache.Tiers, c *tiercache.Cache[int64], s *source) error {
			v := s.version.Add(1)
			err := c.Delete(bg, s.key)
			s.raise(v)
			return err
		})
	})
}

func TestInterleavingsOfLoadSetAndPatternServeNothingStale(t *testing.T) {
	t.Parallel()
	onEveryFleet(t, 5_000, func(t *testing.T, nodes []*tiercache.Tiers, rounds int) {
		interleavings(t, nodes, rounds, func(r *rand.Rand, tiers *tiercache.Tiers, c *tiercache.Cache[int64], s *source) error {
			s.writing.Lock()
			defer s.writing.Unlock()
			v := s.version.Add(1)
			var err error
			switch r.IntN(4) {
			case 0:
				_, err = c.InvalidatePattern(bg, s.key+"*")
			case 1:
				_, err = c.InvalidatePattern(bg, "*"+s.key[1:])
			case 2:
				err = c.Clear(bg)
			default:
				err = c.Set(bg, s.key, v)
			}
			s.raise(v)
			return err
		})
	})
}

// What one node invalidates is gone for every other that asks Redis: with memory
// and the sharing of reads out of the way Redis alone must be right, at once.
func TestInterleavingsOfNodesThatAskRedisServeNothingStale(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		s := &source{key: "k"}
		var left, loads atomic.Int64
		left.Store(2_000)
		var wg sync.WaitGroup
		for n := range uint64(4) {
			cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int64]{MemoryTTL: 1})
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, n))
				for left.Add(-1) >= 0 {
					if r.IntN(4) == 0 {
						v := s.version.Add(1)
						assert.NoError(t, cache.Delete(bg, s.key))
						s.raise(v)
						continue
					}
					floor := s.floor.Load()
					v, err := cache.GetOrLoad(bg, s.key, func(context.Context) (int64, error) { loads.Add(1); return s.version.Load(), nil }, tiercache.Fresh())
					if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, v, floor, "stale") {
						return
					}
				}
			})
		}
		wg.Wait()
		assert.Greater(t, loads.Load(), int64(100))
	})
}
