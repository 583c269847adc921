package main

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// judge decides about reads, by the rules of package cachetest: a read's floors
// are looked up before it starts, and a version below one of them is stale.
//
//	I1  what its node was told to invalidate, by a call that had returned
//	I2  what any node had invalidated, by a call that had returned with nothing
//	    queued more than the bound before
//	I3  the newest version, when all is over
//
// Other than there it may run for as long as it likes: what is younger than the
// bound is kept, and of what is older the newest version. Safe for concurrent use.
type judge struct {
	bound int64
	base  time.Time
	rows  []published

	stale [3]atomic.Int64 // of I1, I2, I3
	mu    sync.Mutex      // guards first
	first []string
}

// published is what all nodes were told of a row.
type published struct {
	due     atomic.Int64 // when the oldest of recent becomes older than the bound
	floor   atomic.Int64
	mu      sync.Mutex // guards what follows, and writing the above
	recent  []told     // ascending in both fields
	highest int64
}

type told struct{ version, at int64 }

const mostBreaches = 10

func newJudge(rows int, bound time.Duration) *judge {
	j := &judge{bound: int64(bound), base: time.Now(), rows: make([]published, rows)}
	for i := range j.rows {
		j.rows[i].due.Store(math.MaxInt64)
	}
	return j
}

func (j *judge) now() int64 { return int64(time.Since(j.base)) }

// floors are what a read that starts now may not go below.
type floors struct{ own, all int64 }

func (j *judge) before(own []atomic.Int64, row int) floors {
	return floors{own: own[row].Load(), all: j.floorOf(row, j.now())}
}

func (j *judge) floorOf(row int, now int64) int64 {
	r := &j.rows[row]
	if now <= r.due.Load() {
		return r.floor.Load()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(r.recent) && now-r.recent[n].at > j.bound {
		r.floor.Store(r.recent[n].version)
		n++
	}
	r.recent = append(r.recent[:0], r.recent[n:]...)
	r.due.Store(math.MaxInt64)
	if len(r.recent) > 0 {
		r.due.Store(r.recent[0].at + j.bound)
	}
	return r.floor.Load()
}

// after judges what a read returned.
func (j *judge) after(node, row int, f floors, got int64) {
	switch {
	case got < f.own:
		j.breach(1, node, row, got, f.own)
	case got < f.all:
		j.breach(2, node, row, got, f.all)
	}
}

// settled judges a read when all is over.
func (j *judge) settled(node, row int, got, newest int64) {
	if got != newest {
		j.breach(3, node, row, got, newest)
	}
}

// invalidated notes that a call that covers version of row has returned, on the
// node whose floors own are, and if out is set that nothing of it is queued.
func (j *judge) invalidated(own []atomic.Int64, row int, version int64, out bool) {
	for old := own[row].Load(); old < version && !own[row].CompareAndSwap(old, version); {
		old = own[row].Load()
	}
	if !out {
		return
	}
	r := &j.rows[row]
	r.mu.Lock()
	defer r.mu.Unlock()
	if version <= r.highest {
		return
	}
	r.highest = version
	at := j.now() // under the lock, so that times ascend as versions do
	if len(r.recent) == 0 {
		r.due.Store(at + j.bound)
	}
	r.recent = append(r.recent, told{version, at})
}

func (j *judge) breach(rule, node, row int, got, want int64) {
	j.stale[rule-1].Add(1)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.first) < mostBreaches {
		j.first = append(j.first, fmt.Sprintf("after %v: I%d node %d row %d: got version %d, want %d",
			time.Since(j.base).Round(time.Millisecond), rule, node, row, got, want))
	}
}

func (j *judge) breaches() (n int64, first []string) {
	for i := range j.stale {
		n += j.stale[i].Load()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return n, j.first
}
