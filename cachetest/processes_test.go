package cachetest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache/cachetest"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestNodesInProcessesOfTheirOwnServeNothingStaleWhenOneIsPaused(t *testing.T) {
	t.Parallel()
	processes := &cachetest.Processes{Arg: singleOf(redistest.Start(t))}
	r := cachetest.Consistency(t, cachetest.ConsistencyConfig{
		Processes:  processes,
		Duration:   3 * time.Second,
		Bound:      settled,
		WriteEvery: 40 * time.Millisecond,
		Faults:     []cachetest.Fault{processes.Pause(1, time.Second)},
	})
	assert.Greater(t, r.Reads, int64(100))
	assert.Positive(t, r.Memory)
	assert.Positive(t, r.Faults["pause-node"])
}

func TestACrashBetweenCommitAndInvalidationLeavesNothingStale(t *testing.T) {
	t.Parallel()
	processes := &cachetest.Processes{Arg: singleOf(redistest.Start(t))}
	crash := processes.Crash(0)
	crash.Rest = time.Second / 2
	r := cachetest.Consistency(t, cachetest.ConsistencyConfig{
		Processes:  processes,
		Duration:   3 * time.Second,
		Bound:      settled,
		WriteEvery: 40 * time.Millisecond,
		Faults:     []cachetest.Fault{crash},
	})
	assert.Positive(t, r.Crashes)
	assert.Equal(t, int64(r.Faults[crash.Name]), r.Crashes)
}
