package engine

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/glob"
	"github.com/tiercache/tiercache/internal/memory"
)

func engineWith(t testing.TB, bytes int64) (*Engine, *Cache) {
	e, err := Open(Config{Largest: 1 << 20, MemoryBytes: bytes, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	c, err := e.NewCache(Spec{Name: "c", TTL: time.Hour})
	require.NoError(t, err)
	return e, c
}

// inMemory puts a value there as a load does that sampled at v.
func inMemory(t *testing.T, c *Cache, key string, v validity) *item {
	it := c.item(memory.Hash(key), key, loaded{value: 1, size: 1}, now(), time.Hour, v, nil, false)
	require.True(t, c.eng.keep(it, v))
	return it
}

// due is whether a pass is.
func due(e *Engine) bool {
	select {
	case <-e.patterns.full:
		return true
	default:
		return false
	}
}

// hours lets patterns of others come until n have, and passes when they are due.
func hours(e *Engine, n int) {
	for range n {
		e.patterns.issue(fmt.Sprintf("other:%d:*", e.patterns.table.Load().seq))
		if due(e) {
			e.meetPatterns()
		}
	}
}

func TestPatternsOfOthersVoidNothingOfMineHoweverManyCome(t *testing.T) {
	t.Parallel()
	e, c := engineWith(t, 1<<20)
	read := inMemory(t, c, "mine:read", e.sample(memory.Hash("mine:read"), "mine:read"))
	unread := inMemory(t, c, "mine:unread", e.sample(memory.Hash("mine:unread"), "mine:unread"))
	longest := 0
	for range 50 {
		hours(e, 100)
		table := e.patterns.table.Load()
		longest = max(longest, len(table.list))
		ok := c.Hit("mine:read", true).OK()
		require.True(t, ok)
		require.Equal(t, table.seq, read.Meta.seq.Load(), "matched against each pattern once")
	}
	assert.LessOrEqual(t, longest, 2*meetAfter, "what all have met is forgotten")
	assert.NotZero(t, e.patterns.table.Load().floor)
	ok := c.Hit("mine:unread", true).OK()
	assert.True(t, ok)
	assert.Equal(t, e.patterns.table.Load().seq, unread.Meta.seq.Load())
}

func TestAnItemThatMatchesAPatternIsGoneBeforeAndAfterThePatternIsForgotten(t *testing.T) {
	t.Parallel()
	e, c := engineWith(t, 1<<20)
	v := e.sample(memory.Hash("mine:1"), "mine:1")
	inMemory(t, c, "mine:1", v)
	hours(e, 10)
	e.patterns.issue("mine:*")
	newest := e.patterns.table.Load().seq
	for e.patterns.table.Load().floor < newest {
		ok := c.Hit("mine:1", true).OK()
		require.False(t, ok)
		require.False(t, e.holds(v, memory.Hash("mine:1"), "mine:1", true))
		hours(e, 100)
	}
	assert.Nil(t, e.mem.Get(memory.Hash("mine:1"), "mine:1"), "and its memory is free")
	assert.False(t, e.holds(v, memory.Hash("mine:1"), "mine:1", true), "a load that began before it")
	late := inMemory(t, c, "mine:1", v)
	ok := c.Hit("mine:1", true).OK()
	assert.False(t, ok, "that load's value, late as it is")
	e.patterns.issue("x")
	e.meetPatterns()
	assert.Less(t, late.Meta.seq.Load(), e.patterns.table.Load().floor, "no pass marks what is below the floor")
}

// load: sample | pass | load: into memory | pass
func TestAValueOnItsWayDuringAPassMeetsThePatternsInTheNext(t *testing.T) {
	t.Parallel()
	e, c := engineWith(t, 1<<20)
	v := e.sample(memory.Hash("mine:1"), "mine:1")
	hours(e, meetAfter)
	// The engine's own goroutine may have been the one to start it.
	require.Eventually(t, func() bool {
		e.patterns.mu.Lock()
		defer e.patterns.mu.Unlock()
		return e.patterns.met == meetAfter
	}, 20*time.Second, time.Millisecond, "a pass was")
	inMemory(t, c, "mine:1", v)
	hours(e, 3*meetAfter)
	require.Eventually(t, func() bool { return e.patterns.table.Load().floor > v.seq }, 20*time.Second, time.Millisecond)
	ok := c.Hit("mine:1", true).OK()
	assert.True(t, ok)
}

func TestOnePatternGivenAllTheTimeCostsNoPass(t *testing.T) {
	t.Parallel()
	e, _ := engineWith(t, 1<<20)
	for range 5 * meetAfter {
		e.patterns.issue("mine:*")
		if due(e) {
			e.meetPatterns()
		}
	}
	assert.Zero(t, e.patterns.met)
	assert.LessOrEqual(t, len(e.patterns.table.Load().list), meetAfter)
	assert.True(t, e.patterns.table.Load().voids(5*meetAfter-1, "mine:1"))
}

func TestWithoutAPassTheListIsBounded(t *testing.T) {
	t.Parallel()
	e, _ := engineWith(t, 1<<20)
	defer noPasses(e)()
	for i := range 3 * recentPatterns {
		e.patterns.issue("other:" + strconv.Itoa(i) + ":*")
		require.LessOrEqual(t, len(e.patterns.table.Load().list), recentPatterns)
	}
	assert.True(t, e.patterns.table.Load().voids(0, "other:1:x"))
	assert.False(t, e.patterns.table.Load().voids(0, "mine:1"))
	assert.Equal(t, newer(e.patterns.table.Load().list, 0), e.patterns.fresh)
}

func TestAPassThatTheEndOfTheEngineCutsShortForgetsNothing(t *testing.T) {
	t.Parallel()
	e, c := engineWith(t, 1<<20)
	inMemory(t, c, "mine:1", e.sample(memory.Hash("mine:1"), "mine:1"))
	e.cancel()
	e.wg.Wait() // for the passes that the engine makes itself
	for i := range meetAfter {
		e.patterns.issue("other:" + strconv.Itoa(i))
	}
	e.meetPatterns()
	assert.Zero(t, e.patterns.met)
	assert.Len(t, e.patterns.table.Load().list, meetAfter)
}

func TestASlowReaderDoesNotTakeAMarkBack(t *testing.T) {
	t.Parallel()
	var m meta
	m.survived(7)
	m.survived(3)
	assert.EqualValues(t, 7, m.seq.Load())
}

func TestASieveFindsWhatTheListFinds(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	word := func(alphabet string) string {
		b := make([]byte, rng.IntN(6))
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
		}
		return string(b)
	}
	found := 0
	for range 300 {
		table := &patternTable{seq: uint64(rng.IntN(30))}
		for i := range table.seq {
			text := word("ab*?[\\\xff")
			table.list = append(table.list, issued{i + 1, glob.Compile(text), text})
		}
		s := newSieve(table.list)
		for range 100 {
			seq, key := rng.Uint64N(table.seq+1), word("ab\xff")
			want := table.voids(seq, key)
			require.Equal(t, want, s.voids(seq, key), "seq %d key %q of %v", seq, key, table.list)
			if want {
				found++
			}
		}
	}
	assert.NotZero(t, found)
}

// Readers, writers and passes at once. A pattern that was issued before a value
// was sampled says nothing of it; one issued after voids it.
func TestPatternsAndPassesRaceAndNeitherVoidsTooLittle(t *testing.T) {
	t.Parallel()
	e, c := engineWith(t, 1<<20)
	stop := make(chan struct{})
	var passes, writers sync.WaitGroup
	passes.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-e.patterns.full:
				e.meetPatterns()
			}
		}
	})
	for w := range 4 {
		writers.Go(func() {
			// The floor rises with the second pass: on a machine that is slow to run
			// the passes, the writers go on until then.
			for i := 0; i < 2_000 || e.patterns.table.Load().floor == 0; i++ {
				key := fmt.Sprintf("w%d:%d", w, i%7)
				v := e.sample(memory.Hash(key), key)
				it := c.item(memory.Hash(key), key, loaded{value: i, size: 1}, now(), time.Hour, v, nil, false)
				e.keep(it, v)
				hit := c.Hit(key, true)
				if hit.OK() && hit.Value != i {
					t.Errorf("%s: %v is there, want %d", key, hit.Value, i)
				}
				e.patterns.issue(key)
				if hit := c.Hit(key, true); hit.OK() {
					t.Errorf("%s: %v was invalidated", key, hit.Value)
				}
				if e.holds(v, memory.Hash(key), key, true) {
					t.Errorf("%s: a load that sampled before may be joined", key)
				}
				e.patterns.issue(key + "x" + strconv.Itoa(i))
			}
		})
	}
	writers.Wait()
	close(stop)
	passes.Wait()
}

