package main

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatANodeWasToldIsStaleThereAtOnceAndElsewhereAfterTheBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJudge(2, time.Second)
		mine, other := make([]atomic.Int64, 2), make([]atomic.Int64, 2)
		read := func(own []atomic.Int64, version int64) (stale int64) {
			was, _ := j.breaches()
			j.after(0, 1, j.before(own, 1), version)
			is, _ := j.breaches()
			return is - was
		}
		time.Sleep(time.Minute)
		j.invalidated(mine, 1, 2, true)
		assert.EqualValues(t, 1, read(mine, 1))
		assert.EqualValues(t, 0, read(mine, 2))
		assert.EqualValues(t, 0, read(other, 1), "within the bound")
		time.Sleep(time.Second / 2)
		j.invalidated(mine, 1, 3, true)
		j.invalidated(mine, 1, 2, true) // a late return of an earlier one
		time.Sleep(time.Second/2 + 1)
		assert.EqualValues(t, 1, read(other, 1))
		assert.EqualValues(t, 0, read(other, 2))
		time.Sleep(time.Second / 2)
		assert.EqualValues(t, 1, read(other, 2))
		assert.EqualValues(t, 0, read(other, 3))
		assert.EqualValues(t, 1, read(mine, 2))

		f := j.before(other, 1) // of a read that starts now and ends after much
		j.invalidated(mine, 1, 9, true)
		time.Sleep(time.Hour)
		was, _ := j.breaches()
		j.after(0, 1, f, 3)
		is, first := j.breaches()
		assert.Equal(t, was, is)
		assert.Len(t, first, 4)
	})
}

func TestWhatIsQueuedCountsOnItsOwnNodeAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJudge(1, time.Second)
		mine, other := make([]atomic.Int64, 1), make([]atomic.Int64, 1)
		j.invalidated(mine, 0, 2, false)
		time.Sleep(time.Hour)
		assert.Equal(t, floors{own: 2}, j.before(mine, 0))
		assert.Equal(t, floors{}, j.before(other, 0))
		j.settled(0, 0, 1, 2)
		j.settled(0, 0, 2, 2)
		n, _ := j.breaches()
		assert.EqualValues(t, 1, n)
	})
}
