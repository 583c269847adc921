package cachetest

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// judge decides about the reads of the nodes of this process.
type judge struct {
	board *board
	bound int64
	now   func() int64 // nanoseconds since the run began, the same in all processes
	told  func(Breach) // of each breach that is recorded

	all   []everywhere // by row
	own   [][]ownFloor // by node and row
	mu    sync.Mutex   // guards first
	first []Breach     // the first of each node and kind
}

// ownFloor is I1's: the newest version that this node was told to invalidate.
type ownFloor struct{ version, at int64 }

// everywhere is I2's floor of one row, and how far the board has been read for
// it. Readers look at due and floor without the lock.
type everywhere struct {
	due   atomic.Int64 // the next slice to read
	floor atomic.Int64 // the largest version of those before
	mu    sync.Mutex   // guards what follows, and writing the above
	steps []step       // when floor rose: ascending in both fields
}

type step struct{ version, at int64 }

// mostBreaches is how many records of one kind a node keeps.
const mostBreaches = 3

func newJudge(b *board, bound time.Duration, now func() int64, told func(Breach)) *judge {
	j := &judge{board: b, bound: int64(bound), now: now, told: told, all: make([]everywhere, b.rows)}
	for range b.nodes {
		j.own = append(j.own, make([]ownFloor, b.rows))
	}
	return j
}

// floors are what a read may not go below. They are taken BEFORE the read is
// called, start first:
//
//	start | floors | call
//
// Whatever another goroutine does between start and the call makes the floors
// larger at most by what was due when the call began.
type floors struct{ start, own, all int64 }

func (j *judge) before(node, row int) floors {
	start := j.now()
	return floors{start: start, own: atomic.LoadInt64(&j.own[node][row].version), all: j.floorOf(row, start)}
}

// floorOf returns the newest version of row that was out more than bound before
// now. Each slice is read once for each row: O(1) for a read on the whole.
//
// A slice counts when all of it is older than the bound, so a breach may go
// unnoticed for the width of one. It is missed for good if the writer was
// stopped for the length of the bound between looking at its clock and
// publishing.
func (j *judge) floorOf(row int, now int64) int64 {
	r := &j.all[row]
	end := min((now-j.bound)/j.board.width, int64(j.board.slices))
	if r.due.Load() < end {
		r.mu.Lock()
		for k := r.due.Load(); k < end; k++ {
			if v, at := j.board.slice(row, int(k)); v > r.floor.Load() {
				r.steps = append(r.steps, step{v, at})
				r.floor.Store(v)
			}
			r.due.Store(k + 1)
		}
		r.mu.Unlock()
	}
	return r.floor.Load()
}

// after judges what a read returned.
func (j *judge) after(node, row int, f floors, got int64) {
	j.board.add(node, countReads, 1)
	switch {
	case got < f.own:
		j.breach("I1", countI1, node, row, f.own, got, f.start)
	case got < f.all:
		j.breach("I2", countI2, node, row, f.all, got, f.start)
	}
}

// settled judges what a node returned when all was over.
func (j *judge) settled(node, row int, got, newest int64) {
	if got != newest {
		j.breach("I3", countI3, node, row, newest, got, j.now())
	}
}

// invalidated notes that a call which covers these versions has returned on a
// node, and that all of Redis has heard of it if out is set.
func (j *judge) invalidated(node int, versions []rowVersion, out bool) {
	now := j.now()
	for _, v := range versions {
		own := &j.own[node][v.row]
		// The time first: who finds the new version finds no older time.
		raise(&own.at, now)
		raise(&own.version, v.version)
		if out {
			j.board.publish(v.row, v.version, now)
		}
	}
}

func (j *judge) breach(rule string, which, node, row int, want, got, start int64) {
	age := j.age(node, row, got, start)
	j.board.add(node, which, 1)
	raise(j.board.count(node, countOldest), age)
	b := Breach{Rule: rule, Node: node, Row: row, Got: got, Want: want, Age: time.Duration(age)}
	j.mu.Lock()
	n := 0
	for _, old := range j.first {
		if old.Node == node && old.Rule == rule {
			n++
		}
	}
	if n < mostBreaches {
		j.first = append(j.first, b)
	}
	j.mu.Unlock()
	if n < mostBreaches && j.told != nil {
		j.told(b)
	}
}

// age returns how long before start an invalidation newer than got was out. Of
// those younger than the bound only this node's newest is known.
func (j *judge) age(node, row int, got, start int64) int64 {
	r := &j.all[row]
	r.mu.Lock()
	defer r.mu.Unlock()
	i := sort.Search(len(r.steps), func(i int) bool { return r.steps[i].version > got })
	if i < len(r.steps) {
		return start - r.steps[i].at
	}
	return max(0, start-atomic.LoadInt64(&j.own[node][row].at))
}
