package memory

// Each shows every item to visit until it returns false. An item that was stored
// before the call and still is when it ends is shown, perhaps twice; one that
// comes or goes meanwhile may be. Nothing is shown once the cache is closed.
//
// visit is called with locks held that a Get may wait for, so it must be short,
// and it must not call the cache: what is to go is noted and given to
// [Cache.Discard] afterwards.
//
// The overlays come first. Items move from there into ristretto and never back,
// and ristretto has an item before its overlay lets go of it; the other way
// round one would slip through:
//
//	Each: ristretto | settle: item into ristretto, out of the overlay | Each: overlay
func (c *Cache[M]) Each(visit func(*Item[M]) (more bool)) {
	at, open := c.gate.enter(0)
	if !open {
		return
	}
	defer c.gate.leave(at)
	for i := range c.stripes {
		if c.stripes[i].n.Load() != 0 && !c.stripes[i].each(visit) {
			return
		}
	}
	c.r.IterValues(func(it *Item[M]) (stop bool) { return c.stopped() || !visit(it) })
}

func (s *stripe[M]) each(visit func(*Item[M]) (more bool)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pending {
		if p.it != nil && !visit(p.it) {
			return false
		}
	}
	return true
}

// Discard removes this very item, and says whether it was still stored: what
// took its place stays.
func (c *Cache[M]) Discard(it *Item[M]) bool {
	at, open := c.gate.enter(uint32(it.Hash))
	if !open {
		return false
	}
	defer c.gate.leave(at)
	return c.changeIf(it.Hash, nil, func(got *Item[M]) bool { return got == it })
}
