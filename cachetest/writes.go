package cachetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

func (s *station) write(ctx context.Context, r *rand.Rand) {
	next, kind := s.rows(r), s.kinds(r)
	for {
		pause := time.Duration(r.ExpFloat64() * float64(s.cfg.WriteEvery))
		to := target{kind: kind(), row: next(), variant: r.IntN(64)}
		short := r.IntN(16)
		wait(ctx, pause)
		if ctx.Err() != nil {
			return
		}
		call, cancel := context.Background(), context.CancelFunc(func() {})
		switch short {
		case 0: // the request that made the change has gone
			call, cancel = context.WithCancel(call)
			cancel()
		case 1:
			call, cancel = context.WithTimeout(call, time.Millisecond)
		}
		s.writeOnce(call, to)
		cancel()
	}
}

// kinds chooses a kind by the weights.
func (s *station) kinds(r *rand.Rand) func() Kind {
	var bag []Kind
	for _, k := range kinds {
		if s.node.can(k) {
			for range s.cfg.Kinds[k] {
				bag = append(bag, k)
			}
		}
	}
	if len(bag) == 0 {
		bag = []Kind{ByKey}
	}
	return func() Kind { return bag[r.IntN(len(bag))] }
}

// place moves a write to where it is allowed: a group of rows is Set, each row
// by one node, and no other commits them.
func (s *station) place(to target) (_ target, alone bool) {
	if s.cfg.Kinds[BySet] == 0 || s.cfg.Rows < groups {
		if to.kind == BySet {
			to.kind = ByKey
		}
		return to, false
	}
	ofSets := func(row int) bool { return group(row) == groups-1 }
	mine := func(row int) bool { return row/groups%s.cfg.NodeCount == s.index }
	if to.kind == BySet {
		to.row = to.row/groups*groups + groups - 1
		for n := 0; n < s.cfg.NodeCount && to.row < s.cfg.Rows; n++ {
			if mine(to.row) {
				return to, true
			}
			to.row += groups
		}
		to.kind, to.row = ByKey, 0
		return to, false
	}
	if ofSets(to.row) && !mine(to.row) {
		to.row--
	}
	return to, ofSets(to.row)
}

func (s *station) writeOnce(ctx context.Context, to target) {
	to, alone := s.place(to)
	if alone {
		s.alone[to.row].Lock()
		defer s.alone[to.row].Unlock()
	}
	var covered []rowVersion
	commit := func() error {
		version, err := s.source.commit(to.row)
		if err != nil {
			return err
		}
		if to.kind == ByMutate && !to.unmarked() && s.crash != nil {
			s.crash(rowVersion{to.row, version})
		}
		covered, err = s.source.versions(to.covers(s.cfg.Rows))
		return err
	}
	var queued bool
	var err error
	if to.kind == ByMutate {
		queued, err = s.node.mutate(ctx, to, func(context.Context) error {
			return commit()
		})
		if covered == nil {
			s.count(countRefused)
			s.refused(ctx, err)
			return
		}
	} else if err = commit(); err == nil {
		if to.kind == BySet {
			err = s.node.set(ctx, to.row, covered[0].version)
			// A Set does not say whether it was queued. If nothing is, it was not, or
			// has been sent since.
			queued = s.node.queued() > 0
		} else {
			queued, err = s.node.invalidate(ctx, to)
		}
	}
	s.judge.invalidated(s.index, covered, err == nil && !queued)
	s.judge.board.add(s.index, countKinds+indexOf(to.kind), 1)
	if queued {
		s.count(countQueued)
	}
	if err != nil {
		s.count(countErrors)
		s.told(fmt.Sprintf("node %d, a write (%s): %v", s.index, to.kind, err))
	}
}

// refused judges a Mutate that did not run its function: that is right if it
// could not mark, or was not to wait.
func (s *station) refused(ctx context.Context, err error) {
	if err == nil || !notMarked(err) && !over(ctx) {
		s.count(countErrors)
		s.told(fmt.Sprintf("node %d, a mutate that did nothing: %v", s.index, err))
	}
}

func indexOf(k Kind) int {
	for i, one := range kinds {
		if one == k {
			return i
		}
	}
	panic("bug: no such kind: " + string(k))
}
