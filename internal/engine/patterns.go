package engine

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/internal/glob"
)

const (
	// meetAfter is how many patterns may be new to memory before a pass lets all
	// items meet them.
	meetAfter = 1024
	// recentPatterns bounds the list when patterns come faster than passes end.
	recentPatterns = 8192
)

// patternLog makes a pattern invalidation of memory O(1): it is not applied to
// the items but written down with the next sequence number. An item that is
// older than the newest pattern is matched once against those it has not met;
// if it survives, it is marked.
//
// A pattern stays until every item in memory has met it. Once enough are new, a
// pass shows them to the items that nobody has read since, see meetPatterns. What
// the pass cannot see is values on their way: sampled before it and inserted
// after. For them the floor trails by one pass, so that the next one meets them,
// and only a load longer than the time between two passes finds its value void.
type patternLog struct {
	mu    sync.Mutex // writers of table, and the fields below
	table atomic.Pointer[patternTable]
	met   uint64 // what was in memory has met the patterns up to here
	fresh int    // patterns in the list that are newer than met

	passing sync.Mutex    // held through a pass, before mu
	full    chan struct{} // tells that a pass is due
}

// patternTable is immutable. The list may share its array with older tables,
// which have shorter ones: only the newest table is appended to, under the lock.
type patternTable struct {
	seq   uint64 // of the newest; 0: none yet
	floor uint64 // what was sampled before it is void: its patterns are forgotten
	list  []issued
}

type issued struct {
	seq  uint64
	glob glob.Glob
	text string
}

func (l *patternLog) init() {
	l.table.Store(new(patternTable))
	l.full = make(chan struct{}, 1)
}

