package cachetest

import (
	"sync/atomic"
	"time"
)

// The counts that the board has of each node.
const (
	countReads   = iota
	countMisses  // Gets that found nothing
	countGaveUp  // ended with their own context
	countErrors  // ended otherwise
	countQueued  // writes whose invalidation was queued
	countRefused // writes not made: not marked, or the context ended before
	countI1      // breaches
	countI2      //
	countI3      //
	countOldest  // age of the oldest breach, in nanoseconds
	countLoads   // runs of the loader
	countMemory  // answers from memory
	countRedis   // answers from Redis
	countCrashes // processes that killed themselves
	countKinds   // writes of each kind, in the order of kinds
	countCells   = countKinds + 16
)

// board is what all nodes share, one array of numbers so that it can be a
// mapping of a file that processes have in common, and keeps what a process
// that was killed had written.
//
// It has, for each row, the newest version that was out at the end of each
// slice of the run. That is not a queue: a slot is written with an atomic
// maximum and never removed, so a process that is killed or stopped in the
// middle holds nobody up.
type board struct {
	cells  []int64
	rows   int
	nodes  int
	slices int
	width  int64 // of a slice, in nanoseconds
}

const (
	mostSlices    = 1 << 15
	narrowest     = int64(time.Millisecond)
	sliceHeadroom = 30 * time.Second
)

// shape lays out the board of a run; cells are to be given to it.
func shape(rows, nodes int, duration time.Duration) *board {
	length := int64(duration + duration/2 + sliceHeadroom)
	width := max(narrowest, length/mostSlices+1)
	return &board{rows: rows, nodes: nodes, width: width, slices: int(length/width) + 1}
}

func (b *board) size() int { return b.rows*b.slices + b.nodes*countCells }

// publish tells that version of row was out at time at. What comes after the
// last slice is not kept: readers have ended by then.
func (b *board) publish(row int, version, at int64) {
	if k := at / b.width; k < int64(b.slices) {
		raise(&b.cells[row*b.slices+int(k)], version)
	}
}

// slice returns the version of one slice, 0 if none, and the time by which it
// was out.
func (b *board) slice(row, k int) (version, at int64) {
	return atomic.LoadInt64(&b.cells[row*b.slices+k]), int64(k+1) * b.width
}

func (b *board) count(node, which int) *int64 {
	return &b.cells[b.rows*b.slices+node*countCells+which]
}

func (b *board) add(node, which int, n int64) { atomic.AddInt64(b.count(node, which), n) }

func (b *board) sum(which int) (n int64) {
	for node := range b.nodes {
		n += atomic.LoadInt64(b.count(node, which))
	}
	return n
}

func (b *board) oldest() (age time.Duration) {
	for node := range b.nodes {
		age = max(age, time.Duration(atomic.LoadInt64(b.count(node, countOldest))))
	}
	return age
}

// raise makes *p at least v.
func raise(p *int64, v int64) {
	for {
		old := atomic.LoadInt64(p)
		if v <= old || atomic.CompareAndSwapInt64(p, old, v) {
			return
		}
	}
}
