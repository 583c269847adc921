package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/memory"
)

// meta is what the engine keeps with an item in memory.
//
// Its first fields, up to seq, are what a hit reads in the plain case, and with those
// of the item before them one cache line: at a million keys each line is a wait for
// memory. An Item takes 192 bytes, so that it begins with a line.
type meta struct {
	*standing
	value any // nil if absent

	// plain is the end of the time in which the item is served if its standing holds:
	// early, or 0 while it is in doubt, and if it is absent.
	plain atomic.Int64

	// seq is the newest pattern sequence that the item is known to have survived.
	seq atomic.Uint64

	// Memory serves it until fresh, at the longest until its TTL expires; stale it may
	// be served until its Deadline. From early on a reader may have it refreshed, but
	// not before renewal. Until retry it is served without another load: the last one
	// has failed. created is when its load ended, which took that long.
	early, fresh, expires, created int64
	took                           time.Duration
	retry                          atomic.Int64
	renewal                        atomic.Int64
	born                           int64 // when its load began, of an entry of an outage

	// token is what Redis has the value under. Until own, a push may be that of
	// this node's own fill; doubt says that one came. See confirm.go.
	token  envelope.Token
	absent bool        // the source has no such thing
	doubt  atomic.Bool // set under the shard's lock
	own    int64
}

// standing is what many items have in common that were stored at about the same time.
// It is not written to. ear hears the master of the key, nil without Redis; epoch is its
// when the item's validity was sampled. heard: Redis has the value, so its change will
// be heard; false for an entry of an outage. gens are the generations of its tags that
// the value was stored under.
type standing struct {
	owner *Cache
	ear   *coherence.Hearing
	epoch uint64
	heard bool
	gens  []*gen
}

// standing is s, or one like it that an item of the same group of keys has already.
func (c *Cache) standing(key string, s standing) *standing {
	if len(s.gens) > clearTags {
		own := s
		return &own
	}
	last := &c.standings[c.group(key)]
	if is := last.Load(); is != nil && is.ear == s.ear && is.epoch == s.epoch && is.heard == s.heard && slices.Equal(is.gens, s.gens) {
		return is
	}
	own := s // on the heap, which s need not be
	last.Store(&own)
	return &own
}

// holds tells whether nothing has changed since, and that this is known of before the
// clock showed at. False may mean anything.
func (s *standing) holds(e *Engine, at int64) bool {
	if s.ear != nil {
		if !s.heard || s.epoch != s.ear.Epoch() || s.ear.Fresh(at) != coherence.Yes {
			return false
		}
	} else if e.remote != nil {
		return false
	}
	for _, g := range s.gens {
		if g.of.current.Load() != g || g.ear != s.ear || g.epoch != s.epoch {
			return false
		}
	}
	return true
}

// plainly tells that serves would say yes, without a look at all that it looks at.
// False may mean anything.
func (e *Engine) plainly(it *item, at int64) bool {
	m := &it.Meta
	return at < m.plain.Load() && m.seq.Load() == e.patterns.table.Load().seq && m.standing.holds(e, at)
}

type item = memory.Item[meta]

// shard holds the generations of the keys that hash to it.
type shard struct {
	// mu orders a check of the generations and the insertion that follows with a
	// move of them and the removal that follows. Memory is written under it alone.
	mu      sync.Mutex
	local   atomic.Uint64        // moved by local invalidations; written under mu
	pushed  atomic.Uint64        // moved by what other nodes and servers do; written under mu
	waiting map[string]*listener // by Redis key: who waits for a push; guarded by mu
	_       [32]byte             // one shard a cache line
}

func (e *Engine) shard(hash uint64) *shard { return &e.shards[hash%shardCount] }

