package engine

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/journal"
	"github.com/tiercache/tiercache/internal/memory"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/internal/remote"
)

type lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// starting is a node that was opened just now, with a cache like spec, and what it logs.
func starting(t *testing.T, client redis.UniversalClient, memory int64, spec Spec, bound ...time.Duration) (*Engine, *Cache, *lines) {
	log := new(lines)
	e, err := Open(Config{Largest: 1 << 20, Prefix: "t:", MemoryBytes: memory, Bound: append(bound, 2*time.Second)[0], OutageStaleness: time.Minute,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
		Remote: remote.Config{Client: client, Read: 5 * time.Second, Write: 5 * time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	spec.Name, spec.TTL, spec.LoadTimeout = "c", time.Hour, time.Hour
	spec.Encode = func(dst []byte, v any) ([]byte, error) { return strconv.AppendInt(dst, int64(v.(int)), 10), nil }
	if spec.Decode == nil {
		spec.Decode = decoded
	}
	c, err := e.NewCache(spec)
	require.NoError(t, err)
	return e, c, log
}

func decoded(src []byte) (any, error) { return strconv.Atoi(string(src)) }

// calmly is a bound that a busy machine keeps to, for what is measured.
const calmly = 20 * time.Second

// warmUp has e warmed when it hears: Warm does not wait for that as long as a busy machine
// may take.
func warmUp(t *testing.T, e *Engine) {
	hears(t, e)
	require.NoError(t, e.Warm(bg))
}

// zipf are n reads of that many keys.
func zipf(keys, n int) []string {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 8, uint64(keys-1))
	reads := make([]string, n)
	for i := range reads {
		reads[i] = "user:" + strconv.FormatUint(z.Uint64(), 10)
	}
	return reads
}

// serve answers reads, some at a time, and returns the hit rate of memory.
func serve(t *testing.T, c *Cache, reads []string) float64 {
	before := c.Counts()
	found := func(string, any) bool { return true }
	for some := range slices.Chunk(reads, 250) {
		if left, _ := c.HitMany(some, false, true, found); len(left) > 0 {
			require.NoError(t, c.LoadMany(bg, left, lengths, Call{}, found))
		}
	}
	after := c.Counts()
	hits, others := after.MemoryHits-before.MemoryHits, after.RedisHits-before.RedisHits+after.Misses-before.Misses
	return float64(hits) / float64(hits+others)
}

func lengths(_ context.Context, keys []string) (map[string]any, error) {
	values := make(map[string]any, len(keys))
	for _, k := range keys {
		values[k] = len(k)
	}
	return values, nil
}

func TestAProcessThatIsWarmedHitsMemoryAsTheOneBeforeIt(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		keys, reads int
		memory      int64
	}{
		"memory has room for all": {20_000, 45_000, 64 << 20},
		"memory is full":          {5_000, 25_000, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			reads := zipf(of.keys, of.reads+15_000)
			a, cache, _ := starting(t, s.Client(), of.memory, Spec{}, calmly)
			hears(t, a)
			serve(t, cache, reads[:of.reads])
			steady := serve(t, cache, reads[of.reads:of.reads+10_000])
			require.NoError(t, a.Close())
			next := reads[of.reads+10_000:]
			b, cache, _ := starting(t, s.Client(), of.memory, Spec{}, calmly)
			hears(t, b)
			cold := serve(t, cache, next)
			b, cache, _ = starting(t, s.Client(), of.memory, Spec{}, calmly)
			warmUp(t, b)
			assert.Zero(t, b.mem.Evictions())
			is := cache.Counts()
			assert.Zero(t, cache.Reads()+is.Loads+is.AbsentHits+is.Errors+int64(is.FromRedis.N), "it is no operation")
			warmed := serve(t, cache, next)
			t.Logf("hit rate of memory: %.1f %% before, %.1f %% warmed, %.1f %% not", 100*steady, 100*warmed, 100*cold)
			assert.Greater(t, steady, 0.8, "or there is nothing to keep")
			assert.Greater(t, warmed, steady-0.05)
			assert.Less(t, cold, steady-0.2)
		})
	}
}

