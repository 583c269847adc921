package compare

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chiSquare is how far 200,000 draws of one law are from another: its first 20
// ranks, and the rest as a 21st.
func chiSquare(drawn, law zipf, seed uint64) (sum float64) {
	const draws, ranks = 200_000, 20
	var got [ranks + 1]float64
	r := rand.New(rand.NewPCG(seed, 0))
	for range draws {
		got[min(drawn.draw(r), ranks)]++
	}
	rest := 1.0
	for i := range ranks {
		rest -= law.weight(i)
	}
	for i, n := range got {
		want := draws * rest
		if i < ranks {
			want = draws * law.weight(i)
		}
		sum += (n - want) * (n - want) / want
	}
	return sum
}

func TestRanksAreDrawnByZipfsLaw(t *testing.T) {
	t.Parallel()
	const once = 45.3 // 20 degrees of freedom pass this in one run of a thousand
	flat, steep := newZipf(0.9, 1_000), newZipf(1.01, 1_000)
	for seed := range uint64(5) {
		assert.Less(t, chiSquare(flat, flat, seed), once)
		assert.Less(t, chiSquare(steep, steep, seed), once)
		assert.Greater(t, chiSquare(flat, steep, seed), 10*once, "the test tells one law from the other")
	}
	assert.InEpsilon(t, 1/1.8660659830736148, flat.weight(1)/flat.weight(0), 1e-9, "2 to the power of -0.9")
}

func TestATraceIsTheSameForTheSameSeed(t *testing.T) {
	t.Parallel()
	for _, s := range Shapes() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			a, b := s.Draw(7, 1_000, 5_000, 100), s.Draw(7, 1_000, 5_000, 100)
			require.Equal(t, a, b)
			require.Len(t, a.Reads, 5_000)
			for _, id := range a.Reads {
				require.Less(t, int(id), a.Keys)
			}
			other := s.Draw(8, 1_000, 5_000, 100)
			assert.Equal(t, s.Name == "loop", assert.ObjectsAreEqual(a.Reads, other.Reads), "a loop has no chance in it")
		})
	}
}

func shape(t *testing.T, name string) Shape {
	for _, s := range Shapes() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no shape %q", name)
	return Shape{}
}

func TestAScanAsksOnceForKeysThatNobodyElseAsksFor(t *testing.T) {
	t.Parallel()
	const keys = 1_000
	trace := shape(t, "scans").Draw(1, keys, 20_000, 100)
	seen := make(map[uint32]int)
	for _, id := range trace.Reads {
		seen[id]++
	}
	for id := uint32(keys); int(id) < trace.Keys; id++ {
		require.Equal(t, 1, seen[id], "key %d of %d", id, trace.Keys)
	}
}

func TestALoopIsAFifthLongerThanWhatFits(t *testing.T) {
	t.Parallel()
	trace := shape(t, "loop").Draw(1, 1_000, 500, 100)
	assert.Equal(t, 120, trace.Keys)
	assert.Equal(t, trace.Reads[:120], trace.Reads[120:240])
	assert.EqualValues(t, 119, trace.Reads[119])
}

func TestWhatIsPopularStaysSoUnlessPopularityShifts(t *testing.T) {
	t.Parallel()
	first := func(reads []uint32) (most uint32) {
		n := make(map[uint32]int)
		for _, id := range reads {
			if n[id]++; n[id] > n[most] {
				most = id
			}
		}
		return most
	}
	for name, stays := range map[string]bool{"Zipf 1.01": true, "shifting": false} {
		reads := shape(t, name).Draw(3, 1_000, 20_000, 100).Reads
		assert.Equal(t, stays, first(reads[:4_000]) == first(reads[16_000:]), name)
	}
}
