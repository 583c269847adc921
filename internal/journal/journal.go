// Package journal remembers the invalidations that could not reach Redis, until
// they have. While one is in it, reads of what it covers must not believe
// Redis.
package journal

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/internal/glob"
)

// Kind of an entry.
type Kind byte

const (
	Key Kind = iota
	Pattern
	Tag
)

// Entry is a queued invalidation.
type Entry struct {
	Kind Kind
	Text string
}

// Journal is bounded: past its limit it becomes one invalidation of everything.
// Safe for concurrent use.
type Journal struct {
	limit int
	all   Entry        // stands for everything
	n     atomic.Int64 // len(entries): the look of a read that finds it empty

	mu      sync.Mutex // guards what follows
	seq     uint64
	entries map[Entry]uint64    // when it was queued last
	globs   map[Entry]glob.Glob // of those that are patterns
	// done is where a pattern has been applied since it was queued last: lives of
	// masters, by name.
	done map[Entry]map[string]bool
}

// New makes a journal. all is the entry that invalidates everything.
func New(limit int, all Entry) *Journal {
	return &Journal{
		limit: limit, all: all,
		entries: make(map[Entry]uint64), globs: make(map[Entry]glob.Glob), done: make(map[Entry]map[string]bool),
	}
}

// Now is the moment that AddPart asks for.
func (j *Journal) Now() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seq
}

// Add queues e. The last one of equal entries wins: see Batch. It is done nowhere,
// wherever an earlier one was: a value may have been written there in between.
func (j *Journal) Add(e Entry) { j.AddPart(e, 0, nil) }

// AddPart queues a pattern that was applied at done by somebody who began at
// since. If it was queued again meanwhile, it is done nowhere:
//
//	1: applied at B | B: a value is loaded | 2: fails at B, queued | 1: queued, done at B
//
// With 2's part taken for 1's, the value would be read after 2 returned.
func (j *Journal) AddPart(e Entry, since uint64, done map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	part := len(done) > 0 && j.entries[e] <= since
	j.seq++
	if _, ok := j.entries[j.all]; ok {
		e = j.all // which has to be sent once more, after what this one is about
	}
	j.putLocked(e)
	if part && e.Kind == Pattern {
		j.done[e] = maps.Clone(done)
	}
	if len(j.entries) > j.limit {
		clear(j.entries)
		clear(j.globs)
		clear(j.done)
		j.putLocked(j.all)
	}
	j.n.Store(int64(len(j.entries)))
}

func (j *Journal) putLocked(e Entry) {
	j.entries[e] = j.seq
	delete(j.done, e)
	if e.Kind == Pattern {
		j.globs[e] = glob.Compile(e.Text)
	}
}

// Len is the number of invalidations that wait.
func (j *Journal) Len() int { return int(j.n.Load()) }

// Covers tells whether an invalidation of key waits, by its name or by a pattern
// that is not done where the key is. where names the life of the key's master; it
// is called under the lock, and only if a pattern matches.
func (j *Journal) Covers(key string, where func() string) bool {
	if j.n.Load() == 0 {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.hasLocked(j.all) || j.hasLocked(Entry{Key, key}) {
		return true
	}
	for e, g := range j.globs {
		if done := j.done[e]; g.Match(key) && (len(done) == 0 || !done[where()]) {
			return true
		}
	}
	return false
}

// CoversTag tells whether an invalidation of the tag waits.
func (j *Journal) CoversTag(name string) bool {
	if j.n.Load() == 0 {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.hasLocked(j.all) || j.hasLocked(Entry{Tag, name})
}

func (j *Journal) hasLocked(e Entry) bool {
	_, ok := j.entries[e]
	return ok
}

// CoversAny tells whether an invalidation of a key that owns accepts waits.
func (j *Journal) CoversAny(owns func(key string) bool) bool {
	for _, e := range j.Batch().Entries {
		if e.Kind == Key && owns(e.Text) {
			return true
		}
	}
	return false
}

// Batch is what waited at one moment.
type Batch struct {
	Entries []Entry
	parts   map[Entry]map[string]bool
	upto    uint64
}

// Part is where e was done by then. The map is the caller's own.
func (b Batch) Part(e Entry) map[string]bool {
	part := make(map[string]bool)
	maps.Copy(part, b.parts[e])
	return part
}

// Batch returns all that waits.
func (j *Journal) Batch() Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := Batch{upto: j.seq, parts: make(map[Entry]map[string]bool)}
	for e, done := range j.done {
		b.parts[e] = maps.Clone(done)
	}
	for e := range j.entries {
		b.Entries = append(b.Entries, e)
	}
	return b
}

// Replace puts parts in e's place, all in one step, after Redis has applied the rest
// of e; unless e was queued again since b was taken.
func (j *Journal) Replace(b Batch, e Entry, parts []Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq, ok := j.entries[e]; ok && seq <= b.upto {
		delete(j.entries, e)
		delete(j.globs, e)
		j.seq++
		for _, p := range parts {
			j.putLocked(p)
		}
	}
	j.n.Store(int64(len(j.entries)))
}

// Done takes e off after Redis has applied b, unless it was queued again since b
// was taken: that one may concern a value written in between.
func (j *Journal) Done(b Batch, e Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq, ok := j.entries[e]; ok && seq <= b.upto {
		delete(j.entries, e)
		delete(j.globs, e)
		delete(j.done, e)
	}
	j.n.Store(int64(len(j.entries)))
}

// Part says that a pattern of b has been applied at done. Like Done it says
// nothing of one that was queued again since.
func (j *Journal) Part(b Batch, e Entry, done map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq, ok := j.entries[e]; !ok || seq > b.upto || e.Kind != Pattern {
		return
	}
	if j.done[e] == nil {
		j.done[e] = make(map[string]bool)
	}
	maps.Copy(j.done[e], done)
}
