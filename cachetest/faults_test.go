//go:build consistency

package cachetest_test

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/cachetest"
	"github.com/tiercache/tiercache/internal/redistest"
)

// faultOf makes the fault of a name, nil if this topology does not have it.
func faultOf(name string, top *topology) *cachetest.Fault {
	f := &cachetest.Fault{Name: name, Rest: 2500 * time.Millisecond}
	n := -1 // how often it was injected, less one
	inject := func(do func(ctx context.Context)) {
		f.Inject = func(ctx context.Context) { n++; do(ctx) }
	}
	switch name {
	case "kill-connections":
		inject(func(ctx context.Context) {
			if n%2 == 1 { // those of one node alone, without a word
				top.eachProxy((*redistest.Proxy).Reset)
				return
			}
			for _, s := range top.servers() {
				admin := s.Client()
				admin.ClientKillByFilter(ctx, "TYPE", "normal")
				admin.ClientKillByFilter(ctx, "TYPE", "pubsub")
			}
		})

	case "pause":
		// A server that sleeps longer than the others wait is replaced, and a master
		// still when it wakes up: two masters, which is the deployment's own doing.
		f.For = 1500 * time.Millisecond
		if top.sentinel() {
			f.For = 600 * time.Millisecond
		}
		var paused *redistest.Server
		inject(func(context.Context) { paused = top.master(n); paused.Pause() })
		f.Heal = func() { paused.Resume() }

	case "restart-empty":
		inject(func(context.Context) { top.master(n).RestartEmpty(); top.mend() })

	case "restart-old-snapshot":
		inject(func(ctx context.Context) {
			s := top.master(n / 2)
			if n%2 == 0 { // the second restart goes back further than the first
				s.Snapshot()
				select {
				case <-ctx.Done():
				case <-time.After(400 * time.Millisecond):
				}
			}
			s.RestartFromSnapshot()
			top.mend()
		})

	case "partition":
		f.For = 2500 * time.Millisecond
		inject(func(context.Context) {
			if n%2 == 0 {
				top.eachProxy((*redistest.Proxy).Drop)
			} else {
				top.eachProxy((*redistest.Proxy).HalfOpen)
			}
		})
		f.Heal = func() { top.eachProxy((*redistest.Proxy).Pass) }

	case "failover":
		if top.failover == nil {
			return nil
		}
		var heal func()
		f.For = time.Second
		inject(func(context.Context) { heal = top.failover(n) })
		f.Heal = func() {
			if heal != nil { // nil if Inject failed the test
				heal()
				heal = nil
			}
		}

	case "outage":
		f.For = 2 * time.Second
		var killed []*redistest.Server
		inject(func(context.Context) {
			killed = top.servers()
			for i := range killed { // replicas first, or one is promoted
				killed[len(killed)-1-i].Kill()
			}
		})
		f.Heal = func() {
			for _, s := range killed {
				s.Restart()
			}
			top.mend()
		}
	default:
		return nil
	}
	return f
}

func (top *topology) eachProxy(do func(*redistest.Proxy)) {
	for _, p := range top.proxies {
		do(p)
	}
}

func (top *topology) sentinel() bool { return top.deployment[:2] == "se" }
