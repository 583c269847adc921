// Package journal remembers the invalidations that could not reach Redis, until
// they have. While one is in it, reads of what it covers must not believe
// Redis.
package journal

import (
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/internal/glob"
)

// Pattern is a queued pattern invalidation. An Owner limits it to the keys of
// one cache.
type Pattern struct {
	Glob  string
	Owner string
}

// Journal is bounded: past its limit it becomes one invalidation of everything.
// Safe for concurrent use.
type Journal struct {
	limit int
	n     atomic.Int64 // len(keys)+len(patterns): the look of a read that finds it empty

	mu       sync.Mutex // guards what follows
	seq      uint64
	keys     map[string]uint64
	patterns map[Pattern]queued
}

type queued struct {
	seq  uint64
	glob glob.Glob
}

func New(limit int) *Journal {
	return &Journal{limit: limit, keys: make(map[string]uint64), patterns: make(map[Pattern]queued)}
}

// AddKey queues key. The last entry of a key wins: see Batch.
func (j *Journal) AddKey(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	j.keys[key] = j.seq
	j.boundLocked()
}

// AddPattern queues p.
func (j *Journal) AddPattern(p Pattern) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	j.patterns[p] = queued{j.seq, glob.Compile(p.Glob)}
	j.boundLocked()
}

func (j *Journal) boundLocked() {
	if len(j.keys)+len(j.patterns) > j.limit {
		all := Pattern{Glob: "*"}
		clear(j.keys)
		clear(j.patterns)
		j.patterns[all] = queued{j.seq, glob.Compile(all.Glob)}
	}
	j.n.Store(int64(len(j.keys) + len(j.patterns)))
}

// Len is the number of invalidations that wait.
func (j *Journal) Len() int { return int(j.n.Load()) }

// Covers tells whether an invalidation of key waits. A pattern with an owner
// covers the keys of any cache: whose a value is, only Redis knows.
func (j *Journal) Covers(key string) bool {
	if j.n.Load() == 0 {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.keys[key]; ok {
		return true
	}
	for _, q := range j.patterns {
		if q.glob.Match(key) {
			return true
		}
	}
	return false
}

// Batch is what waited at one moment.
type Batch struct {
	Keys     []string
	Patterns []Pattern
	upto     uint64
}

// Batch returns all that waits.
func (j *Journal) Batch() Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := Batch{upto: j.seq}
	for k := range j.keys {
		b.Keys = append(b.Keys, k)
	}
	for p := range j.patterns {
		b.Patterns = append(b.Patterns, p)
	}
	return b
}

// DoneKey takes key off after Redis has applied b, unless it was queued again
// since b was taken: that one may concern a value written in between.
func (j *Journal) DoneKey(b Batch, key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq, ok := j.keys[key]; ok && seq <= b.upto {
		delete(j.keys, key)
	}
	j.boundLocked()
}

// DonePattern does the same for a pattern.
func (j *Journal) DonePattern(b Batch, p Pattern) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if q, ok := j.patterns[p]; ok && q.seq <= b.upto {
		delete(j.patterns, p)
	}
	j.boundLocked()
}
