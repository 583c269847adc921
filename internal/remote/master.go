package remote

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/envelope"
)

// How a master goes out of use, and comes back.
const (
	firstProbe = 50 * time.Millisecond // doubled each time, with jitter
	lastProbe  = 2 * time.Second
	failLimit  = 3 // failures in a row, a refused connection alone
	// holdOff is how long a master that answers again is not believed: the
	// invalidations that others could not send meanwhile are to be in first.
	holdOff    = time.Second
	holdGlance = 20 * time.Millisecond
	// steady is how long it has to be in use for its next outage to be a new one:
	// until then the pauses between probes go on growing.
	steady = 10 * time.Second
)

// state of a master. Reads, leases and fills need up; what removes is sent while
// returning too.
type state int32

const (
	up state = iota
	down
	returning // it answers, and this node's journal, then the others', go first
)

// master is one server that owns keys: its connections, what it said of itself,
// how well it is heard, and whether it is in use. Safe for concurrent use.
type master struct {
	addr    string
	options redis.Options // the user's
	cfg     *Config
	budget  budget
	log     *slog.Logger

	life       atomic.Pointer[life]
	ear        atomic.Pointer[coherence.Listener]
	clock      atomic.Int64 // Unix time of the server minus clock.Now, nanoseconds
	ping       atomic.Int64 // last round trip, nanoseconds; 0: none yet
	peersAsked atomic.Int64 // clock.Now when that was asked
	asked      atomic.Int64 // clock.Now when the last question was sent that it answered as the master it is
	peers      atomic.Int64 // nodes that hear by Pub/Sub alone; -1: the server does not say
	state      atomic.Int32
	fails      atomic.Int32 // failures since the last answer

	mu     sync.Mutex // orders the changes of state, and those of life
	closed bool       // guarded by mu
	ends   sync.WaitGroup

	wake chan struct{} // tells watch that the master went out of use
	stop context.CancelFunc
	done chan struct{}
}

type budget struct{ read, write time.Duration }

// newMaster starts watching and listening at once. lost is called at each sign
// that the server is gone; it may not block.
func newMaster(addr string, p plan, cfg *Config, lost func()) *master {
	m := &master{
		addr: addr, options: p.node, cfg: cfg, budget: budget{cfg.Read, cfg.Write}, log: cfg.Logger,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	m.options.Addr = addr
	m.peers.Store(-1)
	m.clock.Store(time.Now().UnixNano() - clock.Now())
	m.life.Store(m.newLife(nil))
	m.ear.Store(coherence.Listen(coherence.Config{
		Options:  *failFast(m.options, m.budget.read, m.budget.write),
		Meet:     func(ctx context.Context, cn *redis.Conn) (envelope.ID, error) { return m.life.Load().meet(ctx, cn) },
		Standing: func() (envelope.ID, int64, bool) { return m.stamp(), m.asked.Load(), m.is(up) },
		Prefix:   cfg.Prefix,
		Bound:    cfg.Bound,
		PubSub:   p.cluster == nil,
		Handler:  cfg.Handler,
		Logger:   cfg.Logger,
	}))
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go m.watch(ctx, lost)
	return m
}

func (m *master) is(s state) bool { return state(m.state.Load()) == s }

// hearing of what changes there.
func (m *master) hearing() *coherence.Hearing { return m.ear.Load().Hearing() }

// lose says that what was heard from the master does not count any more.
func (m *master) lose() {
	if ear := m.ear.Load(); ear != nil { // nil: nothing was heard yet
		ear.Hearing().Lose()
	}
}

// stamp is that of the life at hand. Before the first answer it belongs to nobody.
func (m *master) stamp() envelope.ID { return m.life.Load().stamp() }

func (l *life) stamp() envelope.ID {
	if is := l.self.Load(); is != nil {
		return is.stamp
	}
	return envelope.NewID("nobody")
}

// met makes sure that the server has said who it is: what would be written with
// the stamp of nobody, nobody would believe.
func (m *master) met(ctx context.Context) error {
	if m.life.Load().self.Load() != nil {
		return nil
	}
	return m.confirm(ctx)
}

// confirm asks the server whether it is the master.
func (m *master) confirm(ctx context.Context) error {
	return m.do(ctx, m.budget.read, func(ctx context.Context, l *life) error { return l.question(ctx, clock.Now()) })
}

// now is the time in the server's clock.
func (m *master) now() time.Time { return time.Unix(0, clock.Now()+m.clock.Load()) }

// use is do for what is only sent to a master that is believed: reads, and what
// could make a value.
func (m *master) use(ctx context.Context, limit time.Duration, op func(context.Context, *life) error) error {
	if !m.is(up) {
		return ErrUnavailable
	}
	return m.try(ctx, limit, func(ctx context.Context, l *life) error {
		if err := op(ctx, l); err != nil {
			return err
		}
		if m.life.Load() != l {
			return errOvertaken
		}
		return nil
	})
}

// do runs op within a budget and takes its error as news of the server.
func (m *master) do(ctx context.Context, limit time.Duration, op func(context.Context, *life) error) error {
	if m.is(down) {
		return ErrUnavailable
	}
	return m.try(ctx, limit, op)
}

func (m *master) try(ctx context.Context, limit time.Duration, op func(context.Context, *life) error) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := op(bounded, m.life.Load())
	m.heard(newsOf(ctx, err), err)
	return err
}

