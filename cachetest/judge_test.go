package cachetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestACacheThatTellsNobodyIsCaught(t *testing.T) {
	t.Parallel()
	cfg, err := ConsistencyConfig{Duration: time.Second, Bound: 100 * time.Millisecond}.checked()
	require.NoError(t, err)
	shared := &fleet{values: make(map[int]int64)}
	var nodes []node
	for range cfg.NodeCount {
		nodes = append(nodes, newNaive(shared, cfg.Rows))
	}
	r := run(context.Background(), cfg, nodes)
	t.Log(r)
	assert.Positive(t, r.I1, "loads that store what was invalidated meanwhile")
	assert.Positive(t, r.I2, "nobody told the other nodes")
	assert.Positive(t, r.I3, "and nobody ever will")
	assert.Greater(t, r.Oldest, cfg.Bound)
	assert.False(t, r.OK())
}

func TestReadingTheSourceItselfIsNeverABreach(t *testing.T) {
	t.Parallel()
	cfg, err := ConsistencyConfig{Duration: time.Second, Bound: time.Millisecond, WriteEvery: time.Millisecond, LoadTime: 10 * time.Microsecond}.checked()
	require.NoError(t, err)
	shared := &fleet{values: make(map[int]int64)}
	var nodes []node
	for range cfg.NodeCount {
		nodes = append(nodes, bare{newNaive(shared, cfg.Rows)})
	}
	r := run(context.Background(), cfg, nodes)
	t.Log(r)
	assert.True(t, r.OK())
	assert.Greater(t, r.Reads, int64(100))
	for _, k := range kinds {
		assert.Positive(t, r.Writes[k], k)
	}
}

// One read each, at moments chosen by the test.
func TestTheJudgeKnowsWhatARowMayBe(t *testing.T) {
	t.Parallel()
	const ms = int64(time.Millisecond)
	for _, c := range []struct {
		name   string
		node   int // that reads; node 0 has invalidated version 5 at 100 ms
		at     int64
		got    int64
		queued bool
		i1, i2 int64
	}{
		{name: "the node itself, at once, old", at: 100, got: 4, i1: 1},
		{name: "the node itself, at once, new", at: 100, got: 5},
		{name: "the node itself, queued, old", at: 100, got: 4, queued: true, i1: 1},
		{name: "another node within the bound, old", node: 1, at: 109, got: 4},
		{name: "another node after the bound, old", node: 1, at: 112, got: 4, i2: 1},
		{name: "another node after the bound, new", node: 1, at: 112, got: 5},
		{name: "another node after the bound, newer", node: 1, at: 112, got: 6},
		{name: "another node, queued, old", node: 1, at: 200, got: 4, queued: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := shape(2, 2, time.Second)
			b.cells = make([]int64, b.size())
			now := 100 * ms
			j := newJudge(b, 10*time.Millisecond, func() int64 { return now }, nil)
			j.invalidated(0, []rowVersion{{1, 5}}, !c.queued)
			now = c.at * ms
			j.after(c.node, 1, j.before(c.node, 1), c.got)
			j.after(c.node, 0, j.before(c.node, 0), 1) // another row
			assert.Equal(t, c.i1, b.sum(countI1), "I1")
			assert.Equal(t, c.i2, b.sum(countI2), "I2")
			assert.Equal(t, int64(2), b.sum(countReads))
		})
	}
}

func TestAReadThatBeganBeforeTheInvalidationIsNotJudgedByIt(t *testing.T) {
	t.Parallel()
	b := shape(1, 1, time.Second)
	b.cells = make([]int64, b.size())
	now := int64(0)
	j := newJudge(b, time.Millisecond, func() int64 { return now }, nil)
	f := j.before(0, 0)
	j.invalidated(0, []rowVersion{{0, 2}}, true)
	now = int64(time.Second)
	j.after(0, 0, f, 1)
	assert.Zero(t, b.sum(countI1)+b.sum(countI2))
}

func TestABadConfigIsAnErrorThatNamesTheField(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]ConsistencyConfig{
		"Rows":      {Rows: -1},
		"Bound":     {Bound: -1},
		"Kinds":     {Kinds: map[Kind]int{"telepathy": 1}},
		"Faults":    {Faults: []Fault{{Name: "f"}}},
		"KeyPrefix": {KeyPrefix: "a*"},
	} {
		_, err := cfg.checked()
		assert.ErrorContains(t, err, "ConsistencyConfig."+field)
	}
	_, err := openNodes(ConsistencyConfig{NodeCount: 1})
	assert.ErrorContains(t, err, "Nodes")
}
