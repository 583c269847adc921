package remote

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/clock"
)

// ErrReadOnly is the error of an operation that was not tried, because its master
// has refused writes a moment ago: it has no memory left, say. It can be read.
var ErrReadOnly = errors.New("tiercache: Redis takes no writes at the moment")

const (
	firstTry = 100 * time.Millisecond // doubled each time, with jitter
	lastTry  = 2 * time.Second
)

// valve holds back what only makes values from a master that takes no writes. When
// a pause is over it lets one writer through, and the others when that has written.
// Only a write that was made opens it: a server whose memory is full goes on
// answering scripts that find nothing to write, and removes. Safe for concurrent
// use; open, it takes no lock.
type valve struct {
	addr string // for the log
	log  *slog.Logger

	shut  atomic.Bool  // changed under mu
	tryAt atomic.Int64 // clock.Now when the next write may be tried; set under mu

	mu     sync.Mutex // orders the changes; guards what follows
	trying bool       // one is on its way
	pause  time.Duration
	since  int64 // clock.Now when it opened last
}

// passes tells whether a write would be let through.
func (v *valve) passes() bool { return !v.shut.Load() || v.tryAt.Load() <= clock.Now() }

// admit lets a write through, or not. Of one that is a trial tried has to be told.
func (v *valve) admit() (trial, ok bool) {
	if !v.shut.Load() {
		return false, true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case !v.shut.Load():
		return false, true
	case v.trying || v.tryAt.Load() > clock.Now():
		return false, false
	}
	v.trying = true
	return true, true
}

// tried takes the result of a trial. One that neither wrote nor was refused (it
// found nothing to write, its caller gave up) leaves it to the next.
func (v *valve) tried(wrote, refused bool) {
	v.mu.Lock()
	v.trying = false
	switch {
	case refused:
		v.pause = min(2*v.pause, lastTry)
		v.tryAt.Store(clock.Now() + int64(jittered(v.pause)))
	case wrote:
		v.shut.Store(false)
		v.since = clock.Now()
	}
	v.mu.Unlock()
	if wrote && !refused {
		v.log.Info("tiercache: Redis takes writes again", "addr", v.addr)
	}
}

// refused shuts the valve, if it is not shut.
func (v *valve) refused(err error) {
	v.mu.Lock()
	changed := !v.shut.Load()
	if changed {
		now := clock.Now()
		if now-v.since > int64(steady) {
			v.pause = firstTry
		} else { // it is at its limit, where some writes pass and some do not
			v.pause = min(2*v.pause, lastTry)
		}
		v.tryAt.Store(now + int64(jittered(v.pause)))
		v.shut.Store(true)
	}
	v.mu.Unlock()
	if changed {
		v.log.Warn("tiercache: Redis takes no writes, and is only read", "addr", v.addr, "error", shown(err))
	}
}
