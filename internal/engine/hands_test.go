package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEachOfManyIsDoneOnceByHoweverManyHands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		n, hands int
	}{
		{"none", 0, 4},
		{"one", 1, 4},
		{"no hands but the caller's", 100, 0},
		{"a piece and a bit", atATime + 1, 2},
		{"many", 1000, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			done := make([]atomic.Int32, c.n)
			sideBySide(c.n, c.hands, func(from, to int) {
				for i := from; i < to; i++ {
					done[i].Add(1)
				}
			})
			for i := range done {
				assert.EqualValues(t, 1, done[i].Load(), "number %d", i)
			}
		})
	}
}

func TestAHandThatEndsItsGoroutineGivesUpOnePiece(t *testing.T) {
	t.Parallel()
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor: there is only the caller's hand")
	}
	const n = 100 * atATime
	var done atomic.Int32
	var wg sync.WaitGroup
	wg.Go(func() {
		sideBySide(n, 2, func(from, to int) {
			if from == atATime {
				runtime.Goexit() // of either
			}
			done.Add(int32(to - from))
		})
	})
	wg.Wait()
	assert.EqualValues(t, n-atATime, done.Load())
}
