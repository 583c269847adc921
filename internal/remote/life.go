package remote

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/envelope"
)

// incarnation names one life of a server: what an earlier one wrote may have
// missed deletes that this one never heard of.
type incarnation struct {
	stamp envelope.ID
	known bool // false: the server does not say (INFO is refused), stamp is a constant
}

// life is a set of connections that all lead to one incarnation of a master. The
// first to be made says which; one that finds another is refused, and if nobody
// learnt anything in between, a new life takes this one's place. So a reply never
// passes under another life's stamp, whatever handshake was slow:
//
//	A: INFO answered by life 1 | restart | B: INFO, life 2 | A: back to life 1
type life struct {
	m    *master
	rdb  *gather                      // for operations
	own  atomic.Pointer[redis.Client] // one connection, for questions: those must not wait for a free one
	turn chan struct{}                // who has it may ask, and set own and over
	over bool
	self atomic.Pointer[incarnation]

	options redis.Options
}

func (m *master) newLife(self *incarnation) *life {
	l := &life{m: m, turn: make(chan struct{}, 1)}
	l.self.Store(self)
	o := exchanging(telling(*failFast(m.options, m.budget.read, m.budget.write)))
	theirs := o.OnConnect
	o.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if theirs != nil {
			if err := theirs(ctx, cn); err != nil {
				return err
			}
		}
		_, err := l.meet(ctx, cn)
		return err
	}
	l.options = o
	client := redis.NewClient(&o)
	instrumented(client, m.cfg.Instrument, m.log)
	l.rdb = newGather(client, m.budget, &m.usual, l.failed)
	l.rdb.hooked = m.cfg.Instrument != nil
	l.own.Store(l.newOwn())
	return l
}

// failed hears of a round trip without an answer that belongs to nobody.
func (l *life) failed(err error) {
	if l.m.life.Load() == l {
		l.m.heard(newsOf(context.Background(), err), err)
	}
}

func (l *life) newOwn() *redis.Client {
	o := l.options
	// One is used. A pool that has seen as many failed dials as it is large dials
	// once a second, on a goroutine that outlives it.
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns = 16, 0, 1, 0
	return redis.NewClient(&o)
}

// question meets the server once more, unless it has said after since who it is.
func (l *life) question(ctx context.Context, since int64) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.over {
		return errOvertaken
	}
	if l.m.asked.Load() > since {
		return nil
	}
	_, err := l.meet(ctx, l.own.Load())
	if n := newsOf(ctx, err); n != answered && n != full {
		_ = l.own.Load().Close()
		l.own.Store(l.newOwn())
	}
	return err
}

func (l *life) close() error {
	err := l.rdb.close()
	l.turn <- struct{}{} // questions end with their budgets
	defer func() { <-l.turn }()
	l.over = true
	return errors.Join(err, l.own.Load().Close())
}

type pipeliner interface {
	Pipelined(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// meet asks who is at the other end: on each new connection before any command
// runs on it, and on some connection every quarter of a bound, because a server
// can become another's replica, or get its first replica and with it a new
// replication id, without ending connections. The error ends the connection.
func (l *life) meet(ctx context.Context, cn pipeliner) (envelope.ID, error) {
	was := l.self.Load()
	sent := clock.Now()
	key := l.m.cfg.keyAt(l.m)
	if key == "" && !l.m.circuit.is(closed) {
		key = probeKey(l.m.cfg.Prefix) // it may have been refused, and that alone
	}
	is, at, peers, err := ask(ctx, cn, l.m.cfg.Prefix, key, was == nil)
	if err != nil {
		if errors.Is(err, errReplica) {
			l.m.succeed(l, was, nil)
		}
		return is.stamp, err
	}
	took := clock.Now() - sent
	if was == nil {
		l.self.CompareAndSwap(nil, &is)
	}
	if now := l.self.Load(); now.stamp != is.stamp {
		if now == was {
			l.m.succeed(l, was, &is)
		}
		return is.stamp, errOvertaken
	}
	if l.m.life.Load() != l {
		return is.stamp, errOvertaken
	}
	if !at.IsZero() {
		l.m.clock.Store(at.UnixNano() - sent - took/2)
	}
	l.m.peers.Store(peers)
	raise(&l.m.peersAsked, sent)
	raise(&l.m.asked, sent)
	return is.stamp, nil
}

func probeKey(prefix string) string { return prefix + reserved + "probe" }

func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); n > old && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}

