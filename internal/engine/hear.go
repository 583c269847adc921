package engine

import (
	"strings"

	"github.com/tiercache/tiercache/internal/memory"
)

// listener is a place to wait for a push of one key.
type listener struct {
	heard chan struct{} // closed by the push
	n     int           // who waits; guarded by the shard's lock
}

// listen returns a channel that is closed when rkey changes in Redis. Asked for
// before the key is read, it misses nothing. Release it in the end.
func (e *Engine) listen(hash uint64, rkey string) (heard <-chan struct{}, release func()) {
	s := e.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.waiting[rkey]
	if l == nil {
		if s.waiting == nil {
			s.waiting = make(map[string]*listener)
		}
		l = &listener{heard: make(chan struct{})}
		s.waiting[rkey] = l
	}
	l.n++
	return l.heard, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.n--; l.n == 0 && s.waiting[rkey] == l {
			delete(s.waiting, rkey)
		}
	}
}

// Changed is called for each key that changed in Redis: coherence.Handler.
func (e *Engine) Changed(rkey string) {
	key := rkey[min(len(e.prefix), len(rkey)):]
	if strings.HasPrefix(key, "~") {
		e.changedRecord(key)
		return
	}
	e.heardOf(key)
}

// heardOf is the pass for a key that somebody, this node too, has changed in
// Redis: a read that began before may not enter memory, and what is there goes,
// unless it may be this node's own fill that is heard of.
func (e *Engine) heardOf(key string) {
	hash := memory.Hash(key)
	s := e.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushed.Add(1)
	if it := e.mem.Get(hash, key); it != nil {
		if it.Meta.heard && now() < it.Meta.own {
			e.doubtLocked(it)
		} else {
			e.mem.Delete(hash, key)
		}
	}
	if l := s.waiting[e.prefix+key]; l != nil {
		close(l.heard)
		delete(s.waiting, e.prefix+key)
	}
}

// Flushed is called after the epoch has advanced, which voids what memory has.
func (e *Engine) Flushed() { e.tags.forgetClock() }

// Message is called for each message of the control channel. What this node said
// itself it has done: its local passes are around the message.
func (e *Engine) Message(payload string) {
	<-e.opened // it may come before Open has returned
	ok := eachNews(payload, func(sender string, kind byte, text string) {
		if sender != e.id {
			e.recent.noteNews(kind, text)
		}
		switch {
		case sender == e.id:
		case kind == newsKey:
			e.heardOf(text)
		case kind == newsPattern:
			e.patterns.issue(text)
		case kind == newsTag:
			e.tags.forgetClock()
			for _, name := range e.tagNames(text) {
				if t := e.tags.seen(name); t != nil {
					t.forget()
				}
			}
		}
	})
	if !ok {
		e.log.Warn("tiercache: a message on the control channel is not understood; are there different versions of the library?")
		for i := range e.shards { // it may have been about anything
			s := &e.shards[i]
			s.mu.Lock()
			s.pushed.Add(1)
			s.mu.Unlock()
		}
		e.patterns.issue("*")
		e.tags.forgetAll()
	}
}
