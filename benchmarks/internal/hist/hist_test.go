package hist

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestEveryDurationIsInABucketThatIsAtMostAHundredthTooLarge(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		v := r.Uint64() >> (1 + r.UintN(63))
		i := bucket(v)
		assert.GreaterOrEqual(t, upper(i), v)
		assert.LessOrEqual(t, float64(upper(i)-v), float64(v)/fine)
		if v > 0 {
			assert.LessOrEqual(t, bucket(v-1), i)
		}
	}
	assert.Less(t, bucket(math.MaxInt64), len(Hist{}.counts))
}

func TestPercentilesAreThoseOfTheSortedList(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2))
	var a, b Hist
	var all []time.Duration
	for i := range 1001 {
		d := time.Duration(r.Int64N(int64(time.Second)))
		all = append(all, d)
		[]*Hist{&a, &b}[i%2].Add(d)
	}
	a.Merge(&b)
	slices.Sort(all)
	for _, p := range []float64{1, 50, 99, 100} {
		exact := all[int(math.Ceil(p/100*float64(len(all))))-1]
		assert.InEpsilon(t, float64(exact), float64(a.Percentile(p)), 1.0/fine, p)
	}
	assert.Equal(t, all[1000], a.Max())
	assert.EqualValues(t, 1001, a.N())
	assert.Zero(t, new(Hist).Percentile(50))
	assert.Zero(t, new(Hist).Mean())
}
