// Package journal remembers the invalidations that could not reach Redis, until
// they have. While one is in it, reads of what it covers must not believe
// Redis.
package journal

import (
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
}

// New makes a journal. all is the entry that invalidates everything.
func New(limit int, all Entry) *Journal {
	return &Journal{limit: limit, all: all, entries: make(map[Entry]uint64), globs: make(map[Entry]glob.Glob)}
}

// Add queues e. The last one of equal entries wins: see Batch.
func (j *Journal) Add(e Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	if _, ok := j.entries[j.all]; ok {
		e = j.all // which has to be sent once more, after what this one is about
	}
	j.putLocked(e)
	if len(j.entries) > j.limit {
		clear(j.entries)
		clear(j.globs)
		j.putLocked(j.all)
	}
	j.n.Store(int64(len(j.entries)))
}

func (j *Journal) putLocked(e Entry) {
	j.entries[e] = j.seq
	if e.Kind == Pattern {
		j.globs[e] = glob.Compile(e.Text)
	}
}

// Len is the number of invalidations that wait.
func (j *Journal) Len() int { return int(j.n.Load()) }

// Covers tells whether an invalidation of key waits, by its name or by a pattern.
func (j *Journal) Covers(key string) bool {
	if j.n.Load() == 0 {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.hasLocked(j.all) || j.hasLocked(Entry{Key, key}) {
		return true
	}
	for _, g := range j.globs {
		if g.Match(key) {
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
	upto    uint64
}

// Batch returns all that waits.
func (j *Journal) Batch() Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := Batch{upto: j.seq}
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
	}
	j.n.Store(int64(len(j.entries)))
}
