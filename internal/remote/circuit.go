package remote

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/clock"
)

// How a circuit opens, and closes again. A master that returns just after a probe
// was sent is asked lastProbe later at most, and believed after holdOff: 2.5 s in
// all, and the time that a probe and the replay take.
const (
	failLimit  = 3                     // failures in a row; a server that refuses needs one
	firstProbe = 50 * time.Millisecond // doubled each time, with jitter
	lastProbe  = 1500 * time.Millisecond
	// holdOff is how long a master that answers again is not believed: the
	// invalidations that others could not send meanwhile are to be in first.
	holdOff    = time.Second
	holdGlance = 20 * time.Millisecond
	// steady is how long a circuit has to be closed for its next outage to be a new
	// one: until then the pauses between probes go on growing.
	steady = 10 * time.Second
)

// state of a circuit. Reads, leases and fills need closed; what removes is sent
// while replaying too.
type state int32

const (
	closed state = iota
	open
	replaying // the master answers, and this node's journal, then the others', go first
)

func (s state) String() string { return [...]string{"closed", "open", "replaying"}[s] }

// circuit decides whether a master is used:
//
//	closed --failures--> open --a probe is answered--> replaying --replayed, held off--> closed
//	                      ^-----------failures---------------'
//
// Anybody's failure opens it; the one who probes does the rest, so there is no trial
// whose result can get lost and leave it open for good. Safe for concurrent use; it
// is asked without a lock.
type circuit struct {
	addr   string // for the log
	log    *slog.Logger
	opened chan struct{} // tells the one who probes

	state   atomic.Int32 // changed under mu
	fails   atomic.Int32 // in a row
	opens   atomic.Int64 // how often it has opened
	probeAt atomic.Int64 // clock.Now when the next probe is due; 0: none is waited for

	mu    sync.Mutex    // orders the changes of state; guards what follows
	pause time.Duration // the last one between probes, without jitter
	since int64         // clock.Now when it closed last
}

func (c *circuit) is(s state) bool { return state(c.state.Load()) == s }

// answered ends a row of failures.
func (c *circuit) answered() {
	if c.fails.Load() != 0 {
		c.fails.Store(0)
	}
}

// failed counts a failure, which opens the circuit if it is the last of a row, or
// at once. It tells whether it has opened by this one.
func (c *circuit) failed(err error, atOnce bool) bool {
	if c.log.Enabled(context.Background(), slog.LevelDebug) { // no text is made for nobody
		c.log.Debug("tiercache: Redis has failed once", "addr", c.addr, "error", shown(err))
	}
	if c.fails.Add(1) < failLimit && !atOnce {
		return false
	}
	c.mu.Lock()
	if c.is(open) {
		c.mu.Unlock()
		return false
	}
	now := clock.Now()
	if c.is(closed) && now-c.since > int64(steady) {
		c.pause = firstProbe
	} else {
		c.pause = longer(c.pause, lastProbe)
	}
	c.probeAt.Store(now + int64(jittered(c.pause)))
	c.opens.Add(1)
	c.state.Store(int32(open))
	c.mu.Unlock()
	c.log.Warn("tiercache: Redis is out of use", "addr", c.addr, "error", shown(err))
	select {
	case c.opened <- struct{}{}:
	default:
	}
	return true
}

// missed puts off the next probe, because the one that was sent then has failed.
// The pause counts from there: a probe may take its whole budget to fail.
func (c *circuit) missed(sent int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(open) {
		c.pause = longer(c.pause, lastProbe)
		c.probeAt.Store(max(sent+int64(jittered(c.pause)), clock.Now()+int64(firstProbe/2)))
	}
}

func (c *circuit) replay() { c.turn(open, replaying, "tiercache: Redis answers again") }
func (c *circuit) close()  { c.turn(replaying, closed, "tiercache: Redis is in use again") }
func (c *circuit) turn(from, to state, text string) {
	c.mu.Lock()
	changed := c.is(from)
	if changed {
		c.fails.Store(0)
		c.probeAt.Store(0)
		c.state.Store(int32(to))
		if to == closed {
			c.since = clock.Now()
		}
	}
	c.mu.Unlock()
	if changed {
		c.log.Info(text, "addr", c.addr)
	}
}

// until is how long from now to an instant of clock.Now, 0 if that is over.
func until(at int64) time.Duration { return time.Duration(max(0, at-clock.Now())) }

func longer(pause, most time.Duration) time.Duration { return min(max(2*pause, firstProbe), most) }

// jittered is between half of d and d, so that a fleet does not knock in step.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// shown is what a log may have of an error: a server that does not know a command
// quotes its arguments, which may be keys or a password.
func shown(err error) string {
	text, _, _ := strings.Cut(err.Error(), ", with args beginning with")
	return text
}
