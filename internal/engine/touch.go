package engine

import "time"

const touchEvery = time.Minute

// touch keeps Redis from taking the records of tags for forgotten: nodes read them
// once and are told when they change, so an eviction by age would meet them first,
// and with them everything stored under them.
func (e *Engine) touch() {
	ticker := time.NewTicker(touchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-ticker.C:
		}
		keys := []string{e.remote.ClockKey()}
		e.tags.mu.RLock()
		for name, t := range e.tags.known {
			if g := t.current.Load(); g != nil && !g.local {
				keys = append(keys, e.remote.TagKey(name))
			}
		}
		e.tags.mu.RUnlock()
		e.remote.Touch(e.ctx, keys) // what fails is tried again in a minute
	}
}
