package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tiercache/tiercache/cachehttp"
	"github.com/tiercache/tiercache/examples/internal/child"
)

// node is one instance of the service: a port, and one process after another on it.
type node struct {
	number int
	binary child.Binary
	args   []string

	// gate is held for reading by every request of the traffic, and for writing while
	// there is no process that serves: as a load balancer does, one takes an instance
	// out before one stops it.
	gate   sync.RWMutex
	srv    *child.Server // nil: none
	base   string        // http://host:port
	life   life
	client *http.Client
}

// start is called with the gate held.
func (n *node) start(ctx context.Context) error {
	args := n.args
	if n.client != nil { // the port stays
		args = append(args[:len(args):len(args)], "-addr", strings.TrimPrefix(n.base, "http://"))
	}
	srv, err := n.binary.Start(ctx, fmt.Sprintf("fleet%d", n.number+1), args...)
	if err != nil {
		return err
	}
	n.srv, n.base = srv, srv.Base
	n.life = life{n.number, n.life.number + 1}
	n.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * readers}}
	return nil
}

// end ends the process with stop, and is called with the gate held.
func (n *node) end(stop func(*child.Server) error) error {
	if n.srv == nil {
		return nil
	}
	srv := n.srv
	n.srv = nil
	n.client.CloseIdleConnections()
	return stop(srv)
}

// take is for a request: it fails while the node is out.
func (n *node) take() bool {
	if !n.gate.TryRLock() {
		return false
	}
	if n.srv == nil {
		n.gate.RUnlock()
		return false
	}
	return true
}

func (n *node) name() string { return fmt.Sprintf("instance %d", n.number+1) }

// snapshot is what the node's dashboard says.
func (n *node) snapshot(ctx context.Context) (s cachehttp.Snapshot, err error) {
	if !n.take() {
		return s, errors.New("it is out")
	}
	defer n.gate.RUnlock()
	return s, n.srv.Get(ctx, "/api/cache/stats", &s)
}

// usesRedis tells whether the node reads and writes Redis, hears it, and has nothing
// left to tell it.
func (n *node) usesRedis(ctx context.Context) bool {
	s, err := n.snapshot(ctx)
	return err == nil && s.Queued == 0 && len(s.Masters) == 1 && s.Masters[0].State == "closed" && s.Masters[0].Fresh
}

func (n *node) job(ctx context.Context, name string) (cachehttp.Job, error) {
	s, err := n.snapshot(ctx)
	for _, j := range s.Jobs {
		if j.Name == name {
			return j, nil
		}
	}
	return cachehttp.Job{}, err
}

// hits is what memory answered in a while of all that was asked.
type hits struct{ memory, all int64 }

func (h hits) percent() float64 { return 100 * float64(h.memory) / float64(max(h.all, 1)) }

// hits counts from before begin is called for so long; begin may be nil.
func (n *node) hits(ctx context.Context, begin func(), d time.Duration) (hits, error) {
	before, err := n.srv.Counters(ctx)
	if err != nil {
		return hits{}, err
	}
	if begin != nil {
		begin()
	}
	if err := pause(ctx, d); err != nil {
		return hits{}, err
	}
	after, err := n.srv.Counters(ctx)
	after.Sub(before)
	return hits{after.Cache.MemoryHits, after.Cache.Hits + after.Cache.Misses}, err
}
