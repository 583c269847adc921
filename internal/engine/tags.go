package engine

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/remote"
)

// A tag is invalidated by giving it another generation: a new nonce in its record
// in Redis. A value carries the nonces of its tags and counts while they are the
// tags'. Clear is a tag that every value of a cache has, and one that all have; in
// a cluster each group of slots has its own record of those.
//
// The names of tags here say what they are: "t:" and the user's tag, "c:" and a
// cache, "all"; the last two are scopes, of a tag for each group.

const (
	mostTags  = 1 << 16 // that a node knows at a time
	tagLife   = 24 * time.Hour
	allTag    = "all"
	clearTags = 2 // the first of every value: of Clear
)

func userTag(name string) string  { return "t:" + name }
func cacheTag(name string) string { return "c:" + name }

// tagTable has the tags that this node knows. Safe for concurrent use.
type tagTable struct {
	// seq numbers the local invalidations of tags. What was sampled before one is
	// void, whatever generation it turns out to have.
	seq atomic.Uint64

	mu    sync.RWMutex // guards what follows; taken before a tag's own
	known map[string]*tag
	floor uint64 // invalidations of tags that were forgotten are not later than this

	clock atomic.Pointer[remote.Tick] // a reading of the prefix clock; an old one only errs on the safe side
}

// tag is what this node knows of one tag.
type tag struct {
	name    string
	current atomic.Pointer[gen] // nil: not known
	voided  atomic.Uint64       // sequence of the last local invalidation

	mu    sync.Mutex // guards what follows, and writes of the above
	moved uint64     // counts what could have changed the record
	last  *gen       // the one learnt last, to be current again if the record has not changed
	gone  bool       // forgotten: another object stands for the tag
}

// gen is a generation of a tag. Two reads of the same record in one
// epoch are the same gen, so that items compare pointers.
type gen struct {
	of    *tag
	nonce envelope.Token
	local bool // of this node alone: without Redis, or until it can be asked

	ear   *coherence.Hearing
	epoch uint64

	// rest is what may change of the record while its nonce stays.
	rest atomic.Pointer[rest]
}

type rest struct {
	birth remote.Tick
	until time.Time
}

// serves tells whether an item with this generation may be served.
func (g *gen) serves(m *meta, at int64) service {
	if ablate.Out(ablate.TagCompare) {
		return yes
	}
	if g.of.current.Load() != g {
		return no
	}
	if g.ear == m.ear && g.epoch == m.epoch {
		return yes
	}
	if g.ear == nil || g.epoch != g.ear.Epoch() {
		return no
	}
	switch g.ear.Fresh(at) {
	case coherence.Yes:
		return yes
	case coherence.Again:
		return again
	}
	return no
}

// holds tells whether it is the tag's generation now, as far as is heard. Asked
// in this order, whatever was pushed before the last PONG counts.
func (g *gen) holds() bool {
	if ablate.Out(ablate.TagCompare) {
		return true
	}
	if !g.local && (g.ear == nil || g.epoch != g.ear.Epoch() || g.ear.Fresh(now()) == coherence.No) {
		return false
	}
	return g.of.current.Load() == g
}

// of returns the tag of that name.
func (t *tagTable) of(name string) *tag {
	t.mu.RLock()
	g := t.known[name]
	t.mu.RUnlock()
	if g != nil {
		return g
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if g = t.known[name]; g != nil {
		return g
	}
	if t.known == nil {
		t.known = make(map[string]*tag)
	}
	if len(t.known) >= mostTags {
		t.makeRoomLocked()
	}
	g = &tag{name: name}
	g.voided.Store(t.floor)
	t.known[name] = g
	return g
}

// seen is the tag of that name if this node knows it.
func (t *tagTable) seen(name string) *tag {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.known[name]
}

// makeRoomLocked forgets an eighth of the tags. What was stored under them is
// void: it has generations of a tag that is gone.
func (t *tagTable) makeRoomLocked() {
	t.floor = t.seq.Load()
	n := len(t.known) / 8
	for name, g := range t.known { // in no order
		if !strings.HasPrefix(name, userTag("")) {
			continue // caches hold on to theirs
		}
		if n--; n < 0 {
			break
		}
		g.mu.Lock()
		g.gone = true
		g.current.Store(nil)
		g.mu.Unlock()
		delete(t.known, name)
	}
}

func (t *tagTable) forgetClock() { t.clock.Store(nil) }

// forgetAll makes every record be read again.
func (t *tagTable) forgetAll() {
	t.forgetClock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, g := range t.known {
		g.forget()
	}
}

// tagNames are those of the tags of a scope, or the tag itself.
func (e *Engine) tagNames(scope string) []string {
	if e.remote == nil || scope[0] == '{' || strings.HasPrefix(scope, userTag("")) {
		return []string{scope}
	}
	names := make([]string, e.remote.Groups())
	for g := range names {
		names[g] = e.remote.InGroup(g, scope)
	}
	return names
}

// dropTag is the local pass for a tag, or those of a scope.
func (e *Engine) dropTag(scope string) {
	for _, name := range e.tagNames(scope) {
		g := e.tags.of(name)
		g.mu.Lock()
		g.voided.Store(e.tags.seq.Add(1))
		g.moved++
		g.current.Store(nil)
		g.mu.Unlock()
	}
}

// forget is the pass for a tag whose record may have changed in Redis.
func (g *tag) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.moved++
	g.current.Store(nil)
}

