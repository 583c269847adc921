package latency

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAQuantileIsAtMostAnEighthTooLarge(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var h Histogram
	var all []time.Duration
	var sum time.Duration
	for range 10_000 {
		d := time.Duration(rng.Uint64() >> (27 + rng.IntN(37))) // up to 2^37 ns, each size alike
		h.Add(d)
		all = append(all, d)
		sum += d
	}
	slices.Sort(all)
	c := h.Counts()
	assert.EqualValues(t, len(all), c.N)
	assert.Equal(t, sum, c.Sum)
	assert.Equal(t, sum/10_000, c.Mean())
	for _, q := range []float64{0, 0.001, 0.5, 0.95, 0.99, 1} {
		want := all[max(0, int(q*10_000)-1)]
		got := c.Quantile(q)
		assert.GreaterOrEqual(t, got, want, "%v", q)
		assert.LessOrEqual(t, got, want+want/8, "%v", q)
	}
}

func TestOfNothingEverythingIsZero(t *testing.T) {
	t.Parallel()
	var h Histogram
	c := h.Counts()
	assert.Zero(t, c)
	assert.Zero(t, c.Mean())
	assert.Zero(t, c.Quantile(0.99))
}

func TestWhatIsNegativeCountsAsNothingAndTheLongestIsCapped(t *testing.T) {
	t.Parallel()
	var h Histogram
	h.Add(-time.Second)
	h.Add(1 << 62)
	c := h.Counts()
	assert.EqualValues(t, 2, c.N)
	assert.Zero(t, c.Quantile(0.5))
	assert.Equal(t, time.Duration(1<<37-1), c.Quantile(1))
}

func TestCountsMergeAndNothingIsLostAmongGoroutines(t *testing.T) {
	t.Parallel()
	var a, b Histogram
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1_000 {
				a.Add(time.Duration(i))
				b.Add(time.Millisecond)
			}
		})
	}
	wg.Wait()
	c, o := a.Counts(), b.Counts()
	c.Merge(&o)
	require.EqualValues(t, 8_000, c.N)
	assert.Less(t, c.Quantile(0.5), time.Millisecond)
	assert.GreaterOrEqual(t, c.Quantile(0.51), time.Millisecond)
}

func TestWhatCameInBetweenIsAsIfItWereAlone(t *testing.T) {
	t.Parallel()
	var h, alone Histogram
	for i := range 1000 {
		h.Add(time.Duration(i) * time.Second)
	}
	earlier := h.Counts()
	for i := range 100 {
		h.Add(time.Duration(i) * time.Microsecond)
		alone.Add(time.Duration(i) * time.Microsecond)
	}
	later := h.Counts()
	assert.Equal(t, alone.Counts(), later.Since(&earlier))
	assert.Equal(t, Counts{}, earlier.Since(&later), "nothing is negative")
}
