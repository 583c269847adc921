package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

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

func quick(t *testing.T, args ...string) (config, *bench) {
	t.Helper()
	redistest.Start(t) // skips where there is none
	c, err := parse(append(args, "-short"), io.Discard)
	require.NoError(t, err)
	return c, newBench(20*time.Millisecond, 300*time.Millisecond, 1)
}

func TestOursGivesNoErrorInAnyFault(t *testing.T) {
	t.Parallel()
	_, b := quick(t)
	for _, f := range faults {
		m, err := b.measure(t.Context(), f, ours)
		require.NoError(t, err, f.name)
		r := reportOf(f, []measured{m})
		r.judge(f, true)
		assert.Zero(t, r.missed, "%s: %v", f.name, r.Verdicts)
		assert.Equal(t, []string{"ok     0 errors, 0 wanted"}, r.Verdicts, f.name)
		assert.Positive(t, m.backTimes[0], "%s: Redis is not used again", f.name)
		for _, l := range r.Lines {
			assert.Positive(t, l.Rate, "%s %s", l.Cache, l.Keys)
			assert.Zero(t, l.Errors, "%s %s", l.Cache, l.Keys)
		}
	}
}

func TestAllThreeAreMeasuredWithAKilledRedis(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "figures.json")
	c, b := quick(t, "-fault", "killed", "-json", file)
	r, err := c.with(t.Context(), c.faults[0], b)
	require.NoError(t, err)
	assert.Zero(t, r.missed, r.Verdicts)
	var out bytes.Buffer
	r.print(&out, c.faults[0])
	for _, name := range []string{oursName, rivalName, byHandName, bareName, memoryName} {
		assert.Contains(t, out.String(), name)
	}
	require.NoError(t, command.WriteJSON(file, newFile(c, r)))
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var back struct {
		Versions map[string]string
		Faults   []struct {
			Fault string
			Lines []line
			Turns []turn
		}
	}
	require.NoError(t, json.Unmarshal(raw, &back))
	assert.Equal(t, "killed", back.Faults[0].Fault)
	assert.Len(t, back.Faults[0].Lines, 8)
	assert.Len(t, back.Faults[0].Turns, 3)
}

func TestEveryRequirementCanBeMissed(t *testing.T) {
	t.Parallel()
	good := func() *report {
		cold, hot := line{Keys: "cold", Rate: 7000, P50: 1e6, P99: 1.2e6, Longest: 2e6}, line{Keys: "hot", Rate: 5e6, P50: 100, P99: 200, Longest: 1e6}
		floors := [2]*line{new(line), new(line)}
		*floors[0], *floors[1] = cold, hot
		slow := line{Rate: 1}
		return &report{Turns: []turn{
			{UsedAgain: []float64{1e9, 2e9}, windows: []line{cold, hot}, floors: floors},
			{windows: []line{slow, slow}},
		}}
	}
	judged := func(f fault, change func(our, rival *turn)) int {
		r := good()
		change(&r.Turns[0], &r.Turns[1])
		r.judge(f, false)
		return r.missed
	}
	frozen := fault{name: "frozen"}
	assert.Zero(t, judged(frozen, func(_, _ *turn) {}))
	for name, miss := range map[string]func(our, rival *turn){
		"an error as Redis goes":    func(our, _ *turn) { our.Errors = 1 },
		"an error later":            func(our, _ *turn) { our.windows[1].Errors = 1 },
		"a batch with two budgets":  func(our, _ *turn) { our.windows[1].Longest = 205e6 },
		"two budgets as it goes":    func(our, _ *turn) { our.LongestCold = 205e6 },
		"two budgets as it comes":   func(our, _ *turn) { our.LongestBack = 205e6 },
		"a slow cold call":          func(our, _ *turn) { our.windows[0].P99 = 2.3e6 },
		"a slow hot call":           func(our, _ *turn) { our.windows[1].P50 = 121 },
		"a slow hot call of many":   func(our, _ *turn) { our.windows[1].P99 = 241 },
		"fewer hot calls":           func(our, _ *turn) { our.windows[1].Rate = 4e6 },
		"a rival that is as fast":   func(_, rival *turn) { rival.windows[0].Rate = 7000 },
		"Redis in use too late":     func(our, _ *turn) { our.UsedAgain[1] = 3.1e9 },
		"Redis not in use any more": func(our, _ *turn) { our.UsedAgain[0] = 0 },
	} {
		assert.Equal(t, 1, judged(frozen, miss), name)
	}
	assert.Zero(t, judged(fault{name: "flapping", unsteady: true}, func(our, _ *turn) { our.windows[0].P99 = 60e6 }))
}

func TestWhatACallerGotWrongIsCounted(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	w := drive(0, 2, func(_, n int) error {
		if n == 1 {
			return broken
		}
		return nil
	})
	assert.EqualValues(t, 2*callers, w.calls, "a batch of each")
	assert.EqualValues(t, callers, w.errors)
	assert.Len(t, w.first, mostFirst)
	assert.EqualValues(t, callers, w.times.N())
	assert.Positive(t, w.rate)
	assert.Error(t, check(row{Key: "a"}, "b", nil))
}

func TestBadFlagsAreErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-fault", "none"}, {"-seconds", "0"}, {"-seconds", "6"}, {"-seconds", "NaN"}, {"more"}} {
		assert.Error(t, outage(context.Background(), args, io.Discard, io.Discard), args)
	}
}
