package memory

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// told is a policy that has room for everything and keeps what it is told.
type told struct {
	reads   []uint64
	changes []Change
	applies func() []Left // nil: nothing
}

func (p *told) Apply(batch []Change) []Left {
	p.changes = append(p.changes, batch...)
	if p.applies != nil {
		return p.applies()
	}
	return nil
}

func (p *told) Touch(hashes []uint64) { p.reads = append(p.reads, hashes...) }
func (p *told) Close()                {}

func openTold(t *testing.T) (*Cache[int], *told) {
	p := new(told)
	c, err := New(Config[int]{MaxBytes: 1 << 20, Now: sinceBase,
		Policy: func(int64, int64) (Policy, error) { return p, nil }})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, p
}

func TestThePolicyIsToldOfEachReadOnceAndInOrder(t *testing.T) {
	t.Parallel()
	c, _ := openTold(t)
	c.settling.Lock() // not by the goroutine that would tell it before long
	defer c.settling.Unlock()
	r := &Reads{due: func() {}}
	c.reads = append(c.reads, r)
	var want, got []uint64
	for round := range 5 {
		for i := range uint64(50) {
			r.Note(uint64(round)<<32 | i)
			want = append(want, uint64(round)<<32|i)
		}
		got = append(got, c.collectLocked()...)
		assert.ElementsMatch(t, want, got)
		assert.Empty(t, c.collectLocked(), "nothing new")
	}
	assert.EqualValues(t, len(want), r.Count())
}

func TestOfTooManyReadsTheLatestAreTold(t *testing.T) {
	t.Parallel()
	c, _ := openTold(t)
	c.settling.Lock()
	defer c.settling.Unlock()
	r := &Reads{due: func() {}}
	c.reads = append(c.reads, r)
	for i := range uint64(10 * recentReads) {
		r.Note(i)
	}
	got := c.collectLocked()
	require.Len(t, got, recentReads)
	assert.EqualValues(t, 9*recentReads, got[0])
	assert.EqualValues(t, 10*recentReads, r.Count())
}

// What the policy has not heard of it would keep, and room for it, until it finds it
// least worth that.
func TestThePolicyIsToldOfWhatIsDeleted(t *testing.T) {
	t.Parallel()
	c, p := openTold(t)
	it := &Item[int]{Hash: 42, Key: "k"}
	c.Set(it)
	c.settleAll()
	c.Delete(42, "k")
	c.settleAll()
	c.settling.Lock() // the goroutine that settles may have come first
	defer c.settling.Unlock()
	assert.Equal(t, []Change{{Hash: 42, Cost: c.cost(it)}, {Hash: 42}}, p.changes)
}

// settle: looks at the stripe | Set: it is due already | settle: nothing is due any more
func TestAChangeDuringABatchIsToldInTheNext(t *testing.T) {
	t.Parallel()
	c, p := openTold(t)
	next := uint64(2)
	c.settling.Lock()
	p.applies = func() []Left {
		if next < 10 {
			c.Set(&Item[int]{Hash: next, Key: "k"})
			next++
		}
		return nil
	}
	c.settling.Unlock()
	c.Set(&Item[int]{Hash: 1, Key: "k"})
	require.Eventually(t, func() bool {
		c.settling.Lock()
		defer c.settling.Unlock()
		return len(p.changes) == 9
	}, 10e9, 1e6)
}

// A bulk of hits is noted on one stack, faster than anybody is told.
func TestABurstOfReadsIsToldWhole(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	c.settling.Lock() // nobody tells meanwhile
	defer c.settling.Unlock()
	r := &Reads{due: func() {}}
	c.reads = []*Reads{r}
	const burst = 200
	for i := range uint64(burst) {
		r.Note(i)
	}
	assert.Len(t, c.collectLocked(), burst)
}

func TestManyReadsWakeTheOneWhoTells(t *testing.T) {
	t.Parallel()
	c, p := openTold(t)
	r := c.NewReads()
	for r.Note(42)%tellAfter != 0 { // in another stripe, if the stack moves
	}
	require.Eventually(t, func() bool {
		c.settling.Lock()
		defer c.settling.Unlock()
		return len(p.reads) == int(r.Count())
	}, 10e9, 1e6)
}

func TestReadsAreCountedByAll(t *testing.T) {
	t.Parallel()
	c, _ := openTold(t)
	r := c.NewReads()
	var all sync.WaitGroup
	for g := range uint64(8) {
		all.Go(func() {
			for range 5_000 {
				r.Note(g)
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 40_000, r.Count())
}

func TestTheCallersStackPicksAStripeAndStaysWithIt(t *testing.T) {
	t.Parallel()
	c, _ := openTold(t)
	r := &Reads{due: c.due}
	for i := range uint64(100) {
		r.Note(i)
	}
	used := 0
	for i := range r.stripes {
		if r.stripes[i].n.Load() > 0 {
			used++
		}
	}
	assert.LessOrEqual(t, used, 3, "a stack may grow and move meanwhile")
}
