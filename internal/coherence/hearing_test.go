package coherence

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache/internal/clock"
)

const (
	bound = time.Second
	tick  = time.Nanosecond
)

// bubbled runs a test in fake time.
func bubbled(t *testing.T, test func(t *testing.T, h *Hearing)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, &Hearing{}) })
}

// ping is a question, sent now, and its answer, taken in hand after a delay.
func ping(h *Hearing, delay time.Duration) bool {
	sent := clock.Now()
	time.Sleep(delay)
	return h.pong(sent, sent, bound)
}

func TestNothingIsFreshBeforeTheFirstAnswer(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		assert.Equal(t, No, h.Fresh(clock.Now()))
		assert.Zero(t, h.LastPong())
	})
}

func TestALossIsCountedOnceUntilHearingIsRegained(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		h.Lose()
		assert.Zero(t, h.Losses(), "nothing was heard")
		for i := range int64(3) {
			time.Sleep(tick)
			assert.True(t, ping(h, tick))
			assert.Equal(t, i, h.Losses())
			if i == 1 {
				h.flushed()
			}
			h.Lose()
			h.Lose()
			assert.Equal(t, i+1, h.Losses())
		}
	})
}

func TestAnAnswerCountsForTheBoundFromItsQuestion(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		sent := clock.Now()
		assert.True(t, ping(h, bound/2))
		assert.Equal(t, sent, h.LastPong())
		time.Sleep(bound/2 - tick)
		assert.Equal(t, Yes, h.Fresh(clock.Now()))
		time.Sleep(tick)
		assert.Equal(t, No, h.Fresh(clock.Now()))
	})
}

func TestAnAnswerCountsFromWhenTheMasterWasAskedIfThatIsEarlier(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		asked := clock.Now()
		time.Sleep(bound - 2*tick)
		h.pong(clock.Now(), asked, bound)
		time.Sleep(tick)
		assert.Equal(t, Yes, h.Fresh(clock.Now()))
		time.Sleep(tick)
		assert.Equal(t, No, h.Fresh(clock.Now()))
		assert.Equal(t, asked, h.LastPong())
	})
}

// reader: at, picks up e | the push for e, late | PONG, fresh | reader judges e
func TestAReaderWhomAnAnswerOvertookLooksAgain(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		at := clock.Now()
		time.Sleep(tick)
		ping(h, 0)
		assert.Equal(t, Again, h.Fresh(at))
		time.Sleep(tick)
		assert.Equal(t, Yes, h.Fresh(clock.Now()))
	})
}

// The same where the one before is long past its bound.
func TestAnOldAnswerDoesNotVouchForAReaderWhomANewOneOvertook(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		ping(h, 0)
		time.Sleep(bound)
		at := clock.Now()
		time.Sleep(tick)
		ping(h, 0)
		assert.Equal(t, Again, h.Fresh(at))
	})
}

func TestAReaderWhomAnAnswerOvertookIsServedByTheOneBefore(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		ping(h, 0)
		time.Sleep(bound / 4)
		at := clock.Now()
		assert.Equal(t, Yes, h.Fresh(at))
		ping(h, 0)
		assert.Equal(t, Yes, h.Fresh(at), "at the same instant: who came first is not known")
		time.Sleep(bound / 4)
		ping(h, 0)
		assert.Equal(t, Again, h.Fresh(at), "the answer that vouched for it is forgotten")
	})
}

func TestTheEpochAdvancesBeforeAnythingIsFreshAgain(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		time.Sleep(tick)
		ping(h, 0)
		first := h.Epoch()
		ping(h, tick)
		assert.Equal(t, first, h.Epoch(), "nothing was lost")
		last := h.LastPong()
		h.Lose()
		assert.Equal(t, No, h.Fresh(clock.Now()))
		assert.Equal(t, last, h.LastPong(), "kept for outage mode")
		assert.Equal(t, first, h.Epoch(), "outage mode serves it while deaf")
		time.Sleep(tick)
		assert.True(t, ping(h, tick))
		assert.Greater(t, h.Epoch(), first)
		time.Sleep(tick)
		assert.Equal(t, Yes, h.Fresh(clock.Now()))
	})
}

func TestAnAnswerToAQuestionFromBeforeTheLossDoesNotCount(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		sent := clock.Now()
		time.Sleep(tick)
		h.Lose()
		epoch := h.Epoch()
		time.Sleep(tick)
		assert.False(t, h.pong(sent, sent, bound))
		time.Sleep(tick)
		assert.Equal(t, No, h.Fresh(clock.Now()))
		assert.Equal(t, epoch, h.Epoch())
	})
}

func TestTheAnswerBeforeALossDoesNotVouchForWhatCameAfter(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		ping(h, 0)
		time.Sleep(tick)
		h.Lose()
		at := clock.Now()
		time.Sleep(tick)
		ping(h, tick)
		assert.Equal(t, Again, h.Fresh(at))
	})
}

func TestAFlushVoidsTheEpochAtOnce(t *testing.T) {
	bubbled(t, func(t *testing.T, h *Hearing) {
		ping(h, 0)
		time.Sleep(tick)
		epoch := h.Epoch()
		h.flushed()
		assert.Greater(t, h.Epoch(), epoch)
		assert.Equal(t, No, h.Fresh(clock.Now()))
	})
}

// Memory is one word, "old" until a push is handled. A server that changes it
// answers each PING after the push of what changed before. No reader may be told
// Yes for what changed longer than the bound before it looked.
func TestUnderConcurrencyNobodyIsToldYesForWhatIsOlderThanTheBound(t *testing.T) {
	t.Parallel()
	const bound = 200 * time.Microsecond
	var h Hearing
	var memory atomic.Int64     // the instant at which what it holds ceased to be true; 0: it is true
	var epochBorn atomic.Uint64 // the epoch memory was filled in
	var stop atomic.Bool
	var readers sync.WaitGroup
	var yes atomic.Int64
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				at := clock.Now()
				wrongSince, born := memory.Load(), epochBorn.Load()
				if born == h.Epoch() && h.Fresh(at) == Yes {
					yes.Add(1)
					if wrongSince != 0 && at-wrongSince >= int64(bound) {
						t.Errorf("served %v after it changed, bound %v", time.Duration(at-wrongSince), bound)
						return
					}
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		if rng.IntN(8) == 0 {
			h.Lose()
		}
		if rng.IntN(2) == 0 {
			memory.Store(clock.Now()) // changed at the server; the push is on its way
		}
		for pause := clock.Now() + rng.Int64N(2*int64(bound)); clock.Now() < pause; {
		}
		sent := clock.Now()
		epochBorn.Store(1 << 62) // the push is handled: e goes from memory
		memory.Store(0)
		h.pong(sent, sent, bound)
		epochBorn.Store(h.Epoch())
	}
	stop.Store(true)
	readers.Wait()
	assert.Positive(t, yes.Load(), "somebody was served")
}
