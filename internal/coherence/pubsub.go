package coherence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
)

// chain knows up to where the numbered messages of Pub/Sub mode were heard. A
// message names the one before it, so a lost one is noticed at the next; the
// counter that the heartbeat reads tells of a lost last one.
type chain struct {
	bound int64

	mu     sync.Mutex // guards the fields below; held for no call
	synced bool       // false: heard is only what happened to come by
	heard  int64      // everything up to here was handled, or is older than the epoch
	ahead  reading    // the oldest reading that heard has not reached; n == 0: none
}

// reading is a value of the counter and when the question was sent.
type reading struct{ n, at int64 }

// outcome of a message or a reading.
type outcome struct {
	lost    bool
	upTo    int64 // when the reading that heard has reached was asked for
	reached bool
}

// message records a message that was handled. One from before the last sync may
// come late and tells nothing; so does one after the counter went back, which the
// next reading finds out.
func (c *chain) message(prev, n int64) outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.synced || n <= c.heard {
		c.heard = max(c.heard, n)
		return outcome{}
	}
	gap := prev != c.heard
	c.heard = n
	switch {
	case gap:
		c.ahead = reading{}
		return outcome{lost: true}
	case c.ahead.n != 0 && c.heard >= c.ahead.n:
		at := c.ahead.at
		c.ahead = reading{}
		return outcome{reached: true, upTo: at}
	}
	return outcome{}
}

// position is to be asked for before the counter is: a message that overtakes
// the answer must not look like a counter that went back.
func (c *chain) position() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// counter takes a reading. The first one after a loss is where hearing starts
// again: what came before it is void with the epoch, and everything that is in
// memory afterwards was read later.
func (c *chain) counter(r reading, before int64) outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.synced:
		c.synced = true
		c.heard = max(c.heard, r.n)
		return outcome{reached: true, upTo: r.at}
	case r.n < before, c.ahead.n != 0 && r.at-c.ahead.at > c.bound:
		c.synced, c.heard, c.ahead = false, 0, reading{}
		return outcome{lost: true}
	case r.n <= c.heard:
		return outcome{reached: true, upTo: r.at}
	case c.ahead.n == 0:
		// The oldest stays: under a stream of messages each new reading is
		// ahead when it is taken.
		c.ahead = r
	}
	return outcome{}
}

// asker reads the counter of Pub/Sub mode over a connection of its own, to the
// server that the session listens to.
type asker struct {
	rdb *redis.Client
	key string
}

func (s *session) newAsker() *asker {
	o := plain(s.l.cfg.Options)
	theirs := o.OnConnect
	o.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if theirs != nil {
			if err := theirs(ctx, cn); err != nil {
				return err
			}
		}
		id, err := s.l.cfg.Meet(ctx, cn)
		if err == nil && id != s.id {
			s.end(errOtherServer)
			return errOtherServer
		}
		return err
	}
	return &asker{rdb: redis.NewClient(s.guarded(o)), key: s.l.cfg.Prefix + counterName}
}

// A node in Tracking mode publishes nothing while it knows that nobody needs it. It
// asks four times in a bound, and after it began to listen, and publishes when its
// last answer is older than a bound; so whoever begins to need it is known to all
// after two bounds. There is nobody to wait for if all who listen listen this way:
// who comes later asks later.
//
//	X: asks, 0 peers | P: listens, serves memory | X: invalidates, publishes nothing

// alone waits until every node knows of this one.
func (s *session) alone(a *asker, since int64) bool {
	if clock.Now()-since > 2*int64(s.l.cfg.Bound) {
		return true
	}
	all, peers := s.l.cfg.Prefix+channelName, s.l.cfg.Prefix+peersName
	n, err := a.rdb.PubSubNumSub(s.ctx, all, peers).Result()
	return err == nil && n[peers] > 0 && n[all] == n[peers]
}

// ask reads the counter once. No answer is no news: freshness runs out by
// itself, and no message is lost by it. A server that refuses is an error.
func (s *session) ask(a *asker) error {
	sent, before := clock.Now(), s.chain.position()
	text, err := a.rdb.Get(s.ctx, a.key).Result()
	var answer redis.Error
	switch {
	case errors.Is(err, redis.Nil):
		text = "0"
	case errors.As(err, &answer):
		return err
	case err != nil:
		return nil
	}
	n, ok := parseCount(text)
	if !ok {
		return fmt.Errorf("the counter %q is %.40q", a.key, text)
	}
	return s.take(s.chain.counter(reading{n, sent}, before))
}

func (s *session) take(o outcome) error {
	switch {
	case o.lost:
		s.l.hearing.Lose()
		s.l.Hurry()
	case o.reached:
		return s.pong(o.upTo)
	}
	return nil
}

// beatEvery is how often a node asks. A long bound does not make it wait long
// for the first answer after a loss.
func beatEvery(bound time.Duration) time.Duration {
	return min(max(bound/4, time.Millisecond), time.Second)
}

// patience is how long a connection may be silent. A short bound does not make
// every hiccup void the memory: freshness ends with the bound in any case.
func patience(bound time.Duration) time.Duration {
	return min(max(2*min(bound, time.Minute), 500*time.Millisecond), 10*time.Second)
}
