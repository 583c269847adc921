package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// stage is what faults act on, from one goroutine.
type stage struct {
	server *redistest.Server
	direct *redis.Client // past the proxies
	places []*place
	rand   *rand.Rand
	told   func(format string, args ...any)
}

// fault is something that goes wrong. It returns when it is over.
type fault struct {
	name string
	do   func(ctx context.Context, s *stage)
}

const (
	freezeFor   = time.Second
	faultFor    = 2 * time.Second
	delayBy     = 100 * time.Millisecond // in each direction
	snapshotAge = 400 * time.Millisecond
)

var faults = []fault{
	{"kill-connections", func(ctx context.Context, s *stage) {
		if s.rand.IntN(2) == 0 {
			s.some((*redistest.Proxy).Reset)
			return
		}
		s.direct.ClientKillByFilter(ctx, "TYPE", "normal")
		s.direct.ClientKillByFilter(ctx, "TYPE", "pubsub")
	}},
	{"freeze", func(ctx context.Context, s *stage) {
		s.server.Pause()
		sleep(ctx, freezeFor)
		s.server.Resume()
	}},
	{"restart-empty", func(_ context.Context, s *stage) { s.server.RestartEmpty() }},
	{"restart-snapshot", func(ctx context.Context, s *stage) {
		s.server.Snapshot()
		sleep(ctx, snapshotAge)
		s.server.RestartFromSnapshot()
	}},
	{"refuse", during((*redistest.Proxy).Refuse)},
	{"black-hole", during((*redistest.Proxy).Drop)},
	{"half-open", during((*redistest.Proxy).HalfOpen)},
	{"delay", during(func(p *redistest.Proxy) { p.Delay(delayBy) })},
	{"reopen", func(_ context.Context, s *stage) {
		// Not while invalidations wait: those that die with a node nobody hears of.
		if restless := s.calm(); restless != "" {
			s.told("no node is closed: %s", restless)
			return
		}
		p := s.places[s.rand.IntN(len(s.places))]
		if err := p.close(); err != nil {
			s.told("closing a node: %v", err)
		}
		if err := p.open(); err != nil {
			s.told("opening a node again: %v", err)
		}
	}},
}

// during makes a fault of the way to one node, or to all.
func during(do func(*redistest.Proxy)) func(context.Context, *stage) {
	return func(ctx context.Context, s *stage) {
		s.some(do)
		sleep(ctx, faultFor)
		for _, p := range s.places {
			p.proxy.Pass()
		}
	}
}

func (s *stage) some(do func(*redistest.Proxy)) {
	one := s.rand.IntN(2 * len(s.places))
	for i, p := range s.places {
		if one >= len(s.places) || one == i {
			do(p.proxy)
		}
	}
}

// draw chooses the next fault: each once before any comes again.
func (s *stage) draw(bag *[]fault) fault {
	if len(*bag) == 0 {
		*bag = append(*bag, faults...)
		s.rand.Shuffle(len(*bag), func(i, j int) { (*bag)[i], (*bag)[j] = (*bag)[j], (*bag)[i] })
	}
	f := (*bag)[0]
	*bag = (*bag)[1:]
	return f
}

// calm waits until all nodes use Redis, hear, and have nothing queued. It returns
// what the first has that is not calm in time, "" if all are.
func (s *stage) calm() (restless string) {
	for deadline := time.Now().Add(calmMost); ; time.Sleep(10 * time.Millisecond) {
		restless = ""
		for i, p := range s.places {
			if h, ok := p.at().calm(); !ok && restless == "" {
				restless = fmt.Sprintf("after %v node %d is not well: %+v", calmMost, i, h)
			}
		}
		if restless == "" || time.Now().After(deadline) {
			return restless
		}
	}
}
