package remote

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/envelope"
)

// master is one server that owns keys: its connections, what it said of itself,
// how well it is heard, and whether it is in use. Safe for concurrent use.
type master struct {
	addr    string
	options redis.Options // the user's
	cfg     *Config
	budget  budget
	log     *slog.Logger
	circuit circuit
	valve   valve
	usual   usual
	beware  wary

	life       atomic.Pointer[life]
	ear        atomic.Pointer[coherence.Listener]
	clock      atomic.Int64 // Unix time of the server minus clock.Now, nanoseconds
	ping       atomic.Int64 // last round trip, nanoseconds; 0: none yet
	peersAsked atomic.Int64 // clock.Now when that was asked
	asked      atomic.Int64 // clock.Now when the last question was sent that it answered as the master it is
	peers      atomic.Int64 // nodes that hear by Pub/Sub alone; -1: the server does not say

	mu     sync.Mutex // orders the changes of life
	closed bool       // guarded by mu
	ends   sync.WaitGroup

	stop context.CancelFunc
	done chan struct{}
}

type budget struct{ read, write time.Duration }

// newMaster starts watching and listening at once. lost is called at each sign
// that the server is gone; it may not block.
func newMaster(addr string, p plan, cfg *Config, lost func()) *master {
	m := &master{
		addr: addr, options: p.node, cfg: cfg, budget: budget{cfg.Read, cfg.Write}, log: cfg.Logger,
		circuit: circuit{addr: addr, log: cfg.Logger, opened: make(chan struct{}, 1)}, valve: valve{addr: addr, log: cfg.Logger},
		done: make(chan struct{}),
	}
	m.options.Addr = addr
	m.peers.Store(-1)
	m.clock.Store(time.Now().UnixNano() - clock.Now())
	m.life.Store(m.newLife(nil))
	m.ear.Store(coherence.Listen(coherence.Config{
		Options:  *failFast(m.options, m.budget.read, m.budget.write),
		Meet:     func(ctx context.Context, cn *redis.Conn) (envelope.ID, error) { return m.life.Load().meet(ctx, cn) },
		Standing: func() (envelope.ID, int64, bool) { return m.stamp(), m.asked.Load(), m.circuit.is(closed) },
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

// use is do for reads, which are only sent to a master that is believed. If the
// answer is that there is no more of anything, nothing can be read.
func (m *master) use(ctx context.Context, limit time.Duration, op func(context.Context, *life) error) error {
	if !m.circuit.is(closed) {
		return ErrUnavailable
	}
	return m.try(ctx, limit, reading|believed, op)
}

// mark is use for a write that is sent whether the master takes writes or not.
func (m *master) mark(ctx context.Context, limit time.Duration, op func(context.Context, *life) error) error {
	if !m.circuit.is(closed) {
		return ErrUnavailable
	}
	return m.try(ctx, limit, believed, op)
}

// store is use for what could make a value. op tells whether it has written.
func (m *master) store(ctx context.Context, limit time.Duration, op func(context.Context, *life) (bool, error)) error {
	if !m.circuit.is(closed) {
		return ErrUnavailable
	}
	trial, ok := m.valve.admit()
	if !ok {
		return ErrReadOnly
	}
	var wrote bool
	var err error
	if trial {
		// Deferred: a user's dialer that panics must not keep the trial for good.
		defer func() { m.valve.tried(wrote, newsOf(ctx, err) == full) }()
	}
	err = m.try(ctx, limit, believed, func(ctx context.Context, l *life) (err error) {
		wrote, err = op(ctx, l)
		return err
	})
	return err
}

// manner of an operation.
type manner uint8

const (
	reading  manner = 1 << iota // it is a read
	believed                    // it fails if the life that it was for ended meanwhile
)

// do runs op within a budget and takes its error as news of the server.
func (m *master) do(ctx context.Context, limit time.Duration, op func(context.Context, *life) error) error {
	if m.circuit.is(open) {
		return ErrUnavailable
	}
	return m.try(ctx, limit, 0, op)
}

func (m *master) try(ctx context.Context, budget time.Duration, how manner, op func(context.Context, *life) error) error {
	bounded := limit(ctx, budget)
	defer bounded.end()
	l := m.life.Load()
	err := op(bounded, l)
	if err == nil && how&believed != 0 && m.life.Load() != l {
		err = errOvertaken
	}
	n := newsOf(ctx, err)
	if n == full && how&reading != 0 {
		n = refusing
	}
	m.heard(n, err)
	return err
}

func (m *master) heard(n news, err error) {
	switch n {
	case none:
		return
	case answered:
		m.circuit.answered()
		return
	case full:
		m.circuit.answered()
		m.valve.refused(err)
		return
	}
	if m.circuit.failed(err, n == refusing) {
		// Entries of the outage must not outlive it, so the epoch that they are
		// stored under must not.
		m.lose()
	}
}

// watch asks the master who it is, and brings it back into use when it answers
// again. Nobody else probes.
func (m *master) watch(ctx context.Context, lost func()) {
	defer close(m.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var since int64 // clock.Now when it began to replay
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.circuit.opened:
			m.renew()
			lost()
			timer.Reset(until(m.circuit.probeAt.Load()))
			continue
		case <-timer.C:
		}
		if m.circuit.is(replaying) && clock.Now()-since >= int64(holdOff) && m.cfg.Replayed(m.owns) {
			m.circuit.close()
			m.ear.Load().Hurry() // until it has heard, every read asks the server
			m.cfg.Restored()
		}
		probing := m.circuit.is(open)
		sent, err := m.question(ctx)
		if errors.Is(err, errOvertaken) {
			// Another one has answered than before, to this probe or to who else has met it.
			// To wait for the next probe would add a pause to each outage that is a restart:
			//
			//	server: restarts | probe: another one | a pause | probe: answered | hold-off
			sent, err = m.question(ctx)
		}
		if err == nil {
			m.ping.Store(clock.Now() - sent)
		}
		switch {
		case probing && err == nil:
			since = clock.Now()
			m.circuit.replay()
			m.ear.Load().Hurry() // to be heard again by the time it is in use
			m.cfg.Restored()
			timer.Reset(0)
		case probing:
			m.circuit.missed(sent)
			lost()
			timer.Reset(until(m.circuit.probeAt.Load()))
		case m.circuit.is(replaying):
			timer.Reset(min(m.cfg.Bound/4, holdGlance))
		default:
			timer.Reset(min(m.cfg.Bound/4, time.Second))
		}
	}
}

// question asks the present life who it is.
func (m *master) question(ctx context.Context) (sent int64, err error) {
	sent = clock.Now()
	err = m.try(ctx, m.budget.write, 0, func(ctx context.Context, l *life) error { return l.question(ctx, sent) })
	return sent, err
}

// owns tells whether the master is asked about key, as far as is known.
func (m *master) owns(key string) bool { return m.cfg.owner(key) == m }

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
