package coherence

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/clock"
)

// Verdict says whether an entry that was picked up from memory may be served.
type Verdict uint8

const (
	No    Verdict = iota // read Redis
	Yes                  // serve it
	Again                // read the clock and pick the entry up anew; the second time take it for No
)

// Hearing is what a node knows about how well it hears one master. The zero
// value has heard nothing. Safe for concurrent use; what is asked on the path of
// a memory hit is a load or two and never waits.
type Hearing struct {
	epoch atomic.Uint64
	now   answer // the last good PONG
	prev  answer // the one before it, if nothing was lost in between
	last  atomic.Int64

	losses atomic.Int64 // written under mu

	mu     sync.Mutex // orders the writers of the fields above; guards those below
	heard  bool       // false: the epoch advances before until is set
	lostAt int64
}

// answer is a PONG that was taken in hand. taken is stored before until and read
// after it: whoever sees the until of a PONG sees its taken, or a later one, which
// serves less.
type answer struct {
	until atomic.Int64 // it vouches for memory before this instant; 0: there is none
	taken atomic.Int64
}

func (a *answer) set(taken, until int64) {
	a.taken.Store(taken)
	a.until.Store(until)
}

// Epoch advances when hearing is regained, and at a flush. What was stored under
// another epoch is void. Sample it before the value is read.
func (h *Hearing) Epoch() uint64 { return h.epoch.Load() }

// Fresh judges an entry that was picked up after the clock showed at. Yes: a
// PONG sent less than the bound before at was in hand then, so every push from
// before that had been handled.
//
// It is not enough that such a PONG is in hand now:
//
//	reader: at, picks up e | the push for e, late: e leaves memory | PONG | reader: fresh, serves e
//
// The PONG vouches for what memory was after it was taken, and e is what memory
// was before. If the PONG before that one was in hand at at, and young enough, it
// vouches for e; so Again is rare, and a clock that stands still, in a synctest
// bubble or between two ticks, does not make readers turn in circles.
func (h *Hearing) Fresh(at int64) Verdict {
	if h.now.until.Load() <= at {
		return No
	}
	if h.now.taken.Load() < at {
		return Yes
	}
	return h.before(at)
}

func (h *Hearing) before(at int64) Verdict {
	if h.prev.until.Load() > at && h.prev.taken.Load() < at {
		return Yes
	}
	return Again
}

// LastPong is when the question behind the last good answer was sent; 0: never.
// A loss keeps it: it tells the age of memory while Redis cannot be reached.
func (h *Hearing) LastPong() int64 { return h.last.Load() }

// Losses is how often what was heard came not to count any more: with a connection, a
// message, at a flush, or because the master went out of use.
func (h *Hearing) Losses() int64 { return h.losses.Load() }

// Lose makes what was heard no longer count: nothing is fresh until a question
// that is sent after this call is answered, and the epoch advances before that.
func (h *Hearing) Lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loseLocked()
}

func (h *Hearing) loseLocked() {
	h.now.until.Store(0)
	if h.heard { // who is deaf loses nothing more
		h.losses.Add(1)
	}
	h.heard = false
	h.lostAt = clock.Now()
}

// flushed voids memory at once and not only when hearing is regained: outage
// mode serves entries of the present epoch to the deaf.
func (h *Hearing) flushed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loseLocked()
	h.epoch.Add(1)
}

// pong takes an answer in hand, after everything that the server said before it.
// asked is the older one of when its question was sent and when the master last
// said that it is the master. It reports whether the answer counts.
//
//	question | Lose, for a reason that the answer knows nothing of | answer
//
// That one does not, wherever the loss came from.
func (h *Hearing) pong(sent, asked int64, bound time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sent <= h.lostAt {
		return false
	}
	if !h.heard {
		h.epoch.Add(1)
		h.heard = true
	}
	asked = min(sent, asked)
	h.last.Store(max(h.last.Load(), asked))
	was := h.now.until.Load() // 0 after a loss: then prev vouches for nothing
	h.prev.set(h.now.taken.Load(), was)
	h.now.set(clock.Now(), max(was, asked+int64(bound)))
	return true
}
