package cachetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// burst is how many reads follow each other without a pause, so that what is
// tested is the cache and not the scheduler.
const burst = 16

// mostRows is how many rows one call reads, at the most.
const mostRows = 8

func (s *station) read(ctx context.Context, r *rand.Rand) {
	next := s.rows(r)
	for n := 0; ctx.Err() == nil; n++ {
		row, how := next(), r.IntN(64)
		before, after := s.loadTimes(r)
		if n%burst == 0 {
			wait(ctx, time.Duration(r.IntN(int(time.Millisecond))))
		}
		call, cancel := context.Background(), context.CancelFunc(func() {})
		if how == 0 { // one who will not wait
			call, cancel = context.WithTimeout(call, time.Duration(r.IntN(int(2*time.Millisecond))))
		}
		if how%8 == 2 {
			rows := []int{row}
			for range r.IntN(mostRows) {
				if row := next(); !slices.Contains(rows, row) {
					rows = append(rows, row)
				}
			}
			s.readMany(call, rows, r.IntN(8) == 0, before, after)
		} else {
			s.readOnce(call, row, how%8 == 1, before, after)
		}
		cancel()
	}
}

func (s *station) readOnce(ctx context.Context, row int, get bool, before, after time.Duration) {
	f := s.judge.before(s.index, row)
	var v int64
	var err error
	if get {
		var ok bool
		v, ok, err = s.node.get(ctx, row)
		if err == nil && !ok {
			s.count(countMisses)
			return
		}
	} else {
		v, err = s.node.getOrLoad(ctx, row, func(ctx context.Context) (int64, error) {
			s.count(countLoads)
			wait(ctx, before)
			found, err := s.source.versions([]int{row})
			if err != nil {
				return 0, err
			}
			wait(ctx, after)
			return found[0].version, nil
		})
	}
	if s.failed(ctx, err) {
		return
	}
	s.judge.after(s.index, row, f, v)
}

// failed counts a read that has.
func (s *station) failed(ctx context.Context, err error) bool {
	switch {
	case err == nil:
		return false
	case over(ctx) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
		s.count(countGaveUp)
	default:
		s.count(countErrors)
		s.told(fmt.Sprintf("node %d, a read: %v", s.index, err))
	}
	return true
}

// readMany reads rows with one call, of which each may fail by itself.
func (s *station) readMany(ctx context.Context, rows []int, get bool, before, after time.Duration) {
	all := make([]floors, len(rows))
	for i, row := range rows {
		all[i] = s.judge.before(s.index, row)
	}
	var got map[int]int64
	var err error
	if get {
		got, err = s.node.getMany(ctx, rows)
	} else {
		got, err = s.node.getOrLoadMany(ctx, rows, func(ctx context.Context, rows []int) (map[int]int64, error) {
			s.count(countLoads)
			wait(ctx, before)
			found, err := s.source.versions(rows)
			wait(ctx, after)
			out := make(map[int]int64, len(found))
			for _, v := range found {
				out[v.row] = v.version
			}
			return out, err
		})
	}
	failed := s.failed(ctx, err)
	for i, row := range rows {
		if v, ok := got[row]; ok {
			s.judge.after(s.index, row, all[i], v)
		} else if get && !failed {
			s.count(countMisses)
		} else if !failed {
			s.count(countErrors)
			s.told(fmt.Sprintf("node %d: row %d is missing in what was loaded", s.index, row))
		}
	}
}

// loadTimes are how long a load takes before it looks at the row and after.
func (s *station) loadTimes(r *rand.Rand) (before, after time.Duration) {
	longest := 0
	switch n := r.IntN(50); {
	case n == 0:
		longest = 20 * int(s.cfg.LoadTime)
	case n < 25:
		longest = int(s.cfg.LoadTime)
	}
	return time.Duration(r.IntN(longest/4 + 1)), time.Duration(r.IntN(2*longest + 1))
}