func hears(t *testing.T, e *Engine) {
	require.Eventually(t, func() bool { _, ms, _ := e.Health(); return len(ms) > 0 && ms[0].Fresh }, 20*time.Second, time.Millisecond)
}

// heardAfter waits until e has heard of everything that was done at a time.
func heardAfter(t *testing.T, e *Engine, at int64) {
	ear := e.remote.Hearing("t:k")
	assert.Eventually(t, func() bool { return ear.LastPong() > at }, 20*time.Second, time.Millisecond)
}

// left is a Redis where a process has left keys and their values, which are 1.
func left(t *testing.T, keys ...string) *redistest.Server {
	s := redistest.Start(t)
	e, c, _ := starting(t, s.Client(), 1<<20, Spec{})
	hears(t, e)
	read(t, c, keys...)
	require.NoError(t, e.Close())
	return s
}

// read has memory answer for keys, the first the most often.
func read(t *testing.T, c *Cache, keys ...string) {
	for _, key := range keys {
		_, err := c.Load(bg, key, gives(1), Call{})
		require.NoError(t, err)
	}
	// The echo of a fill would remove what was read again meanwhile.
	heardAfter(t, c.eng, now())
	for i, key := range keys {
		for range 3 * (len(keys) - i) {
			require.Eventually(t, func() bool {
				_, err := c.Load(bg, key, gives(1), Call{})
				return err == nil && c.Hit(key, true).OK()
			}, 20*time.Second, time.Millisecond)
		}
	}
}

func listed(t *testing.T, s *redistest.Server) []string {
	text, err := s.Client().Get(bg, "t:~hot:c").Result()
	if err == redis.Nil {
		return nil
	}
	require.NoError(t, err)
	keys, err := readHotList(text)
	require.NoError(t, err)
	return keys
}

// Warm: GET old | invalidated, here or elsewhere | Warm: memory = old
func TestWhatIsInvalidatedWhileMemoryIsWarmedDoesNotReachIt(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]Target{
		"key":     {Kind: journal.Key, Text: "k"},
		"pattern": {Kind: journal.Pattern, Text: "k*"},
		"tag":     {Kind: journal.Tag, Text: "red"},
	} {
		for where, here := range map[string]bool{"here": true, "elsewhere": false} {
			t.Run(name+" "+where, func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				tags := func(any) []string { return []string{"red"} }
				other, theirs, _ := starting(t, s.Client(), 1<<20, Spec{Tags: tags})
				hears(t, other)
				read(t, theirs, "k", "other")
				other.handOver(bg)
				var e *Engine
				var once sync.Once
				e, c, _ := starting(t, s.Client(), 1<<20, Spec{Tags: tags, Decode: func(src []byte) (any, error) {
					once.Do(func() { // Redis has answered, and memory does not have it
						if here {
							_, err := e.Invalidate(bg, []Target{target})
							assert.NoError(t, err)
							return
						}
						_, err := other.Invalidate(bg, []Target{target})
						assert.NoError(t, err)
						heardAfter(t, e, now())
					})
					return decoded(src)
				}})
				warmUp(t, e)
				require.False(t, c.Hit("k", true).OK())
				v, err := c.Load(bg, "k", gives(2), Call{})
				require.NoError(t, err)
				assert.Equal(t, 2, v)
			})
		}
	}
}

