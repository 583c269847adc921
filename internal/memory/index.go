package memory

import (
	"sync"
	"sync/atomic"
)

const (
	stripes  = 64 // power of two; what a hit reads of them is to stay in the first cache
	smallest = 8  // slots of a table; power of two
)

// stripe has the items of some hashes.
type stripe[M any] struct {
	table atomic.Pointer[table[M]] // written under mu
	dead  *Item[M]                 // stands where an item was; constant

	// mu guards the fields below, and orders all changes of the table.
	mu      sync.Mutex
	live    int      // items in the table
	used    int      // slots that are not nil
	pending []uint64 // hashes that the policy is to be told of, each once
}

func (c *Cache[M]) stripe(hash uint64) *stripe[M] { return &c.stripes[hash%stripes] }

// table is open addressing with linear probing: from its own slot on, the item of a
// hash is the first that has it, with no empty slot before. Readers take no lock. They
// may because an item never moves within a table: it is put into a free slot, is swapped
// for what takes its place, or in the end for the dead item, which is passed over.
// What is copied into another table is not written any more: whoever reads it began
// before the change that he misses.
type table[M any] struct {
	mask  uint64
	slots []slot[M]
}

// slot has the hash beside the item, so that a probe which passes does not wait for
// the item to come from memory. The hash is written while there is no item, or the dead
// one: who reads the two apart may have one of another's, and compares again.
type slot[M any] struct {
	hash atomic.Uint64
	item atomic.Pointer[Item[M]]
}

func newTable[M any](n int) *table[M] {
	return &table[M]{mask: uint64(n - 1), slots: make([]slot[M], n)}
}

// find is the item of a hash, nil if there is none.
func (t *table[M]) find(hash uint64) *Item[M] {
	for i := hash / stripes; ; i++ {
		s := &t.slots[i&t.mask]
		it := s.item.Load()
		if it == nil || s.hash.Load() == hash && it.Hash == hash {
			return it
		}
	}
}

// deadItems are two of different hashes: a stripe gets the one whose hash is not its
// own, so that nobody finds it who does not look for it.
func deadItems[M any]() [2]*Item[M] { return [2]*Item[M]{{Hash: 1}, {Hash: 0}} }

// putLocked stores an item under its hash, and returns the one that stood there.
func (s *stripe[M]) putLocked(it *Item[M]) (old *Item[M]) {
	t := s.table.Load()
	if (s.used+1)*4 > len(t.slots)*3 {
		t = s.resizeLocked(t)
	}
	var free *slot[M]
	for i := it.Hash / stripes; ; i++ {
		at := &t.slots[i&t.mask]
		switch old := at.item.Load(); {
		case old == nil:
			if free == nil {
				free = at
				s.used++
			}
			s.live++
			free.hash.Store(it.Hash)
			free.item.Store(it)
			return nil
		case old == s.dead:
			if free == nil {
				free = at
			}
		case at.hash.Load() == it.Hash:
			at.item.Store(it)
			return old
		}
	}
}

// removeLocked takes out the item of a hash that is there.
func (s *stripe[M]) removeLocked(hash uint64) {
	t := s.table.Load()
	i := hash / stripes
	for at := &t.slots[i&t.mask]; at.item.Load() == s.dead || at.hash.Load() != hash; at = &t.slots[i&t.mask] {
		i++
	}
	s.live--
	t.slots[i&t.mask].item.Store(s.dead)
	if s.live*8 < len(t.slots) && len(t.slots) > smallest {
		s.resizeLocked(t)
		return
	}
	// The dead at the end of a run keep nobody going.
	if t.slots[(i+1)&t.mask].item.Load() != nil {
		return
	}
	for ; t.slots[i&t.mask].item.Load() == s.dead; i-- {
		t.slots[i&t.mask].item.Store(nil)
		s.used--
	}
}

// resizeLocked copies the table into one that is between a quarter and half full.
func (s *stripe[M]) resizeLocked(t *table[M]) *table[M] {
	n := smallest
	for n < 2*(s.live+1) {
		n *= 2
	}
	next := newTable[M](n)
	for at := range t.slots {
		it, hash := t.slots[at].item.Load(), t.slots[at].hash.Load()
		if it == nil || it == s.dead {
			continue
		}
		i := hash / stripes
		for next.slots[i&next.mask].item.Load() != nil {
			i++
		}
		next.slots[i&next.mask].hash.Store(hash)
		next.slots[i&next.mask].item.Store(it)
	}
	s.used = s.live
	s.table.Store(next)
	return next
}

// change puts it, or nothing, in the place of what is stored under hash, nil for
// nothing, if that is as wanted, and says so. how is how that goes, if it is nil.
func (c *Cache[M]) change(hash uint64, it *Item[M], how Leaving, wanted func(*Item[M]) bool) bool {
	s := c.stripe(hash)
	s.mu.Lock()
	for len(s.pending) >= mostPending && !s.pendsLocked(hash) {
		s.mu.Unlock()
		c.settleAll()
		s.mu.Lock()
	}
	old := s.table.Load().find(hash)
	if !wanted(old) {
		s.mu.Unlock()
		return false
	}
	switch {
	case it != nil:
		s.putLocked(it)
	case old != nil:
		c.takeOutLocked(s, old, how)
	}
	tells := old == nil || it == nil || c.cost(old) != c.cost(it)
	if tells || c.accountOf != nil && c.accountOf(&old.Meta) != c.accountOf(&it.Meta) {
		c.account(it, 1)
		c.account(old, -1)
	}
	if tells && !s.pendsLocked(hash) {
		s.pending = append(s.pending, hash)
	}
	s.mu.Unlock()
	switch {
	case !tells:
	case it != nil && c.all.bytes.Load()-c.maxBytes > c.maxBytes/mostOver: // mostPending large ones may come to anything
		c.settleAll()
	default:
		c.due()
	}
	return true
}

func (s *stripe[M]) pendsLocked(hash uint64) bool {
	for _, h := range s.pending { // few: a search from end to end is the fastest
		if h == hash {
			return true
		}
	}
	return false
}

// takeOutLocked takes out an item that is there. Who looks for it and for what is said of
// where it went, in this order, finds one of them:
//
//	remove: it is taken out | read: nothing | read: nothing is said | remove: says
func (c *Cache[M]) takeOutLocked(s *stripe[M], it *Item[M], how Leaving) {
	if c.left != nil {
		c.left(it, how)
	}
	s.removeLocked(it.Hash)
}

// lose takes out the item that the policy has no place for.
//
//	settle: H is told and refused | Set: H, of another cost | lose: H
//
// Of that one the policy is to be told yet, and it may have a place for it.
func (c *Cache[M]) lose(l Left) {
	s := c.stripe(l.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.table.Load().find(l.Hash)
	if it == nil || s.pendsLocked(l.Hash) {
		return
	}
	c.takeOutLocked(s, it, NoRoom)
	c.account(it, -1)
	if l.Evicted {
		c.evicted(it)
	}
}
