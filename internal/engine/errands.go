package engine

import "context"

// An errand is something to tell Redis that no caller should wait for: without it
// something there stands until it runs out.
type errand func(context.Context)

const mostErrands = 1024

// later does an errand soon, in order. If too many wait it is dropped, and counted.
func (c *Cache) later(do errand) {
	select {
	case c.eng.errands <- do:
	default:
		c.counts.dropped.Add(1)
	}
}

func (e *Engine) runErrands() {
	for {
		select {
		case <-e.ctx.Done():
			return
		case do := <-e.errands:
			do(e.ctx)
		}
	}
}

// abandon removes a lease whose acquire or fill failed, if it stands for all that:
// nobody else knows its token, and it would keep others waiting.
func (c *Cache) abandon(rkey string, lease []byte) {
	c.later(func(ctx context.Context) { _, _ = c.eng.remote.Release(ctx, rkey, lease) })
}
