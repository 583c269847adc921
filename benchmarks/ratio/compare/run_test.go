package compare

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAQuickRunHasAllCachesAnswerRightly(t *testing.T) {
	o := Quick()
	r, err := Run(t.Context(), o)
	require.NoError(t, err, "drive looks at every value")
	require.Len(t, r.Rows, 2*len(Shapes())*len(Contenders()))
	for _, row := range r.Rows {
		assert.GreaterOrEqual(t, row.Ratio, 0.0, row)
		assert.Less(t, row.Ratio, 1.0, row)
		if !row.Tight {
			assert.Greater(t, row.Ratio, 0.1, row)
		}
	}
	require.Len(t, r.Verdicts, 2*len(Shapes()))
	require.Len(t, r.Bytes, 5)
	for _, f := range r.Bytes {
		assert.Greater(t, f.Bytes, float64(valueBytes), f)
		assert.InDelta(t, o.Entries, f.Entries, float64(o.Entries)/50, f)
		assert.Equal(t, f.Cache == Ours, f.Account > 0, f)
	}
}

func TestEachCacheHoldsAsManyItemsAsItIsGivenRoomFor(t *testing.T) {
	const capacity = 500
	u := newUniverse(2 * capacity)
	for _, c := range Contenders() {
		t.Run(c.Name, func(t *testing.T) {
			all := make([]uint32, capacity)
			for i := range all {
				all[i] = uint32(i)
			}
			fits := Trace{Capacity: capacity, Keys: capacity, Reads: append(all, all...)}
			got, err := driveOn(t.Context(), c, u, fits, false)
			require.NoError(t, err)
			assert.InDelta(t, capacity, got.hits, capacity/100, "what fits stays, but for the last few")

			for i := range uint32(capacity) {
				all = append(all, capacity+i)
			}
			over := Trace{Capacity: capacity, Keys: 2 * capacity, Reads: append(all, all...)}
			got, err = driveOn(t.Context(), c, u, over, false)
			require.NoError(t, err)
			assert.Less(t, got.hits, capacity*5/4, "and not much more than that")
		})
	}
}

// wrong answers with the value of another key.
type wrong struct{ v *Value }

func (w wrong) read(uint32) (*Value, bool, error) { return w.v, true, nil }
func (wrong) settle()                             {}
func (wrong) lost() float64                       { return -1 }
func (wrong) close() error                        { return nil }

func TestAWrongValueEndsTheRun(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*Value{"of another key": {id: 9}, "none": nil} {
		open := func(universe, int) (cache, error) { return wrong{v}, nil }
		_, err := drive(t.Context(), Contender{Name: "wrong", open: open}, universe{}, Trace{Shape: "loop", Reads: []uint32{1}}, false)
		require.ErrorContains(t, err, "wrong, loop: read 0, of item:00000001, returned the value of another", name)
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Quick())
	require.ErrorIs(t, err, context.Canceled)
}

func TestOursIsGivenRoomForItemsOfEqualCost(t *testing.T) {
	t.Parallel()
	each, err := bytesPerItem()
	require.NoError(t, err)
	assert.Greater(t, each, int64(valueBytes+len(keyOf(math.MaxUint32/50))))
}
