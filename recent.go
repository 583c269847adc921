package tiercache

import "time"

// Invalidation is one that this process has done or heard of.
type Invalidation struct {
	At     time.Time
	Kind   string // "key", "tag", "pattern", "clear"
	Target string // the key, tag, pattern or cache; of several keys the first
	Count  int    // of targets of that kind in one call
	Keys   int64  // removed from Redis, see Report
	Queued bool   // it waits for Redis, in part at least
	Heard  bool   // another process told of it
	Expire bool   // Expire and not Invalidate
}

// Recent are the last invalidations, at most 64, the newest first. Keys that another
// process has deleted are not among them.
func (t *Tiers) Recent() []Invalidation {
	var all []Invalidation
	for _, is := range t.eng.Recent() {
		all = append(all, Invalidation(is))
	}
	return all
}