// ask puts all questions in one round trip; the first time also whether the user
// may do all that a cache needs. A key, if one is given, is read to see whether a
// master serves its slots: one that has just joined its cluster answers everything
// else.
func ask(ctx context.Context, cn pipeliner, prefix, key string, first bool) (is incarnation, at time.Time, peers int64, err error) {
	var server, replication *redis.StringCmd
	var now *redis.TimeCmd
	var listening *redis.MapStringIntCmd
	var reads, needed []redis.Cmder
	sent, err := cn.Pipelined(ctx, func(p redis.Pipeliner) error {
		server, replication, now = p.Info(ctx, "server"), p.Info(ctx, "replication"), p.Time(ctx)
		listening = coherence.Peers(ctx, p, prefix)
		reads = append(reads, server, replication, now)
		if key != "" {
			get := p.Get(ctx, key)
			reads, needed = append(reads, get), append(needed, get)
		}
		if first {
			if key == "" {
				key = probeKey(prefix)
			}
			needed = append(needed, probeScript.Eval(ctx, p, []string{key}), probeScript.EvalSha(ctx, p, []string{key}),
				p.Get(ctx, key), p.GetRange(ctx, key, 0, 0))
		}
		return nil
	})
	if err != nil {
		if n := newsOf(ctx, err); n != answered && n != full {
			return is, at, 0, err
		}
		// No command has this answer: it is that to the handshake, whose SELECT or
		// CLIENT SETNAME was refused, and nothing was sent.
		if !slices.ContainsFunc(sent, func(c redis.Cmder) bool { return c.Err() != nil }) {
			return is, at, 0, errUnusable{err}
		}
	}
	for _, cmd := range reads {
		if err := cmd.Err(); newsOf(ctx, err) == full {
			return is, at, 0, errUnusable{err} // nothing that it refuses says who it is
		}
	}
	for _, cmd := range needed {
		switch err := cmd.Err(); {
		case forbidden(err) || strings.HasPrefix(answer(err), "ERR unknown command"):
			return is, at, 0, errUnusable{err}
		case newsOf(ctx, err) == refusing:
			return is, at, 0, err
		}
	}
	peers = -1
	if n, err := listening.Result(); err == nil {
		peers = 0
		for _, k := range n {
			peers += k
		}
	}
	if field(replication.Val(), "role:") == "slave" {
		return is, at, peers, errReplica
	}
	run, repl := field(server.Val(), "run_id:"), field(replication.Val(), "master_replid:")
	is = incarnation{stamp: envelope.NewID(run + "/" + repl), known: run != ""}
	if !is.known {
		is.stamp = envelope.NewID("")
	}
	return is, now.Val(), peers, nil
}

var (
	errOvertaken = errors.New("tiercache: this connection was overtaken by another, to another life of the server")
	errReplica   = errors.New("tiercache: the server is a replica; nothing can be written there, and what it says may be old")
)

// errUnusable keeps a server out of use that refuses what a cache cannot do without.
// It does not unwrap: go-redis would show the refusal in its place, which looks like
// any answer.
type errUnusable struct{ refusal error }

func (e errUnusable) Error() string {
	return "tiercache: this Redis cannot be used: " + e.refusal.Error()
}

func field(info, name string) string {
	_, rest, ok := strings.Cut(info, name)
	if !ok {
		return ""
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// succeed puts a new life in l's place, if l is the present one and what it is
// has not changed since it was asked. is nil: the next connection says.
func (m *master) succeed(l *life, was, is *incarnation) {
	m.mu.Lock()
	if m.closed || m.life.Load() != l || l.self.Load() != was {
		m.mu.Unlock()
		return
	}
	m.life.Store(m.newLife(is))
	m.ends.Go(func() { _ = l.close() }) // not here: who asked has the turn
	m.mu.Unlock()
	// After the new life is the present one: what is sampled from here on belongs
	// to it, what was before is void.
	m.lose()
	if was != nil && was.known {
		m.log.Warn("tiercache: Redis is another incarnation; what the last one stored is not believed", "addr", m.addr)
	}
}

// renew leaves the connections of the present life behind, without a new
// incarnation. After an outage some of them may lead nowhere, without a sign: each
// would cost another budget, and every three open the circuit again.
func (m *master) renew() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	l := m.life.Load()
	m.life.Store(m.newLife(l.self.Load()))
	m.ends.Go(func() { _ = l.close() })
}
