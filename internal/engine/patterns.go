package engine

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/internal/glob"
)

// recentPatterns bounds how many patterns an item can be asked to survive.
const recentPatterns = 256

// patternLog makes a pattern invalidation of memory O(1): it is not applied to
// the items but written down with the next sequence number. An item that is
// older than the newest pattern is matched once against those it has not met;
// if it survives, it is marked.
type patternLog struct {
	mu    sync.Mutex // writers of table
	table atomic.Pointer[patternTable]
}

// patternTable is immutable.
type patternTable struct {
	seq  uint64 // of the newest; 0: none yet
	list []issued
}

type issued struct {
	seq   uint64
	glob  glob.Glob
	text  string
	owner *Cache // nil: of any cache
}

func (l *patternLog) init() { l.table.Store(new(patternTable)) }

// issue voids everything that was sampled before and matches. A pattern given
// again takes the place of the earlier one.
func (l *patternLog) issue(text string, owner *Cache) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.table.Load()
	next := &patternTable{seq: old.seq + 1}
	for _, p := range old.list {
		if p.text != text || p.owner != owner {
			next.list = append(next.list, p)
		}
	}
	if len(next.list) >= recentPatterns {
		next.list = merged(next.list)
	}
	next.list = append(next.list, issued{next.seq, glob.Compile(text), text, owner})
	l.table.Store(next)
}

// voids tells whether a pattern issued after seq matches key.
func (t *patternTable) voids(seq uint64, key string, owner *Cache) bool {
	if seq == t.seq {
		return false
	}
	for i := len(t.list) - 1; i >= 0 && t.list[i].seq > seq; i-- {
		p := &t.list[i]
		if (p.owner == nil || p.owner == owner) && p.glob.Match(key) {
			return true
		}
	}
	return false
}

// merged replaces the two patterns that have most of their literal prefix in
// common by that prefix and a star, which voids what either did and never more
// than it has to. The list stays in the order of its sequence numbers: the pair
// takes the newer one's.
func merged(list []issued) []issued {
	best, at, with := -1, 0, 0
	for i := range list {
		for j := i + 1; j < len(list); j++ {
			if n := len(common(list[i].glob.Literal(), list[j].glob.Literal())); n > best {
				best, at, with = n, i, j
			}
		}
	}
	a, b := list[at], list[with] // b is the newer
	prefix := common(a.glob.Literal(), b.glob.Literal())
	one := issued{seq: b.seq, text: glob.Escape(prefix) + "*"}
	if a.owner == b.owner {
		one.owner = a.owner
	}
	one.glob = glob.Compile(one.text)
	out := append([]issued(nil), list[:at]...)
	out = append(out, list[at+1:with]...)
	out = append(out, one)
	return append(out, list[with+1:]...)
}

func common(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return strings.Clone(a[:n])
}
