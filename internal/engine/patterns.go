package engine

import (
	"cmp"
	"slices"
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
	seq  uint64
	glob glob.Glob
	text string
}

func (l *patternLog) init() { l.table.Store(new(patternTable)) }

// issue voids everything that was sampled before and matches. A pattern given
// again takes the place of the earlier one.
func (l *patternLog) issue(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.table.Load()
	next := &patternTable{seq: old.seq + 1}
	for _, p := range old.list {
		if p.text != text {
			next.list = append(next.list, p)
		}
	}
	if len(next.list) >= recentPatterns {
		next.list = merged(next.list)
	}
	next.list = append(next.list, issued{next.seq, glob.Compile(text), text})
	l.table.Store(next)
}

// voids tells whether a pattern issued after seq matches key.
func (t *patternTable) voids(seq uint64, key string) bool {
	if seq == t.seq {
		return false
	}
	for i := len(t.list) - 1; i >= 0 && t.list[i].seq > seq; i-- {
		p := &t.list[i]
		if p.glob.Match(key) {
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