func (m *master) heard(n news, err error) {
	switch {
	case n == none:
		return
	case n == answered:
		if m.fails.Load() != 0 {
			m.fails.Store(0)
		}
		return
	case n == refusing:
	case m.fails.Add(1) < failLimit:
		return
	}
	m.mu.Lock()
	changed := state(m.state.Swap(int32(down))) != down
	m.mu.Unlock()
	if changed {
		m.log.Warn("tiercache: Redis is out of use", "addr", m.addr, "error", err)
		// Entries of the outage must not outlive it, so the epoch that they are
		// stored under must not.
		m.lose()
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// watch asks the master who it is, and brings it back into use when it answers
// again.
func (m *master) watch(ctx context.Context, lost func()) {
	defer close(m.done)
	wait := time.Duration(0)
	backoff := firstProbe
	var since, inUse int64 // clock.Now when it began to return, and when it was in use last
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
			if clock.Now()-inUse > int64(steady) {
				backoff = firstProbe
			} else {
				backoff = min(2*backoff, lastProbe)
			}
			wait = jittered(backoff)
			lost()
			continue
		case <-timer.C:
		}
		if m.is(returning) && clock.Now()-since >= int64(holdOff) && m.cfg.Replayed(m.owns) {
			m.become(returning, up, "tiercache: Redis is in use again")
			inUse = clock.Now()
			m.cfg.Restored()
			wait = 0
			continue
		}
		sent := clock.Now()
		err := m.try(ctx, m.budget.write, func(ctx context.Context, l *life) error {
			return l.question(ctx, sent)
		})
		if err == nil {
			m.ping.Store(clock.Now() - sent)
		}
		switch {
		case !m.is(down):
			wait = min(m.cfg.Bound/4, time.Second)
			if m.is(returning) {
				wait = min(wait, holdGlance)
			}
		case err != nil:
			backoff = min(2*backoff, lastProbe)
			wait = jittered(backoff)
			lost()
		default:
			since = clock.Now()
			m.become(down, returning, "tiercache: Redis answers again")
			wait = 0
			m.cfg.Restored()
		}
	}
}

// owns tells whether the master is asked about key, as far as is known.
func (m *master) owns(key string) bool { return m.cfg.owner(key) == m }

func (m *master) become(from, to state, text string) {
	m.mu.Lock()
	changed := m.state.CompareAndSwap(int32(from), int32(to))
	m.mu.Unlock()
	if changed {
		m.fails.Store(0)
		m.log.Info(text, "addr", m.addr)
	}
}

// jittered is between half of d and d, so that a fleet does not knock in step.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func (m *master) close() error {
	m.stop()
	<-m.done
	m.ear.Load().Close()
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.ends.Wait()
	return m.life.Load().close()
}