// BenchmarkVoids is the check of an item that has met none of the patterns.
func BenchmarkVoids(b *testing.B) {
	for _, n := range []int{1, 32, 1024, recentPatterns} {
		var l patternLog
		l.init()
		for i := range n {
			l.issue("user:" + strconv.Itoa(i) + ":*")
		}
		table := l.table.Load()
		b.Run(fmt.Sprintf("list/%d", n), func(b *testing.B) {
			for b.Loop() {
				if table.voids(0, "user:x:orders") {
					b.Fatal("it matches none")
				}
			}
		})
		s := newSieve(table.list)
		b.Run(fmt.Sprintf("sieve/%d", n), func(b *testing.B) {
			for b.Loop() {
				if s.voids(0, "user:x:orders") {
					b.Fatal("it matches none")
				}
			}
		})
	}
}

func BenchmarkIssue(b *testing.B) {
	for name, passes := range map[string]bool{"passes in time": true, "none, so merges": false} {
		b.Run(name, func(b *testing.B) {
			e, _ := engineWith(b, 1<<20)
			for i := 0; b.Loop(); i++ {
				e.patterns.issue("user:" + strconv.Itoa(i) + ":*")
				if passes && due(e) {
					e.meetPatterns()
				}
			}
		})
	}
}

// BenchmarkMeetPatterns is a pass of 1,024 new patterns over 100,000 items.
func BenchmarkMeetPatterns(b *testing.B) {
	e, c := engineWith(b, 64<<20)
	for i := range 100_000 {
		key := "user:" + strconv.Itoa(i) + ":orders"
		v := e.sample(memory.Hash(key), key)
		e.keep(c.item(memory.Hash(key), key, loaded{value: i, size: 1}, now(), time.Hour, v, nil, false), v)
	}
	e.mem.Len()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		for j := range meetAfter {
			e.patterns.issue("other:" + strconv.Itoa(i*meetAfter+j) + ":*")
		}
		b.StartTimer()
		e.meetPatterns()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(e.mem.Len()), "ns/item")
}
