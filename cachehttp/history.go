package cachehttp

import (
	"sync"
	"time"

	"github.com/tiercache/tiercache"
)

// A reading of the statistics has kilobytes for each cache, so there are few: those that
// the windows begin with, each kept at the pace of its window. All three have about two dozen.
var windows = [...]struct {
	name        string
	long, every time.Duration
}{
	{"now", time.Second, time.Second},
	{"1m", time.Minute, 10 * time.Second},
	{"15m", 15 * time.Minute, 90 * time.Second},
}

// quarter is the window that advice and the rows of caches are about.
const quarter = len(windows) - 1

// history is readings of the past. Safe for concurrent use.
type history struct {
	mu    sync.Mutex                      // guards what follows
	since *tiercache.Stats                // counting starts here; nil: with Open
	past  [len(windows)][]tiercache.Stats // oldest first
}

// add keeps a reading where it is due. The oldest of a window is the last that is as old
// as the window is long.
func (h *history) add(s tiercache.Stats) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, w := range windows {
		past := h.past[i]
		if n := len(past); n > 0 && s.At.Sub(past[n-1].At) < near(w.every) {
			continue
		}
		h.past[i] = append(past[:copy(past, past[begin(past, s.At, w.long):])], s)
	}
}

// restart has counts and windows begin with s.
func (h *history) restart(s tiercache.Stats) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since = &s
	for i := range h.past {
		clear(h.past[i])
		h.past[i] = append(h.past[i][:0], s)
	}
}

// intervals are what happened up to now, since counting started and in each window.
func (h *history) intervals(now tiercache.Stats) (all tiercache.Stats, in [len(windows)]tiercache.Stats) {
	h.mu.Lock()
	since := h.since
	var first [len(windows)]tiercache.Stats
	for i, past := range h.past {
		first[i] = past[begin(past, now.At, windows[i].long)]
	}
	h.mu.Unlock()
	all = now
	if since != nil {
		all = now.Sub(*since)
	}
	for i := range in {
		in[i] = now.Sub(first[i])
	}
	return all, in
}

// begin is the index of the youngest of past that is as old as long, or of the oldest.
func begin(past []tiercache.Stats, now time.Time, long time.Duration) int {
	for i := len(past) - 1; i > 0; i-- {
		if now.Sub(past[i].At) >= near(long) {
			return i
		}
	}
	return 0
}

// near allows for readings that come a little early.
func near(d time.Duration) time.Duration { return d - d/10 }