// validity is everything that can make a value old, sampled once before the
// value is read or its load starts. The same check decides for a joiner of a
// flight and for the insertion into memory. What is in memory was inserted by
// that check and is removed by whatever would make it fail, but for patterns,
// tags and epochs, which an item meets when it is read.
//
// The race it closes:
//
//	reader: GET old | writer: DEL, local pass, returns | reader: memory.Set(old)
//
// With the generation sampled before the GET and compared under the shard's lock
// the Set does not happen. Compared before taking the lock, the pass would fit in
// between.
type validity struct {
	local  uint64
	pushed uint64
	seq    uint64 // of patterns
	tagSeq uint64
	ear    *coherence.Hearing
	epoch  uint64
}

func (e *Engine) sample(hash uint64, rkey string) validity {
	s := e.shard(hash)
	v := validity{
		local:  s.local.Load(),
		pushed: s.pushed.Load(),
		seq:    e.patterns.table.Load().seq,
		tagSeq: e.tags.seq.Load(),
	}
	if e.remote != nil {
		v.hear(e.remote.Hearing(rkey))
	}
	return v
}

func (v *validity) hear(ear *coherence.Hearing) {
	if v.ear = ear; ear != nil {
		v.epoch = ear.Epoch()
	}
}

// again samples v anew in what the server can tell and the fill is the judge of:
// a load's own lease comes back as a push.
func (e *Engine) again(v validity, hash uint64, rkey string) validity {
	now := e.sample(hash, rkey)
	now.local, now.seq, now.tagSeq = v.local, v.seq, v.tagSeq
	return now
}

// holds tells whether a value of key with this validity may be given to a read
// that starts now. Of a value that this node loaded, the fill was the judge of
// what the server could tell.
func (e *Engine) holds(v validity, hash uint64, key string, loaded bool) bool {
	s := e.shard(hash)
	if s.local.Load() != v.local || e.patterns.table.Load().voids(v.seq, key) {
		return false
	}
	return loaded || s.pushed.Load() == v.pushed && (v.ear == nil || v.ear.Epoch() == v.epoch)
}

