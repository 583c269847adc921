//go:build race

package memory

// raceEnabled: under the race detector a sync.Pool forgets a quarter of what is
// put back, so ristretto's buffers of 64 Gets never fill and its policy sees none.
const raceEnabled = true
