package compare

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheJudgeComparesCachesOnTheSameTraceAndSize(t *testing.T) {
	t.Parallel()
	rows := func(our, ristretto, otter float64) []Row {
		return []Row{
			{Trace: "loop", Share: 0.1, Cache: Ours, Ratio: our},
			{Trace: "loop", Share: 0.1, Cache: Ristretto, Ratio: ristretto},
			{Trace: "loop", Share: 0.1, Cache: Otter, Ratio: otter},
			// None of these is to be compared with.
			{Trace: "loop", Share: 0.2, Cache: Ristretto, Ratio: 1},
			{Trace: "scan", Share: 0.1, Cache: Otter, Ratio: 1},
			{Trace: "loop", Share: 0.1, Cache: Ristretto, Ratio: 1, Tight: true},
			{Trace: "loop", Share: 0.1, Cache: Ours, Ratio: 0, Tight: true},
			{Trace: "loop", Share: 0.1, Cache: Theine, Ratio: 1},
		}
	}
	for name, c := range map[string]struct {
		our, ristretto, otter float64
		ok                    []bool
	}{
		"better than both":              {0.6, 0.5, 0.5, []bool{true, true}},
		"behind ristretto by a chance":  {0.6, 0.6009, 0.6, []bool{true, true}},
		"behind ristretto":              {0.6, 0.602, 0.6, []bool{false, true}},
		"behind otter by what it may":   {0.6, 0.6, 0.629, []bool{true, true}},
		"behind otter by more than may": {0.6, 0.6, 0.631, []bool{true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge(rows(c.our, c.ristretto, c.otter))
			require.Len(t, got, 2)
			for i, v := range got {
				assert.Equal(t, c.ok[i], v.OK, v)
				assert.Equal(t, !c.ok[i], strings.HasPrefix(v.String(), "MISSED "))
			}
		})
	}
}