func TestWarmFillsTheHottestFirstAndLeavesRoom(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, cache, _ := starting(t, s.Client(), 64<<20, Spec{}, calmly)
	hears(t, a)
	serve(t, cache, zipf(3_000, 15_000))
	require.NoError(t, a.Close())
	keys := listed(t, s)
	require.Greater(t, len(keys), 1_500)
	e, _, _ := starting(t, s.Client(), 256<<10, Spec{}, calmly)
	warmUp(t, e)
	n := e.mem.Len()
	assert.Greater(t, n, 500)
	assert.Less(t, n, len(keys))
	assert.InDelta(t, (256<<10)*7/8, e.mem.Bytes(), 40<<10)
	for _, key := range keys[:n] {
		require.NotNil(t, e.mem.Get(memory.Hash(key), key), key)
	}
}

func TestWhatIsHotHereComesBeforeWhatOthersHaveLeft(t *testing.T) {
	t.Parallel()
	s := left(t, "a", "b", "both")
	require.Equal(t, []string{"a", "b", "both"}, listed(t, s))
	e, c, _ := starting(t, s.Client(), 1<<20, Spec{})
	hears(t, e)
	read(t, c, "c", "both")
	c.Hit("gone", true)
	e.handOver(bg)
	assert.Equal(t, []string{"c", "both", "a", "b"}, listed(t, s))

	require.NoError(t, s.Client().Del(bg, "t:~hot:c").Err())
	e.handOver(bg)
	assert.Nil(t, listed(t, s), "nothing was read since")
	read(t, c, "both")
	e.handOver(bg)
	assert.ElementsMatch(t, []string{"c", "both"}, listed(t, s))
	assert.Positive(t, s.Client().TTL(bg, "t:~hot:c").Val())
}

func TestWarmSkipsWhatIsNoKeyOfTheCacheOrNoLongerFresh(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, theirs, _ := starting(t, s.Client(), 1<<20, Spec{StaleFor: time.Hour})
	hears(t, a)
	read(t, theirs, "k:1", "k:old", "k:deleted", "other")
	require.NoError(t, a.Close())
	var list hotList
	for _, key := range []string{"~clock", "other", "k:old", "k:deleted", "k:never", "k:1"} {
		list.add(key)
	}
	require.NoError(t, s.Client().Set(bg, "t:~hot:c", list.text.String(), 0).Err())
	b, _, _ := starting(t, s.Client(), 1<<20, Spec{})
	_, err := b.Expire(bg, []Target{{Kind: journal.Key, Text: "k:old"}})
	require.NoError(t, err)
	require.NoError(t, s.Client().Del(bg, "t:k:deleted").Err())
	e, _, _ := starting(t, s.Client(), 1<<20, Spec{KeyPrefix: "k:", StaleFor: time.Hour})
	warmUp(t, e)
	assert.Equal(t, 1, e.mem.Len())
	assert.NotNil(t, e.mem.Get(memory.Hash("k:1"), "k:1"))
}

func TestAListThatIsNotUnderstoodIsNoErrorAndReplaced(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(*redis.Client) error{
		"text":       func(r *redis.Client) error { return r.Set(bg, "t:~hot:c", "a\nb", 0).Err() },
		"another":    func(r *redis.Client) error { return r.Set(bg, "t:~hot:c", "hot2;1:k", 0).Err() },
		"not a text": func(r *redis.Client) error { return r.LPush(bg, "t:~hot:c", "k").Err() },
		"too long":   func(r *redis.Client) error { return r.Set(bg, "t:~hot:c", string(make([]byte, 1<<20)), 0).Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			require.NoError(t, put(s.Client()))
			e, c, _ := starting(t, s.Client(), 1<<20, Spec{})
			warmUp(t, e)
			assert.Zero(t, e.mem.Len())
			read(t, c, "k")
			e.handOver(bg)
			assert.Equal(t, []string{"k"}, listed(t, s))
		})
	}
}

