package tiercache

import "context"

// HotKey is a key that is read often.
type HotKey struct {
	Cache, Key string
	Share      float64 // of the reads that memory answers in this process, estimated; 0 to 1
}

// HotKeys are the n keys that memory answers most often, the hottest first; fewer if
// fewer are known. They are found by sampling: what was read a minute ago counts half,
// and of up to 16,384 keys it is known how often they are read. A key whose value is not
// in memory at the moment is not among them. Safe for concurrent use; it takes
// milliseconds at the most and asks nobody.
func (t *Tiers) HotKeys(n int) []HotKey {
	hot := t.eng.Hot(n)
	keys := make([]HotKey, len(hot))
	for i, k := range hot {
		keys[i] = HotKey(k)
	}
	return keys
}

// Warm fills memory with the values that were read most often lately, from Redis, so
// that a process which takes over from another finds in memory what that one had there.
// Call it after every New, which makes the caches it fills, and before the process
// takes traffic.
//
// Each process leaves a list of its hottest keys in Redis once a minute and at Close,
// up to 16,384 keys and 256 KiB for each cache, for a day. Warm reads the list, and
// then the values, the hottest first, 100 to a round trip, until it is through, or seven
// eighths of Config.MemoryBytes are taken. Nothing is loaded, no value is stored that a
// Get would not return, and what it reads is no operation in Stats.
//
// A service starts with or without it: that there is no list, that Redis cannot be asked, or
// is not heard within three seconds, is no error; the log tells. The error is that of
// ctx, if that ends before, ErrClosed, or that ctx is nil. With memory only, and for a
// cache that is MemoryOnly, there is nothing to do. Safe for concurrent use, also while
// the caches are used.
func (t *Tiers) Warm(ctx context.Context) error { return t.eng.Warm(ctx) }
