package main

import (
	"sync"
	"time"
)

// rule is what every read is held to, in words and, below, in code.
const rule = `The rule: a change is answered at a time T, by one instance. A read that begins later shows it, or something newer,
  on that instance        if it begins after T;
  on another              if it begins more than %[1]v after T (the staleness bound);
  while Redis is away     more than %[1]v + %[2]v after T (the outage staleness of these instances), and
  when all say it is back more than %[1]v after that, whatever was changed meanwhile.
`

const (
	bound  = time.Second     // the library's default
	outage = 3 * time.Second // -outage-staleness of each instance; the library's default is a minute
)

// write is a change that was answered.
type write struct {
	version int
	at      time.Time
	by      life
}

// life is one process of a node: what an earlier one answered is another's for it.
type life struct{ node, number int }

// away is a time without Redis: from before it was killed until every instance has
// said that it is in use again, and that nothing waits for it.
type away struct{ from, to time.Time } // to is zero while it lasts

func (a away) has(t time.Time) bool {
	return !a.from.IsZero() && !t.Before(a.from) && (a.to.IsZero() || !t.After(a.to))
}

// history is every change, and judges every read.
type history struct {
	mu     sync.Mutex // guards what follows
	writes map[int64][]write
	away   away
}

func (h *history) wrote(user int64, w write) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.writes == nil {
		h.writes = make(map[int64][]write)
	}
	h.writes[user] = append(h.writes[user], w)
}

func (h *history) setAway(a away) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = a
}

// need is the least version that a read of a user may show, which began at a time in
// that process.
func (h *history) need(user int64, by life, began time.Time) (least int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.writes[user] {
		if began.After(h.dueLocked(w, by, began)) {
			least = max(least, w.version)
		}
	}
	return least
}

// dueLocked is when a change has to show to a read that began at a time.
func (h *history) dueLocked(w write, by life, began time.Time) time.Time {
	switch {
	case w.by == by:
		return w.at
	case h.away.has(began):
		return w.at.Add(bound + outage)
	case h.away.has(w.at):
		return h.away.to.Add(bound)
	}
	return w.at.Add(bound)
}
