package memory

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A hash may go for another of its batch and come in again: it has its place then.
//
//	Apply: A comes in, H goes for it | H, of less cost, comes in
func TestWhatHasAPlaceAtTheEndOfABatchHasNotLeft(t *testing.T) {
	t.Parallel()
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("ristretto's goroutine does not run beside this one")
	}
	const a, h = 1, 2
	batch := []Change{{a, 80}}
	for i := range uint64(20_000) { // meanwhile ristretto's goroutine decides about A, mostly
		batch = append(batch, Change{Hash: 100 + i})
	}
	batch = append(batch, Change{h, 10})
	again := 0
	for began := time.Now(); again < 3 && time.Since(began) < 30*time.Second; {
		made, err := newRistretto(100, 10)
		require.NoError(t, err)
		p := made.(*ristrettoPolicy)
		require.Empty(t, p.Apply([]Change{{h, 60}}))
		for range 5 {
			for range getBuffer { // a buffer full, which is counted at once
				p.r.Get(a)
			}
		}
		for _, l := range p.Apply(batch) {
			assert.False(t, p.has(l.Hash), "hash %d", l.Hash)
		}
		if p.has(a) && p.has(h) {
			again++
		}
		p.Close()
	}
	assert.Positive(t, again, "it came in again")
}

func TestThePolicyIsNotToldOfAnItemInThePlaceOfOneOfTheSameCost(t *testing.T) {
	t.Parallel()
	c, p := openTold(t)
	c.Set(&Item[int]{Hash: 1, Key: "k"})
	c.settleAll()
	c.Set(&Item[int]{Hash: 1, Key: "k", Meta: 2})
	c.settleAll()
	c.Set(&Item[int]{Hash: 1, Key: "k", Size: 7})
	c.settleAll()
	c.settling.Lock()
	defer c.settling.Unlock()
	small := c.cost(&Item[int]{Key: "k"})
	assert.Equal(t, []Change{{1, small}, {1, small + 7}}, p.changes)
}

// Whichever item of a hash has its place: the policy has decided about the hash.
func TestAnItemThatTookThePlaceOfARefusedOneUnheardGoesWithIt(t *testing.T) {
	t.Parallel()
	c, p := openTold(t)
	c.settling.Lock()
	p.applies = func() []Left {
		c.Set(&Item[int]{Hash: 1, Key: "k", Meta: 2})
		return []Left{{Hash: 1}}
	}
	c.settling.Unlock()
	c.Set(&Item[int]{Hash: 1, Key: "k", Meta: 1})
	assert.Zero(t, c.Len())
	assert.Nil(t, c.Get(1, "k"))
}

// settle: H is told and refused | Set: H, of another cost | lose: H
func TestAnItemThatThePolicyIsYetToHearOfIsNotLost(t *testing.T) {
	t.Parallel()
	c, p := openTold(t)
	later := &Item[int]{Hash: 1, Key: "k", Size: 7}
	c.settling.Lock()
	p.applies = func() []Left {
		p.applies = nil
		c.Set(later)
		return []Left{{Hash: 1}}
	}
	c.settling.Unlock()
	c.Set(&Item[int]{Hash: 1, Key: "k"})
	c.settleAll()
	c.settleAll()
	assert.Same(t, later, c.Get(1, "k"))
	c.settling.Lock()
	defer c.settling.Unlock()
	assert.Equal(t, Change{1, c.cost(later)}, p.changes[len(p.changes)-1], "and it is told")
}