// changedRecord is heardOf for what the library itself keeps in Redis.
func (e *Engine) changedRecord(key string) {
	name := key[1:]
	if name == "clock" {
		e.tags.forgetClock()
	} else if g := e.tags.seen(name); g != nil {
		g.forget()
	}
}

// sight is what a record has to be read after, to be kept.
type sight struct {
	of    *tag
	key   string
	moved uint64
	ear   *coherence.Hearing
	epoch uint64
}

func (e *Engine) sight(g *tag) sight {
	s := sight{of: g, key: e.remote.TagKey(g.name)}
	if s.ear = e.remote.Hearing(s.key); s.ear != nil {
		s.epoch = s.ear.Epoch()
	}
	g.mu.Lock()
	s.moved = g.moved
	g.mu.Unlock()
	return s
}

// learn makes a generation of a record, nil if the record does not count. It is
// the tag's if nothing can have changed the record since the sight, which an earlier
// epoch's does not know:
//
//	A: sight, reads | the epoch ends | B: sight, reads, learns, stores | A: learns
//
// In the place of B's it would void all that was stored under that.
func (e *Engine) learn(s sight, rec remote.Record) *gen {
	if !e.counts(rec) {
		return nil
	}
	g := &gen{of: s.of, nonce: rec.Nonce, ear: s.ear, epoch: s.epoch}
	g.rest.Store(&rest{rec.Clock, rec.Until})
	t := s.of
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.last; l != nil && l.ear == g.ear {
		if l.epoch > g.epoch {
			return g
		}
		if l.nonce == g.nonce && l.epoch == g.epoch {
			l.rest.Store(g.rest.Load())
			g = l
		}
	}
	if (t.moved == s.moved || ablate.Out(ablate.TagMoved)) && !t.gone {
		t.current.Store(g)
	}
	t.last = g // also if it is not kept: what is stored under it now is so until it is read again
	return g
}

// counts tells whether a record is one, of this life of its master, and not
// marked.
func (e *Engine) counts(rec remote.Record) bool {
	return rec.Nonce != envelope.Token{} && e.believes(rec.Stamp, rec.Answered) && rec.Marked.IsZero()
}

// believes compares the stamp that something carries with that of the master that
// answered.
func (e *Engine) believes(carries, answered envelope.ID) bool {
	return carries == answered || e.trusting || ablate.Out(ablate.Stamp)
}

// knows is the tag's generation if it can be compared with now, without asking.
// What is current is looked at last:
//
//	g := current | paused: the push of the record, late; a PONG | fresh: g
func (e *Engine) knows(t *tag) *gen {
	if g := t.current.Load(); g != nil && !g.local && g.holds() {
		return g
	}
	return nil
}

// localGens are generations for what is loaded without Redis, nil if one of the
// tags was invalidated since v was sampled.
func (e *Engine) localGens(tags []*tag, v validity) ([]*gen, bool) {
	gens := make([]*gen, len(tags))
	for i, t := range tags {
		t.mu.Lock()
		g := t.current.Load()
		if g == nil && !t.gone {
			g = &gen{of: t, local: true, ear: v.ear, epoch: v.epoch}
			t.current.Store(g)
		}
		fit := g != nil && t.voided.Load() <= v.tagSeq
		t.mu.Unlock()
		if !fit {
			return nil, false
		}
		gens[i] = g
	}
	return gens, true
}

// unvoided tells whether no local invalidation of a tag came since v.
func unvoided(tags []*tag, v validity) bool {
	for _, t := range tags {
		if t.voided.Load() > v.tagSeq {
			return false
		}
	}
	return true
}