func TestWarmEndsWithItsContextAndWithTheEngine(t *testing.T) {
	t.Parallel()
	s := left(t, "a", "b")
	e, _, _ := starting(t, s.Client(), 1<<20, Spec{})
	ctx, cancel := context.WithCancel(bg)
	cancel()
	require.ErrorIs(t, e.Warm(ctx), context.Canceled)
	var none context.Context
	require.ErrorIs(t, e.Warm(none), errNilContext)
	require.NoError(t, e.Close())
	require.ErrorIs(t, e.Warm(bg), errs.ErrClosed)

	ctx, cancel = context.WithCancel(bg)
	e, _, _ = starting(t, s.Client(), 1<<20, Spec{Decode: func(src []byte) (any, error) { cancel(); return decoded(src) }})
	hears(t, e)
	require.ErrorIs(t, e.Warm(ctx), context.Canceled)

	var closes sync.Once
	e, _, _ = starting(t, s.Client(), 1<<20, Spec{Decode: func(src []byte) (any, error) {
		closes.Do(func() { assert.NoError(t, e.Close()) })
		return decoded(src)
	}})
	hears(t, e)
	require.ErrorIs(t, e.Warm(bg), errs.ErrClosed)
}

func TestAServiceStartsColdIfRedisCannotBeHeard(t *testing.T) {
	t.Parallel()
	t.Run("it is down", func(t *testing.T) {
		t.Parallel()
		s := left(t, "a")
		s.Kill()
		e, _, log := starting(t, s.Client(), 1<<20, Spec{})
		require.NoError(t, e.Warm(bg))
		assert.Contains(t, log.String(), "memory starts cold")
	})
	t.Run("it refuses", func(t *testing.T) {
		t.Parallel()
		s := left(t, "a")
		require.NoError(t, s.Client().Do(bg, "ACL", "SETUSER", "svc", "on", ">secret", "~*", "+@all", "-subscribe").Err())
		o := s.Client().Options()
		deaf := *o
		deaf.Username, deaf.Password = "svc", "secret"
		client := redis.NewClient(&deaf)
		t.Cleanup(func() { _ = client.Close() })
		e, _, log := starting(t, client, 1<<20, Spec{})
		require.NoError(t, e.Warm(bg))
		assert.Contains(t, log.String(), "memory starts cold")
		assert.Zero(t, e.mem.Len())
	})
	t.Run("its circuit is open when keys are to be left", func(t *testing.T) {
		t.Parallel()
		s := left(t)
		e, c, _ := starting(t, s.Client(), 1<<20, Spec{})
		hears(t, e)
		read(t, c, "a")
		s.Kill()
		require.Eventually(t, func() bool { return !c.useRedis("a") }, 20*time.Second, time.Millisecond)
		e.handOver(bg)
		s.Restart()
		assert.Nil(t, listed(t, s))
	})
	t.Run("memory only", func(t *testing.T) {
		t.Parallel()
		e, _ := memoryOnly(t)
		require.NoError(t, e.Warm(bg))
	})
}

func TestNothingIsLeftOfAMemoryOnlyCache(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	e, c, _ := starting(t, s.Client(), 1<<20, Spec{MemoryOnly: true})
	hears(t, e)
	read(t, c, "k")
	e.handOver(bg)
	assert.Nil(t, listed(t, s))
	assert.Len(t, e.Hot(5), 1)
}

func TestAClustersMastersAllServeAWarmStart(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 2)
	client := func() redis.UniversalClient {
		c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	keys := make([]string, 50)
	for i := range keys {
		keys[i] = "user:" + strconv.Itoa(i)
	}
	a, cache, _ := starting(t, client(), 1<<20, Spec{}, calmly)
	// Those of one master are about half, and an echo may remove one at any time.
	most := func(e *Engine) bool { return e.mem.Len() > len(keys)*4/5 }
	require.Eventually(t, func() bool { serve(t, cache, keys); return most(a) && cache.counts.hits.Count() > 0 }, 60*time.Second, time.Millisecond)
	require.NoError(t, a.Close())
	b, _, _ := starting(t, client(), 1<<20, Spec{}, calmly)
	require.Eventually(t, func() bool { return b.Warm(bg) == nil && most(b) }, 60*time.Second, time.Millisecond)
}
