package engine

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func memoryOnly(t testing.TB) (*Engine, *Cache) {
	e, err := Open(Config{Largest: 1 << 20, MemoryBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	c, err := e.NewCache(Spec{Name: "c", TTL: time.Hour, LoadTimeout: time.Hour,
		Encode: func(dst []byte, v any) ([]byte, error) { return strconv.AppendInt(dst, int64(v.(int)), 10), nil },
		Decode: func([]byte) (any, error) { return nil, errors.New("memory only") }})
	require.NoError(t, err)
	return e, c
}

// noPasses keeps passes from running until it is undone.
func noPasses(e *Engine) (undo func()) {
	e.patterns.passing.Lock()
	return e.patterns.passing.Unlock
}

func gives(v int) Loader { return func(context.Context) (any, error) { return v, nil } }

// A: memory miss | B: load, into memory, flight ends | A: wins the flight
func TestAFlightThatComesAfterAnothersLoadFindsItsValue(t *testing.T) {
	t.Parallel()
	_, c := memoryOnly(t)
	_, err := c.Load(bg, "k", gives(1), Call{})
	require.NoError(t, err)
	var out outcome // A, who saw nothing before, starts its flight now
	c.lead(bg, &out, memory.Hash("k"), "k", gives(2), Call{}, &outcome{}, nil)
	assert.Equal(t, 1, out.value)
	assert.Equal(t, fromMemory, out.source)
	assert.EqualValues(t, 1, c.Counts().Loads)
}

func TestPatternsPastTheirNumberMergeAndVoidNoMoreThanTheyMust(t *testing.T) {
	t.Parallel()
	e, c := memoryOnly(t)
	for i := range 50 {
		for _, family := range []string{"user:", "other:"} {
			_, err := c.Load(bg, family+strconv.Itoa(i)+":x", gives(i), Call{})
			require.NoError(t, err)
		}
	}
	for i := range 2 * recentPatterns {
		e.dropPattern("user:" + strconv.Itoa(1000+i) + ":*")
	}
	e.dropPattern("user:7:*")
	table := e.patterns.table.Load()
	assert.LessOrEqual(t, len(table.list), recentPatterns)
	for i := 1; i < len(table.list); i++ {
		require.Less(t, table.list[i-1].seq, table.list[i].seq, "in the order of their numbers")
	}
	for i := range 50 {
		hit := c.Hit("other:"+strconv.Itoa(i)+":x", true)
		assert.True(t, hit.OK(), "other:%d: no pattern had its prefix", i)
	}
	hit := c.Hit("user:7:x", true)
	assert.False(t, hit.OK())
	hit = c.Hit("user:8:x", true)
	assert.True(t, hit.OK(), "user:1… was merged, user:8 was not")
}

func TestAMergedPatternKeepsVoidingWhatEitherDid(t *testing.T) {
	t.Parallel()
	e, _ := memoryOnly(t)
	defer noPasses(e)()
	v := e.sample(memory.Hash("a:1"), "a:1")
	for i := range 3 * recentPatterns {
		e.patterns.issue("a:" + strconv.Itoa(i) + "*")
		require.True(t, e.patterns.table.Load().voids(v.seq, "a:1") == (i >= 1), "after %d", i)
	}
	assert.False(t, e.patterns.table.Load().voids(v.seq, "b:1"))
}

func TestAnItemIsMatchedOnceAgainstAPattern(t *testing.T) {
	t.Parallel()
	e, c := memoryOnly(t)
	_, err := c.Load(bg, "k", gives(1), Call{})
	require.NoError(t, err)
	e.dropPattern("other:*")
	it := e.mem.Get(memory.Hash("k"), "k")
	require.NotEqual(t, e.patterns.table.Load().seq, it.Meta.seq.Load())
	require.True(t, c.Hit("k", true).OK())
	assert.Equal(t, e.patterns.table.Load().seq, it.Meta.seq.Load())
}

func TestAHitAllocatesNothing(t *testing.T) {
	_, c := memoryOnly(t)
	_, err := c.Load(bg, "k", gives(1), Call{})
	require.NoError(t, err)
	// Ristretto replaces a buffer of 64 hashes now and then: below one in the mean.
	assert.Less(t, testing.AllocsPerRun(2_000, func() { c.Hit("k", true) }), 0.1)
}

// What a hit reads is in the first line, and items begin with one.
func TestAnItemIsThreeCacheLinesAndAHitReadsTheFirst(t *testing.T) {
	t.Parallel()
	var it item
	assert.EqualValues(t, 192, roundedUp(unsafe.Sizeof(it)), "the size that is allocated for it")
	assert.LessOrEqual(t, unsafe.Offsetof(it.Meta)+unsafe.Offsetof(it.Meta.seq)+unsafe.Sizeof(it.Meta.seq), uintptr(64))
}

// roundedUp is the class of sizes that Go allocates so many bytes in, between 160 and 208.
func roundedUp(size uintptr) uintptr { return (size + 15) / 16 * 16 }

func TestACacheThatIsRefusedLeavesNothing(t *testing.T) {
	e, c := memoryOnly(t)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for range 500 {
		_, err := e.NewCache(c.spec)
		require.ErrorContains(t, err, "taken")
	}
	assert.Less(t, heap()-before, int64(4<<20))
}
