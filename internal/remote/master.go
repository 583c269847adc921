package remote

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/envelope"
)

// How a master comes back into use, and how often it is asked while it is.
const (
	firstProbe = 50 * time.Millisecond // doubled each time, with jitter
	lastProbe  = 2 * time.Second
	pingEvery  = time.Second
	slowLimit  = 3 // timeouts in a row that take it out of use
)

var base = time.Now()

// mono is a clock that nobody can set.
func mono() time.Duration { return time.Since(base) }

// incarnation names one life of a server: what an earlier one wrote may have
// missed deletes that this one never heard of. nil until the first connection.
type incarnation struct {
	stamp envelope.ID
	known bool // false: the server does not say (INFO is refused), stamp is a constant
}

// master is one server that owns keys: its connections, what it said of itself,
// and whether it is in use. Safe for concurrent use.
type master struct {
	addr   string
	rdb    *redis.Client
	budget budget
	log    *slog.Logger

	self  atomic.Pointer[incarnation]
	clock atomic.Int64 // Unix time of the server minus mono, nanoseconds
	ping  atomic.Int64 // last round trip, nanoseconds; 0: none yet

	down  atomic.Bool
	slows atomic.Int32 // timeouts since the last answer
	mu    sync.Mutex   // orders the changes of down with their log lines

	wake chan struct{} // tells watch that the master went out of use
	stop context.CancelFunc
	done chan struct{}
}

type budget struct{ read, write time.Duration }

// newMaster starts watching at once. lost is called at each sign that the server
// is gone, restored when it is in use again; neither may block.
func newMaster(addr string, o redis.Options, b budget, log *slog.Logger, lost, restored func()) *master {
	m := &master{addr: addr, budget: b, log: log, wake: make(chan struct{}, 1), done: make(chan struct{})}
	m.clock.Store(time.Now().UnixNano() - int64(mono()))
	o.Addr = addr
	theirs := o.OnConnect
	o.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		if theirs != nil {
			if err := theirs(ctx, cn); err != nil {
				return err
			}
		}
		return m.meet(ctx, cn)
	}
	m.rdb = redis.NewClient(failFast(o, b.read, b.write))
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go m.watch(ctx, lost, restored)
	return m
}

// meet learns whom a connection leads to: each new one before any command runs
// on it, and some connection once a second, because a server changes its
// replication id, when its first replica comes say, without ending connections.
//
// What was learnt in between counts, or a slow answer of an earlier life would
// bring its stamp back, and with it what that life had stored:
//
//	A: INFO answered by life 1 | restart | B: INFO, life 2 | A: stamp of life 1
func (m *master) meet(ctx context.Context, cn interface {
	Pipelined(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error)
}) error {
	var server, replication *redis.StringCmd
	var now *redis.TimeCmd
	was := m.self.Load()
	sent := mono()
	_, err := cn.Pipelined(ctx, func(p redis.Pipeliner) error {
		server, replication, now = p.Info(ctx, "server"), p.Info(ctx, "replication"), p.Time(ctx)
		return nil
	})
	if err != nil && newsOf(ctx, err) != answered {
		return err
	}
	took := mono() - sent
	run, repl := field(server.Val(), "run_id:"), field(replication.Val(), "master_replid:")
	is := incarnation{stamp: envelope.NewID(run + "/" + repl), known: run != ""}
	if !is.known {
		is.stamp = envelope.NewID("")
	}
	if m.self.CompareAndSwap(was, &is) {
		if was != nil && was.known && was.stamp != is.stamp {
			m.log.Warn("tiercache: Redis is another incarnation; what the last one stored is not believed", "addr", m.addr)
		}
	} else if m.stamp() != is.stamp {
		return errOvertaken
	}
	if t, err := now.Result(); err == nil {
		m.clock.Store(t.UnixNano() - int64(sent+took/2))
	}
	return nil
}

// errOvertaken ends a connection that may lead to a server that is gone.
var errOvertaken = errors.New("tiercache: this connection was overtaken by another, to another life of the server")

func field(info, name string) string {
	_, rest, ok := strings.Cut(info, name)
	if !ok {
		return ""
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// stamp is that of the server which answered last. Before the first answer it
// belongs to nobody.
func (m *master) stamp() envelope.ID {
	if is := m.self.Load(); is != nil {
		return is.stamp
	}
	return envelope.NewID("nobody")
}

// met makes sure that the server has said who it is: what would be written with
// the stamp of nobody, nobody would believe.
func (m *master) met(ctx context.Context) error {
	if m.self.Load() != nil {
		return nil
	}
	return m.do(ctx, m.budget.read, func(ctx context.Context) error { return m.meet(ctx, m.rdb) })
}

// now is the time in the server's clock.
func (m *master) now() time.Time { return time.Unix(0, int64(mono())+m.clock.Load()) }

// do runs op within a budget and takes its error as news of the server.
func (m *master) do(ctx context.Context, limit time.Duration, op func(context.Context) error) error {
	if m.down.Load() {
		return ErrUnavailable
	}
	return m.try(ctx, limit, op)
}

func (m *master) try(ctx context.Context, limit time.Duration, op func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := op(bounded)
	m.heard(newsOf(ctx, err), err)
	return err
}

func (m *master) heard(n news, err error) {
	switch n {
	case none:
		return
	case answered:
		if m.slows.Load() != 0 {
			m.slows.Store(0)
		}
		return
	case slow:
		if m.slows.Add(1) < slowLimit {
			return
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down.CompareAndSwap(false, true) {
		m.log.Warn("tiercache: Redis is out of use", "addr", m.addr, "error", err)
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// watch asks the master who it is, and brings it back into use when it answers
// again.
func (m *master) watch(ctx context.Context, lost, restored func()) {
	defer close(m.done)
	wait := time.Duration(0)
	backoff := firstProbe
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
			backoff = firstProbe
			wait = jittered(backoff)
			lost()
			continue
		case <-timer.C:
		}
		sent := mono()
		err := m.try(ctx, m.budget.write, func(ctx context.Context) error { return m.meet(ctx, m.rdb) })
		if err == nil {
			m.ping.Store(int64(mono() - sent))
		}
		switch {
		case !m.down.Load():
			wait = pingEvery
		case err != nil:
			backoff = min(2*backoff, lastProbe)
			wait = jittered(backoff)
			lost()
		default:
			m.mu.Lock()
			m.down.Store(false)
			m.mu.Unlock()
			m.log.Info("tiercache: Redis is in use again", "addr", m.addr)
			backoff, wait = firstProbe, pingEvery
			restored()
		}
	}
}

// jittered is between half of d and d, so that a fleet does not knock in step.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func (m *master) close() error {
	m.stop()
	<-m.done
	return m.rdb.Close()
}
