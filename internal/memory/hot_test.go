package memory

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// feedAll feeds reads as a process does that reads so many between two tellings.
func (s *sketch) feedAll(reads []uint64, each int, now int64) {
	for len(reads) > 0 {
		n := min(each, len(reads))
		recent := reads[max(0, n-recentReads):n]
		s.feed(recent, []run{{uint64(n), len(recent)}}, now)
		reads = reads[n:]
	}
}

func TestTheHottestHashesOfManyAreFound(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]int{"every read is fed": 100, "one read in eight is fed": 1000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.1, 1, 1<<20)
			reads := make([]uint64, 400_000)
			are := make(map[uint64]int)
			for i := range reads {
				reads[i] = z.Uint64()
				are[reads[i]]++
			}
			require.Greater(t, len(are), 2*MostHot, "or nothing has to go")
			var s sketch
			s.feedAll(reads, each, 1)
			assert.LessOrEqual(t, len(s.counts), MostHot)
			assert.InEpsilon(t, len(reads), s.total, 0.01)
			for hash := range uint64(100) { // the hottest: the frequencies of Zipf are in order
				assert.InDelta(t, float64(are[hash]), float64(s.counts[hash]), 0.2*float64(are[hash])+400, "hash %d", hash)
				assert.NotZero(t, s.counts[hash])
			}
		})
	}
}

func TestOfHowEverManyHashesOnlySoManyAreCounted(t *testing.T) {
	t.Parallel()
	var s sketch
	for i := range uint64(6 * MostHot) {
		s.add(i, 1+i%3)
		s.add(7, 1)
		require.LessOrEqual(t, len(s.counts), MostHot)
	}
	assert.InDelta(t, 6*MostHot, s.counts[7], MostHot, "what is read half of the time is not lost among them")
}

func TestATellingFeedsNoMoreThanSoManyReads(t *testing.T) {
	t.Parallel()
	var s sketch
	var hashes []uint64
	var runs []run
	for i := range uint64(1000) {
		hashes = append(hashes, 2*i, 2*i+1)
		runs = append(runs, run{1 + i*i%999, len(hashes)})
	}
	s.feed(hashes, runs, 1)
	assert.LessOrEqual(t, len(s.counts), mostFed)
	assert.NotEmpty(t, s.counts)
}

// A stripe that is read so fast that most of it is forgotten counts as much as it is.
func TestWhatIsForgottenHasItsShare(t *testing.T) {
	t.Parallel()
	c, _ := openTold(t)
	c.settling.Lock()
	defer c.settling.Unlock()
	often, seldom := &Reads{due: func() {}}, &Reads{due: func() {}}
	c.reads = append(c.reads, often, seldom)
	for range 90 * recentReads {
		often.Note(1)
	}
	for range 10 * recentReads {
		seldom.Note(2)
	}
	c.collectLocked()
	assert.InDelta(t, 0.9, float64(c.hot.counts[1])/float64(c.hot.total), 0.02)
	assert.InDelta(t, 0.1, float64(c.hot.counts[2])/float64(c.hot.total), 0.02)
}

func TestWhatWasReadLongAgoCountsLess(t *testing.T) {
	t.Parallel()
	var s sketch
	reads := func(hash uint64, n int) []uint64 {
		all := make([]uint64, n)
		for i := range all {
			all[i] = hash
		}
		return all
	}
	at := int64(time.Hour)
	s.feedAll(reads(1, 1000), 100, at)
	at += int64(halfLife)
	s.feedAll(reads(2, 600), 100, at)
	assert.EqualValues(t, 500, s.counts[1])
	assert.EqualValues(t, 600, s.counts[2])
	assert.EqualValues(t, 1100, s.total)
	s.age(at + 20*int64(halfLife))
	assert.Empty(t, s.counts)
	s.age(at + 1000*int64(halfLife))
	assert.Zero(t, s.total)
}

func TestHotItemsAreThoseThatAreReadMostAndStillStored(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	r := c.NewReads()
	assert.Empty(t, c.Hot(10))
	for n, key := range []string{"seldom", "often", "gone"} {
		c.Set(item(key, n))
		for range 10 * (n + 1) {
			r.Note(Hash(key))
		}
	}
	c.Delete(Hash("gone"), "gone")
	hot := c.Hot(10)
	require.Len(t, hot, 2)
	assert.Equal(t, "often", hot[0].Item.Key)
	assert.InDelta(t, 20./60, hot[0].Share, 0.001)
	assert.Equal(t, "seldom", hot[1].Item.Key)
	assert.InDelta(t, 10./60, hot[1].Share, 0.001)
	require.Len(t, c.Hot(1), 1)
	assert.Equal(t, "often", c.Hot(1)[0].Item.Key)
	assert.Empty(t, c.Hot(0))
	assert.Empty(t, c.Hot(-1))
	c.Close()
	assert.Empty(t, c.Hot(10))
}

func TestWhoAsksForHotItemsIsInNobodysWay(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<16)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := c.NewReads()
			for i := range 5_000 {
				key := strconv.Itoa(g*i%300 + 1)
				c.Set(item(key, i))
				r.Note(Hash(key))
			}
		})
		wg.Go(func() {
			for range 20 {
				for _, is := range c.Hot(50) {
					assert.NotEmpty(t, is.Item.Key)
					assert.LessOrEqual(t, is.Share, 1.)
				}
			}
			if g == 0 {
				c.Close()
			}
		})
	}
	wg.Wait()
}

func BenchmarkFeed(b *testing.B) {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.1, 1, 1<<20)
	var s sketch
	hashes := make([]uint64, 1<<16)
	for i := range hashes {
		hashes[i] = z.Uint64() * 0x9E3779B97F4A7C15
	}
	for i := 0; b.Loop(); i++ {
		some := hashes[i%255*recentReads:][:recentReads]
		s.feed(some, []run{{1000, len(some)}}, 1)
	}
}

// Were each second read the sample, one of the two would have all of the reads.
func TestTwoHashesThatAreReadInTurnHaveHalfOfTheReadsEach(t *testing.T) {
	t.Parallel()
	var s sketch
	turns := make([]uint64, recentReads)
	for i := range turns {
		turns[i] = uint64(i % 2)
	}
	const tellings = 100
	for range tellings {
		s.feed(turns, []run{{reads: recentReads, end: recentReads}}, 0)
	}
	require.EqualValues(t, tellings*recentReads, s.total)
	require.InDelta(t, 0.5, float64(s.counts[0])/float64(s.total), 0.1)
}
