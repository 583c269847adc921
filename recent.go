package tiercache

import "time"

// Invalidation is one that this process has done or heard of.
type Invalidation struct {
	At     time.Time
	Kind   string // "key", "tag", "pattern", "clear"
	Target string // the key, tag, pattern or cache, of several the first; "": all caches
	Count  int    // of targets of that kind in one call
	Keys   int64  // removed from Redis, see Report
	Queued bool   // it waits for Redis, in part at least
	Heard  bool   // another process told of it
	Expire bool   // Expire and not Invalidate
}

// Recent are the last invalidations, at most 64, the newest first: one for each call
// and kind of target, when it is done. Another process's are among them if it says so to
// all, which it does with tags, patterns and Clear while some process hears by Pub/Sub
// alone, and with patterns if it has a MemoryOnly cache. Keys that another process has
// deleted are not.
func (t *Tiers) Recent() []Invalidation {
	var all []Invalidation
	for _, is := range t.eng.Recent() {
		all = append(all, Invalidation(is))
	}
	return all
}
