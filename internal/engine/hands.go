package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// perHand is how many bytes to decode are worth another goroutine: decoding them
	// takes ten times as long as to start one.
	perHand = 16 << 10
	// atATime is how many are taken at a time: what one is slow with the others do.
	atATime = 8
)

// sideBySide does 0 to n-1 in pieces, by as many hands as there are processors, at most
// so many, the caller's among them. A piece is given up if do ends its goroutine, as a
// codec can by runtime.Goexit.
func sideBySide(n, hands int, do func(from, to int)) {
	var next atomic.Int64
	work := func() {
		for {
			to := int(next.Add(atATime))
			if from := to - atATime; from < n {
				do(from, min(to, n))
			} else {
				return
			}
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for range min(hands, runtime.GOMAXPROCS(0), (n+atATime-1)/atATime) - 1 {
		wg.Go(work)
	}
	work()
}
