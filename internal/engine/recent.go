package engine

import (
	"strings"
	"sync"
	"time"
)

// Invalidation is one that was done here or heard of.
type Invalidation struct {
	At     time.Time
	Kind   string
	Target string
	Count  int
	Keys   int64
	Queued bool
	Heard  bool
	Expire bool
}

const (
	ofKeys     = "key"
	ofTags     = "tag"
	ofPatterns = "pattern"
	ofClear    = "clear"
)

const recentLines = 64

// recent has the last invalidations. Whoever writes one holds the lock for a few
// stores: a flood of deletions must not wait here.
type recent struct {
	mu    sync.Mutex // guards the fields below
	lines [recentLines]line
	n     uint64 // lines so far
}

type line struct {
	at int64 // read before the lock is taken: neighbours may be in another order
	is Invalidation
}

// note writes a line for count targets of a kind, of which target is the first.
func (r *recent) note(is Invalidation) {
	at := now()
	r.mu.Lock()
	r.lines[r.n%recentLines] = line{at, is}
	r.n++
	r.mu.Unlock()
}

// Recent are the last invalidations, the newest first.
func (e *Engine) Recent() []Invalidation {
	r := &e.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	wall, at := time.Now(), now()
	all := make([]Invalidation, 0, min(r.n, recentLines))
	for n := r.n; n > 0 && len(all) < recentLines; n-- {
		l := &r.lines[(n-1)%recentLines]
		is := l.is
		is.At = wall.Add(time.Duration(l.at - at))
		all = append(all, is)
	}
	return all
}

// noteNews writes down what another node says it has invalidated. Keys are not among
// that: a Set tells of its key as well.
func (r *recent) noteNews(kind byte, text string) {
	is := Invalidation{Count: 1, Heard: true}
	switch kind {
	case newsPattern:
		is.Kind, is.Target = ofPatterns, text
	case newsTag:
		is.Kind, is.Target = ofScope(text)
	default:
		return
	}
	r.note(is)
}

// ofScope is what a caller names that the tag of this name is for.
func ofScope(scope string) (kind, target string) {
	if _, rest, ok := strings.Cut(scope, "}"); ok && scope[0] == '{' { // of a group, which waited in a journal
		scope = rest
	}
	if name, ok := strings.CutPrefix(scope, userTag("")); ok {
		return ofTags, name
	}
	if scope == allTag {
		return ofClear, ""
	}
	return ofClear, strings.TrimPrefix(scope, cacheTag(""))
}
