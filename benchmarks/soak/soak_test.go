package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/benchmarks/internal/command"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) {
	command.Quiet()
	goleak.VerifyTestMain(m)
}

// Not parallel: it counts goroutines.
func TestAShortSoakFindsNoErrorAndNothingStale(t *testing.T) {
	redistest.Start(t) // skips where there is none
	file := filepath.Join(t.TempDir(), "figures.json")
	var out bytes.Buffer
	err := soak(t.Context(), []string{"-for", "6s", "-json", file}, &out, io.Discard)
	require.NoError(t, err, out.String())
	assert.Contains(t, out.String(), "0 errors, 0 stale reads")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var r result
	require.NoError(t, json.Unmarshal(raw, &r))
	assert.NotEmpty(t, r.Faults)
	assert.Greater(t, r.Reads, int64(1000))
	assert.Positive(t, r.Writes)
	assert.NotEmpty(t, r.Samples)
	for _, s := range r.Samples {
		assert.Positive(t, s.Goroutines)
		assert.Positive(t, s.Heap)
		assert.Positive(t, s.Connections)
	}
}

func TestWhatGrowsIsNotFlat(t *testing.T) {
	t.Parallel()
	run := func(goroutines int, heap float64) bool {
		var all []sample
		for i := range 30 {
			all = append(all, sample{Goroutines: 50 + i*goroutines/30, Heap: int64(1e7 * (1 + heap*float64(i)/30))})
		}
		all[0] = sample{Goroutines: 1, Heap: 1} // warm-up
		_, ok := flat(all)
		return ok
	}
	assert.True(t, run(0, 0))
	assert.True(t, run(5, 0.05))
	assert.False(t, run(60, 0))
	assert.False(t, run(0, 0.3))
	_, ok := flat(make([]sample, 5))
	assert.True(t, ok, "too few to say")
}

func TestAnythingWrongIsAVerdict(t *testing.T) {
	t.Parallel()
	right := result{Reads: 1, Writes: 1, flatOK: true, before: 3, after: 3}
	require.NoError(t, right.verdict())
	for name, wrong := range map[string]func(*result){
		"nothing read": func(r *result) { r.Reads = 0 },
		"an error":     func(r *result) { r.Errors = 1 },
		"stale":        func(r *result) { r.Stale = 1 },
		"not flat":     func(r *result) { r.flatOK = false },
		"leaked":       func(r *result) { r.after = 4 },
		"no recovery":  func(r *result) { r.Trouble = []string{"does not recover"} },
	} {
		r := right
		wrong(&r)
		assert.Error(t, r.verdict(), name)
	}
}

func TestBadFlagsAreErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-for", "0s"}, {"-for", "-1s"}, {"more"}} {
		assert.Error(t, soak(context.Background(), args, io.Discard, io.Discard), args)
	}
}

func TestEachFaultComesOnceBeforeAnyComesAgain(t *testing.T) {
	t.Parallel()
	s := &stage{rand: newTraffic(nil, 1).rand(0)}
	var bag []fault
	seen := map[string]int{}
	for range 2 * len(faults) {
		seen[s.draw(&bag).name]++
	}
	assert.Len(t, seen, len(faults))
	for name, n := range seen {
		assert.Equal(t, 2, n, name)
	}
}
