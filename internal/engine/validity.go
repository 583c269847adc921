package engine

import (
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/internal/memory"
)

// meta is what the engine keeps with an item in memory.
type meta struct {
	owner  *Cache
	value  any  // nil if absent
	absent bool // the source has no such thing
	// seq is the newest pattern sequence that the item is known to have survived.
	seq atomic.Uint64
}

type item = memory.Item[meta]

// shard holds the generation of the keys that hash to it.
type shard struct {
	// mu orders a check of gen and the insertion that follows with a bump of gen
	// and the removal that follows. Memory is written under it alone.
	mu  sync.Mutex
	gen atomic.Uint64 // written under mu
	_   [48]byte      // one shard a cache line
}

func (e *Engine) shard(hash uint64) *shard { return &e.shards[hash%shardCount] }

// validity is everything that can make a value old, sampled once before the
// value is read or its load starts. The same check decides for a joiner of a
// flight and for the insertion into memory. What is in memory was inserted by
// that check and is removed by whatever would make it fail, but for patterns,
// which an item meets when it is read: see patternLog.
//
// The race it closes:
//
//	reader: GET old | writer: DEL, local pass, returns | reader: memory.Set(old)
//
// With gen sampled before the GET and compared under the shard's lock the Set
// does not happen. Compared before taking the lock, the pass would fit in
// between.
type validity struct {
	gen uint64
	seq uint64
}

func (e *Engine) sample(hash uint64) validity {
	return validity{gen: e.shard(hash).gen.Load(), seq: e.patterns.table.Load().seq}
}

// holds tells whether a value of key with this validity may be given to a read
// that starts now.
func (e *Engine) holds(v validity, hash uint64, key string, owner *Cache) bool {
	return e.shard(hash).gen.Load() == v.gen && !e.patterns.table.Load().voids(v.seq, key, owner)
}

// keep inserts it into memory if v still holds for its key, and says so. A
// pattern issued after the check finds the item by its seq.
func (e *Engine) keep(it *item, v validity) bool {
	s := e.shard(it.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen.Load() != v.gen {
		return false
	}
	e.mem.Set(it)
	return true
}

// replace is keep for a Set, which brings the newest value itself: whatever was
// read or loaded before must not overwrite it, so the generation moves.
//
//	reader: sample, GET old | Set: seize, fill, memory = new | reader: memory = old
//
// moved is the generation that the Set's own first pass left; if it has moved
// since, somebody invalidated meanwhile and the value is not inserted.
func (e *Engine) replace(it *item, moved uint64) {
	s := e.shard(it.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen.Add(1) == moved+1 {
		e.mem.Set(it)
	} else {
		e.mem.Delete(it.Hash, it.Key)
	}
}

// drop is the local pass for one key: no read or load that began before may
// enter memory, what is there goes, and nobody joins what runs. It returns the
// generation it left.
func (e *Engine) drop(key string) uint64 {
	hash := memory.Hash(key)
	s := e.shard(hash)
	s.mu.Lock()
	gen := s.gen.Add(1)
	e.mem.Delete(hash, key)
	s.mu.Unlock()
	for _, c := range *e.caches.Load() {
		c.forget(hash, key)
	}
	return gen
}
