package cachehttp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	mostStreams  = 32
	eventEvery   = time.Second
	idleEvery    = 10 * time.Second // between readings while nobody watches
	writeTimeout = 5 * time.Second  // for one event: whoever does not take it is cut off
	askAgain     = time.Minute      // whether a stream may still read
)

// sample takes readings until the Handler ends: each second while there are streams, and
// else as the longer windows need them.
func (h *Handler) sample() {
	defer h.hub.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.hub.first:
		case <-timer.C:
		}
		now := h.tiers.Stats()
		h.history.add(now)
		pause := idleEvery
		if h.hub.watched() {
			h.hub.publish(event(h.snapshot(now)))
			pause = eventEvery
		}
		timer.Reset(pause)
	}
}

// event is the data of an event, without the end of the list Allowed, which is the last
// of a Snapshot and each stream's own.
func event(s Snapshot) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return nil // a bug, since no type here can fail
	}
	return bytes.TrimSuffix(b, []byte("[]}"))
}

// hub hands events to the streams. Each has a box for one: who has not taken the last when
// the next comes gets the next only. Safe for concurrent use.
type hub struct {
	first chan struct{} // has one when there is a stream where there was none

	mu     sync.Mutex // guards what follows
	boxes  map[chan []byte]struct{}
	last   []byte // the last event; nil while there are no streams
	closed bool
}

func newHub() hub {
	return hub{first: make(chan struct{}, 1), boxes: make(map[chan []byte]struct{})}
}

// join returns a box, which is closed when the hub is; nil if there are too many.
func (b *hub) join() (box chan []byte, leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.boxes) >= mostStreams {
		return nil, nil
	}
	box = make(chan []byte, 1)
	b.boxes[box] = struct{}{}
	if b.last != nil {
		box <- b.last
	} else {
		select {
		case b.first <- struct{}{}:
		default:
		}
	}
	return box, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if delete(b.boxes, box); len(b.boxes) == 0 {
			b.last = nil
		}
	}
}

func (b *hub) watched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.boxes) > 0
}

func (b *hub) publish(event []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if event == nil || len(b.boxes) == 0 {
		return
	}
	b.last = event
	for box := range b.boxes {
		select {
		case <-box:
		default:
		}
		box <- event // there is room: nobody else puts anything in without b.mu
	}
}

func (b *hub) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.last = true, nil
	for box := range b.boxes {
		close(box)
		delete(b.boxes, box)
	}
}

// stream sends a Snapshot each second, as server-sent events.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) {
	if !h.reader(w, r) {
		return
	}
	c := http.NewResponseController(w)
	// A deadline for reading, of a server that has one, would end the request.
	if c.SetReadDeadline(time.Time{}) != nil || c.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
		fail(w, http.StatusInternalServerError, "a stream needs deadlines, and what is around the ResponseWriter has no Unwrap, see http.ResponseController")
		return
	}
	box, leave := h.hub.join()
	if box == nil {
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, "too many streams, or it is closed")
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx keeps events back
	w.WriteHeader(http.StatusOK)
	if c.Flush() != nil {
		return
	}
	tail, asked := h.tail(r), time.Now()
	for {
		select {
		case <-r.Context().Done():
			return
		case event, ok := <-box:
			if !ok {
				return
			}
			if time.Since(asked) >= askAgain {
				if _, err := h.may(r, "read"); err != nil {
					return
				}
				tail, asked = h.tail(r), time.Now()
			}
			if send(w, c, event, tail) != nil {
				return
			}
		}
	}
}

// tail is the end of each event of the request's stream.
func (h *Handler) tail(r *http.Request) []byte {
	b, err := json.Marshal(h.allowed(r))
	if err != nil { // a bug, since it is a list of words
		b = []byte("[]")
	}
	return append(b, "}\n\n"...)
}

func send(w http.ResponseWriter, c *http.ResponseController, event, tail []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	for _, part := range [][]byte{[]byte("data: "), event, tail} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return c.Flush()
}