// keep inserts it into memory if v still holds for its key, and says so. A
// pattern issued after the check finds the item by its seq.
func (e *Engine) keep(it *item, v validity) bool {
	if len(it.Key) > longestKey {
		return true
	}
	s := e.shard(it.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local.Load() != v.local && !ablate.Out(ablate.Generation) {
		return false
	}
	if moved := s.pushed.Load() != v.pushed; moved && it.Meta.own == 0 && !ablate.Out(ablate.Pushes) {
		return false
	} else if moved && it.Meta.own != 0 {
		e.doubtLocked(it)
	}
	e.store(it)
	return true
}

// replace is keep for a Set, which brings the newest value itself: whatever was
// read or loaded before must not overwrite it, so the generation moves.
//
//	reader: sample, GET old | Set: seize, fill, memory = new | reader: memory = old
//
// v was sampled after the Set's own first pass; if somebody has invalidated here
// since, the value is not inserted.
func (e *Engine) replace(it *item, v validity) {
	s := e.shard(it.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local.Add(1) != v.local+1 {
		e.mem.Delete(it.Hash, it.Key)
		return
	}
	if s.pushed.Load() != v.pushed && it.Meta.own != 0 {
		e.doubtLocked(it)
	}
	e.store(it)
}

// store is memory's Set. The shard of the key is locked.
func (e *Engine) store(it *item) {
	if !e.mem.Set(it) {
		e.ghosts.note(it.Hash, unstored, never)
	}
}

// discard removes what memory has: a load has found something else, and that is not
// to be stored.
func (e *Engine) discard(hash uint64, key string) {
	s := e.shard(hash)
	s.mu.Lock()
	e.mem.Delete(hash, key)
	s.mu.Unlock()
}

// drop is the local pass for one key: no read or load that began before may
// enter memory, what is there goes, and nobody joins what runs.
func (e *Engine) drop(key string) {
	hash := memory.Hash(key)
	s := e.shard(hash)
	s.mu.Lock()
	s.local.Add(1)
	if !e.mem.Delete(hash, key) && e.remote != nil {
		e.ghosts.removed(hash)
	}
	s.mu.Unlock()
	if ablate.Out(ablate.Forget) {
		return
	}
	for _, c := range *e.caches.Load() {
		c.forget(hash, key)
	}
}

// outdated is an item as if its TTL ended now.
func outdated(it *item) *item {
	m, at := &it.Meta, now()
	old := &item{Key: it.Key, Hash: it.Hash, Size: it.Size, Deadline: min(it.Deadline, later(at, m.owner.spec.StaleFor)), Meta: meta{
		standing: m.standing, value: m.value, absent: m.absent, born: m.born,
		created: m.created, took: m.took, fresh: min(m.fresh, at), expires: min(m.expires, at), early: min(m.fresh, at),
		token: m.token, own: m.own,
	}}
	old.Meta.seq.Store(m.seq.Load())
	return old
}

// outdate is drop for what may be served stale, if memory alone has it.
func (e *Engine) outdate(key string) {
	hash := memory.Hash(key)
	s := e.shard(hash)
	s.mu.Lock()
	s.local.Add(1)
	it := e.mem.Get(hash, key)
	if it != nil && it.Meta.owner.spec.StaleFor > 0 && !it.Meta.absent && (e.remote == nil || it.Meta.owner.spec.MemoryOnly) {
		e.mem.Set(outdated(it))
	} else if e.mem.Delete(hash, key) || e.remote != nil {
		e.ghosts.note(hash, expired, never)
	}
	s.mu.Unlock()
	for _, c := range *e.caches.Load() {
		c.forget(hash, key)
	}
}

// verdict of serves.
type service int

const (
	no service = iota
	yes
	again // pick the item up anew, see coherence.Hearing.Fresh
)

// serves tells whether an item of memory that was picked up after the clock
// showed at may be served.
func (e *Engine) serves(it *item, at int64) service {
	m := &it.Meta
	if t := e.patterns.table.Load(); m.seq.Load() != t.seq && !ablate.Out(ablate.PatternSeq) {
		if t.voids(m.seq.Load(), it.Key) {
			return no
		}
		m.survived(t.seq)
	}
	if at >= it.Deadline {
		return no
	}
	if m.ear == nil && e.remote != nil {
		return e.outage(it, at)
	}
	if m.ear != nil {
		if m.epoch != m.ear.Epoch() && !ablate.Out(ablate.Epoch) {
			return no
		}
		if !m.heard && !ablate.Out(ablate.OutageVoid) || m.doubt.Load() {
			return e.outage(it, at)
		}
		switch m.ear.Fresh(at) {
		case coherence.Again:
			return again
		case coherence.No:
			if !ablate.Out(ablate.Bound) {
				return e.outage(it, at)
			}
		}
	}
	for _, g := range m.gens {
		if s := g.serves(m, at); s != yes {
			return s
		}
	}
	return yes
}

// outage tells whether an item may be served because Redis cannot be asked: what
// was heard, for OutageStaleness after the last sign of life; what was loaded
// meanwhile, for as long after its load began. Deaf with Redis in use is no reason.
// While Redis takes no writes, what it could not be given is served for a bound, so
// that the source does not see every read.
func (e *Engine) outage(it *item, at int64) service {
	m := &it.Meta
	age := e.outageStaleness
	if m.owner.reachable(it.Key) {
		if !m.owner.covered(it.Key) {
			if m.heard || !e.remote.ReadOnly(it.Key) {
				return no
			}
			age = e.bound
		}
		age = min(age, e.bound)
	}
	if age <= 0 {
		return no
	}
	since := m.born
	if m.heard {
		if m.doubt.Load() || m.ear == nil {
			return no
		}
		since = m.ear.LastPong()
	}
	if at >= since+int64(age) {
		return no
	}
	for _, g := range m.gens {
		if g.of.current.Load() != g {
			return no
		}
	}
	return yes
}

// outageAge is how old what a flight loaded without Redis may be for a joiner.
func (e *Engine) outageAge() int64 { return int64(max(e.bound, e.outageStaleness, time.Duration(0))) }
