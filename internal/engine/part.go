package engine

import (
	"context"
	"sync"

	"github.com/tiercache/tiercache/internal/batch"
)

// mostBusy is how many keys of one call ask Redis at a time, each for its lease or
// with its value. Ten thousand at once would take longer than the budget of each.
const mostBusy = 128

// part is one key of a call for many. The nil part is of none.
//
// Whoever waits for a slot waits for Redis alone, whose answers are bounded: a part
// gives its slot back before it waits for anything else, be it a loader or another's
// load.
type part struct {
	of    *batch.Part[any]
	slots chan struct{} // nil: there is no end to them

	mu    sync.Mutex // guards what follows
	has   bool       // a slot
	ended bool       // and needs none any more
}

// leave says that the key waits for somebody else.
func (p *part) leave() {
	if p != nil {
		p.of.Leave()
		p.pause(false)
	}
}

// end says that nothing is done for the key any more.
func (p *part) end() {
	if p != nil {
		p.of.Leave()
		p.pause(true)
	}
}

// load is the Loader of the key.
func (p *part) load(ctx context.Context) (any, error) {
	p.pause(false)
	v, err := p.of.Load(ctx)
	p.resume(ctx)
	return v, err
}

func (p *part) pause(ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = p.ended || ended
	if p.has {
		p.has = false
		<-p.slots
	}
}

// resume takes a slot. The load may have been given up meanwhile, and its end not
// seen the slot.
func (p *part) resume(ctx context.Context) {
	if p.slots == nil {
		return
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.has {
		<-p.slots
	} else {
		p.has = true
	}
}
