package tiercache

import "time"

// Sum of all that was timed.
func (l Latency) Sum() time.Duration {
	if l.of == nil {
		return l.Mean * time.Duration(l.Count)
	}
	return l.of.Sum
}

// Below is how many took less than d: exactly if d is a power of two nanoseconds, else
// without those in the bucket that d is in, which is an eighth of d wide at most.
func (l Latency) Below(d time.Duration) int64 {
	if l.of == nil {
		return 0
	}
	return l.of.Below(d)
}
