package cachetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestASourceSeenFromAnotherProcessIsTheSame(t *testing.T) {
	t.Parallel()
	truth := newTable(3)
	server, err := serveSource(truth)
	require.NoError(t, err)
	defer server.close()
	far := &remoteSource{addr: server.addr()}
	defer far.close()

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				_, err := far.commit(1)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	got, err := far.versions([]int{2, 1})
	require.NoError(t, err)
	assert.Equal(t, []rowVersion{{2, 1}, {1, 801}}, got)
	assert.Equal(t, int64(801), truth[1].Load())

	_, err = far.versions([]int{3})
	assert.Error(t, err, "there is no such row")
	v, err := far.commit(0)
	require.NoError(t, err)
	assert.Equal(t, int64(2), v, "and the next one is served")
}

func TestProcessesThatDoNotHearEachOtherAreCaught(t *testing.T) {
	t.Parallel()
	v := &verdict{TB: t}
	r := Consistency(v, ConsistencyConfig{
		Processes: &Processes{Arg: "single " + redistest.Start(t).Addr() + " apart"},
		Duration:  2 * time.Second,
		Bound:     100 * time.Millisecond,
		Kinds:     map[Kind]int{ByKey: 1},
	})
	v.end()
	assert.True(t, v.failed)
	assert.Zero(t, r.I1, "each of them is right about what it was told itself")
	assert.Positive(t, r.I2)
	assert.Positive(t, r.I3)
	assert.NotEmpty(t, r.Breaches)
	assert.Empty(t, r.Trouble)
}