// issue voids everything that was sampled before and matches. It costs the same
// however long the list is, but for a merge now and then. A pattern that was
// given before is not looked for: the next pass forgets the earlier one.
func (l *patternLog) issue(text string) {
	g := glob.Compile(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.table.Load()
	next := &patternTable{seq: old.seq + 1, floor: old.floor, list: old.list}
	if len(next.list) >= recentPatterns {
		next.list = merged(next.list)
		l.fresh = newer(next.list, l.met)
	}
	next.list = append(next.list, issued{next.seq, g, text})
	l.fresh++
	l.table.Store(next)
	if l.fresh >= meetAfter {
		wake(l.full)
	}
}

// voids tells whether a pattern issued after seq matches key, or may have.
func (t *patternTable) voids(seq uint64, key string) bool {
	if seq == t.seq {
		return false
	}
	if seq < t.floor {
		return true
	}
	for i := len(t.list) - 1; i >= 0 && t.list[i].seq > seq; i-- {
		if t.list[i].glob.Match(key) {
			return true
		}
	}
	return false
}

// survived marks an item that no pattern up to seq matches. A slower reader must
// not take the mark of a faster one back: the item would fall below the floor.
func (m *meta) survived(seq uint64) {
	for old := m.seq.Load(); old < seq && !m.seq.CompareAndSwap(old, seq); old = m.seq.Load() {
	}
}

// meetPatterns lets every item in memory meet the patterns it has not met: what
// matches goes, the others are marked. Then the patterns that everything has met
// are forgotten. To be called when patterns.full says so, from one goroutine that
// ends with e.ctx; a pass ends early with it too. It costs about 0.2 µs an item.
func (e *Engine) meetPatterns() {
	l := &e.patterns
	l.passing.Lock()
	defer l.passing.Unlock()
	if !l.compact() {
		return
	}
	t := l.table.Load()
	find := newSieve(t.list)
	var matched []*item
	e.mem.Each(func(it *item) bool {
		if seq := it.Meta.seq.Load(); seq >= t.seq {
			return true
		} else if seq < t.floor || find.voids(seq, it.Key) {
			matched = append(matched, it)
		} else {
			it.Meta.survived(t.seq)
		}
		return e.ctx.Err() == nil
	})
	if e.ctx.Err() != nil {
		return // some items may not have met them
	}
	// They are void anyhow; this gives their memory back.
	for _, it := range matched {
		e.mem.Discard(it)
	}
	l.forget(t.seq)
}

// compact forgets patterns that were given again, and tells whether a pass is
// due nevertheless. One that is given all the time must not cost a pass each
// thousand times.
func (l *patternLog) compact() (due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.table.Load()
	given := make(map[string]bool, len(old.list))
	var list []issued // newest first
	for _, p := range slices.Backward(old.list) {
		if !given[p.text] {
			given[p.text] = true
			list = append(list, p)
		}
	}
	slices.Reverse(list)
	l.table.Store(&patternTable{seq: old.seq, floor: old.floor, list: list})
	l.fresh = newer(list, l.met)
	return l.fresh >= meetAfter/2
}

// forget ends a pass that began at seq. The floor becomes the beginning of the
// pass before it.
func (l *patternLog) forget(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.table.Load()
	list := slices.Clone(old.list[len(old.list)-newer(old.list, l.met):])
	l.table.Store(&patternTable{seq: old.seq, floor: l.met, list: list})
	l.met = seq
	l.fresh = newer(list, seq)
}

// newer is how many of a list are newer than seq.
func newer(list []issued, seq uint64) int {
	return len(list) - sort.Search(len(list), func(i int) bool { return list[i].seq > seq })
}

// sieve finds the patterns that match a key without asking them all. Of the
// patterns in the order of their literals, those whose literal is a prefix of the
// key form a chain: whatever stands between such a literal and the key has that
// literal as a prefix too. So the chain begins at the last literal that is not
// above the key, and goes on at the nearest before it that is a prefix of it.
type sieve struct {
	sorted []issued
	parent []int // -1: none
}

func newSieve(list []issued) *sieve {
	s := &sieve{sorted: slices.Clone(list), parent: make([]int, len(list))}
	slices.SortFunc(s.sorted, func(a, b issued) int { return strings.Compare(a.glob.Literal(), b.glob.Literal()) })
	for i := range s.sorted {
		p := i - 1
		for p >= 0 && !strings.HasPrefix(s.sorted[i].glob.Literal(), s.sorted[p].glob.Literal()) {
			p = s.parent[p]
		}
		s.parent[i] = p
	}
	return s
}

// voids is patternTable's, without its floor.
func (s *sieve) voids(seq uint64, key string) bool {
	i := sort.Search(len(s.sorted), func(i int) bool { return s.sorted[i].glob.Literal() > key }) - 1
	for ; i >= 0; i = s.parent[i] {
		p := &s.sorted[i]
		if p.seq > seq && p.glob.Match(key) {
			return true
		}
	}
	return false
}

// merged replaces pairs that have much of their literal prefix in common by that
// prefix and a star, which voids what either did and no more than it has to, until
// a quarter of the list is gone. In the order of their prefixes the best partner
// of a pattern is a neighbour, so one sort finds them all; done for many at once,
// it costs an invalidation little.
func merged(list []issued) []issued {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b issued) int { return strings.Compare(a.glob.Literal(), b.glob.Literal()) })
	pairs := make([]int, len(sorted)-1) // pair i is of sorted[i] and sorted[i+1]
	for i := range pairs {
		pairs[i] = i
	}
	shared := func(i int) string { return common(sorted[i].glob.Literal(), sorted[i+1].glob.Literal()) }
	slices.SortStableFunc(pairs, func(i, j int) int { return cmp.Compare(len(shared(j)), len(shared(i))) })

	taken := make([]bool, len(sorted))
	var out []issued
	for _, i := range pairs[:len(pairs)/2] {
		if taken[i] || taken[i+1] {
			continue
		}
		taken[i], taken[i+1] = true, true
		out = append(out, merge(sorted[i], sorted[i+1], shared(i)))
		if len(out) >= len(list)/4 {
			break
		}
	}
	for i, p := range sorted {
		if !taken[i] {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b issued) int { return cmp.Compare(a.seq, b.seq) })
	return out
}

// merge gives the pair the newer one's number, which voids more, never less.
func merge(a, b issued, prefix string) issued {
	one := issued{seq: max(a.seq, b.seq), text: glob.Escape(prefix) + "*"}
	one.glob = glob.Compile(one.text)
	return one
}

func common(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// meet runs the passes that are due, until the engine closes.
func (e *Engine) meet() {
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-e.patterns.full:
			e.meetPatterns()
		}
	}
}
