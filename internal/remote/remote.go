// Package remote is the Redis tier: which master owns a key, whether it is in
// use, and the few commands that the protocol needs. It knows leases and values
// by their bytes alone; what they mean is the engine's.
package remote

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/envelope"
)

// Config of a Remote.
type Config struct {
	Client redis.UniversalClient // its options are copied
	// Instrument may add hooks to a client that was made for commands; nil: nobody does.
	Instrument func(*redis.Client)
	Prefix     string
	Read       time.Duration // budget of one read
	Write      time.Duration // budget of one write
	Bound      time.Duration // how old what is heard may be
	Handler    coherence.Handler
	Logger     *slog.Logger
	// Longest is how many bytes of what stands under a key are read: nothing that
	// counts is longer, and what somebody else put there may be as long as it likes.
	Longest int64
	// Trusting: what an earlier life of a server stored is believed.
	Trusting bool

	// Restored is called when a master answers again, and when it is in use again;
	// Replayed whether all has been sent that had to wait for the keys that owns
	// accepts. Neither may block.
	Restored func()
	Replayed func(owns func(key string) bool) bool

	single bool // there is one master

	owner func(key string) *master
	keyAt func(*master) string // a key that it owns, "" if that need not be asked
}

// Remote reaches every master of one deployment. Safe for concurrent use.
type Remote struct {
	cfg  Config
	plan plan

	prefixCRC uint16
	last      any // index of the last byte that is read of a key: its text, boxed once

	routes *routes
}

// Open returns at once; connections are made when they are needed.
func Open(cfg Config) (*Remote, error) {
	p, err := planOf(cfg.Client)
	if err != nil {
		return nil, err
	}
	r := &Remote{cfg: cfg, plan: p, prefixCRC: crcOf(0, cfg.Prefix), last: strconv.FormatInt(cfg.Longest-1, 10)}
	opened := make(chan struct{}) // masters ask for their keys as soon as they are made
	r.cfg.owner = func(key string) *master { <-opened; return r.routes.table.Load().master(key) }
	r.cfg.single = p.cluster == nil
	r.cfg.keyAt = func(*master) string { return "" }
	if p.cluster != nil {
		r.cfg.keyAt = func(m *master) string { <-opened; return r.keyAt(m) }
	}
	r.routes = newRoutes(p, func(addr string, lost func()) *master { return newMaster(addr, p, &r.cfg, lost) })
	close(opened)
	return r, nil
}

// Close ends all connections. What still runs fails.
func (r *Remote) Close() error { return r.routes.close() }

// under is the master of a key that is given without the prefix: on the way of a hit
// in memory nothing is to be put together.
func (r *Remote) under(key string) *master {
	t := r.routes.table.Load()
	if t.owner == nil {
		return t.master("") // of every key
	}
	return t.owner[slotUnder(r.prefixCRC, key)]
}

// Usable tells whether the master of a key, given without the prefix, is in use, as
// far as is known without asking anybody.
func (r *Remote) Usable(key string) bool {
	if m := r.routes.only; m != nil { // nothing is called on the way of a hit in an outage
		return m.circuit.is(closed)
	}
	return r.usable(key)
}

func (r *Remote) usable(key string) bool {
	if m := r.under(key); m != nil {
		return m.circuit.is(closed)
	}
	return !r.routes.blind.Load()
}

// ReadOnly tells whether the master of a key, given without the prefix, is in use, and
// takes no writes.
func (r *Remote) ReadOnly(key string) bool {
	m := r.under(key)
	return m != nil && m.circuit.is(closed) && m.valve.shut.Load()
}

// Writable tells whether a value could be made under key now, as far as is known
// without asking anybody: its master is in use, and has not just refused a write,
// or a write is to be tried again.
func (r *Remote) Writable(key string) bool {
	if m := r.routes.table.Load().master(key); m != nil {
		return m.circuit.is(closed) && m.valve.passes()
	}
	return !r.routes.blind.Load()
}

// Hearing of the master of key, nil if nobody is known to own it.
func (r *Remote) Hearing(key string) *coherence.Hearing {
	if m := r.routes.table.Load().master(key); m != nil {
		return m.hearing()
	}
	return nil
}

// Now is the time in the clock of key's master.
func (r *Remote) Now(key string) time.Time {
	if m := r.routes.table.Load().master(key); m != nil {
		return m.now()
	}
	return time.Now()
}

// on reads at the master of key. A master that says the slot has moved did not
// execute op: the table is read again and op runs once more, where it says. What
// was heard from it is void, whatever the table will say.
func (r *Remote) on(ctx context.Context, key string, limit time.Duration, op func(context.Context, *life) error) error {
	return r.at(ctx, key, limit, func(m *master) error { return m.use(ctx, limit, op) })
}

// change is on for what removes: it is also sent to a master that returns.
func (r *Remote) change(ctx context.Context, key string, limit time.Duration, op func(context.Context, *life) error) error {
	return r.at(ctx, key, limit, func(m *master) error { return m.do(ctx, limit, op) })
}

// store is on for what could make a value; op tells whether it has written. The
// error is ErrReadOnly while the master takes no writes.
func (r *Remote) store(ctx context.Context, key string, op func(context.Context, *life) (bool, error)) error {
	return r.at(ctx, key, r.cfg.Write, func(m *master) error { return m.store(ctx, r.cfg.Write, op) })
}

// mark is on for a write that is sent whether the master takes writes or not.
func (r *Remote) mark(ctx context.Context, key string, op func(context.Context, *life) error) error {
	return r.at(ctx, key, r.cfg.Write, func(m *master) error { return m.mark(ctx, r.cfg.Write, op) })
}

func (r *Remote) at(ctx context.Context, key string, limit time.Duration, run func(*master) error) error {
	m, t, err := r.routes.of(ctx, key, limit, nil)
	if err != nil {
		return err
	}
	err = run(m)
	if !moved(err) {
		return err
	}
	if strings.HasPrefix(err.Error(), "MOVED ") {
		m.lose()
	}
	if m, _, err = r.routes.of(ctx, key, limit, t); err != nil {
		return err
	}
	return run(m)
}

// Get reads key. The server has said less than a bound ago that it is the master:
// a demoted one, or one that a paused process comes back to, may say what is old.
func (r *Remote) Get(ctx context.Context, key string) (Reply, error) {
	var reply Reply
	err := r.on(ctx, key, r.cfg.Read, func(ctx context.Context, l *life) (err error) {
		if err = l.m.recent(ctx, l); err == nil {
			reply, err = replyOf(l, l.rdb.read(ctx, "getrange", key, "0", r.last))
		}
		return err
	})
	return reply, err
}

// recent asks again who the server is if that was last said more than a bound ago.
func (m *master) recent(ctx context.Context, l *life) error {
	oldest := clock.Now() - int64(m.cfg.Bound)
	if m.asked.Load() >= oldest {
		return nil
	}
	return l.question(ctx, oldest)
}

func replyOf(l *life, cmd *redis.StringCmd) (Reply, error) {
	raw, err := cmd.Bytes()
	switch {
	case wrongType(err):
		raw, err = notAString, nil
	case err == redis.Nil, err == nil && len(raw) == 0: // an empty string is taken for nothing
		raw, err = nil, nil
	}
	return Reply{Raw: raw, Stamp: l.stamp()}, err
}

// Acquire sets the lease, and won is true, unless something stands that does not
// begin with reject; what stands comes back as a Reply.
func (r *Remote) Acquire(ctx context.Context, key string, lease, reject []byte, ttl time.Duration) (won bool, standing Reply, err error) {
	err = r.store(ctx, key, func(ctx context.Context, l *life) (bool, error) {
		v, err := acquireScript.Run(ctx, l.rdb, []string{key}, lease, ttl.Milliseconds(), reject, r.cfg.Longest-1).Result()
		raw, stands := v.(string)
		switch {
		case err == redis.Nil: // it expired while the script looked, as servers before 7 allow
			standing, err = Reply{Raw: notAString, Stamp: l.stamp()}, nil
		case stands:
			standing = Reply{Raw: bytesOf(raw), Stamp: l.stamp()}
		case err == nil:
			won = true
		}
		return won, err
	})
	return won, standing, err
}

// Fill replaces the lease by value; false if it no longer stands. Here as elsewhere
// the bytes may still be read when it has returned because ctx ended.
func (r *Remote) Fill(ctx context.Context, key string, lease, value []byte, ttl time.Duration) (bool, error) {
	return r.script(ctx, fillScript, key, lease, value, ttl.Milliseconds())
}

// Extend replaces the front of a value by another that is as long, and gives it a new
// life; false if the value does not stand under stands any more.
func (r *Remote) Extend(ctx context.Context, key string, stands, front []byte, ttl time.Duration) (bool, error) {
	return r.script(ctx, extendScript, key, stands, front, ttl.Milliseconds())
}

// Release removes the lease; false if it no longer stands.
func (r *Remote) Release(ctx context.Context, key string, lease []byte) (ok bool, err error) {
	err = r.mark(ctx, key, func(ctx context.Context, l *life) error {
		n, err := releaseScript.Run(ctx, l.rdb, []string{key}, lease).Int()
		ok = n == 1
		return err
	})
	return ok, err
}

// Renew makes the lease, or the value with that head, live for life from now; false if it no longer stands.
func (r *Remote) Renew(ctx context.Context, key string, lease []byte, ttl time.Duration) (bool, error) {
	return r.script(ctx, renewScript, key, lease, ttl.Milliseconds())
}

// Seize sets the lease whatever stands, unless that is a marker: then it is false.
func (r *Remote) Seize(ctx context.Context, key string, lease []byte, ttl time.Duration) (bool, error) {
	return r.script(ctx, seizeScript, key, lease, ttl.Milliseconds())
}

func (r *Remote) script(ctx context.Context, s *redis.Script, key string, args ...any) (ok bool, err error) {
	err = r.store(ctx, key, func(ctx context.Context, l *life) (bool, error) {
		n, err := s.Run(ctx, l.rdb, []string{key}, args...).Int()
		ok = n == 1
		// A server without memory lengthens the life of what it has.
		return ok && s != renewScript, err
	})
	return ok, err
}

// Stamp is the incarnation of key's master, for what is to be written there. It
// is asked for before the write: on a server that was restarted in between, what
// is written counts as the earlier one's.
func (r *Remote) Stamp(ctx context.Context, key string) (envelope.ID, error) {
	m, _, err := r.routes.of(ctx, key, r.cfg.Read, nil)
	if err == nil {
		err = m.met(ctx)
	}
	if err != nil {
		return envelope.ID{}, err
	}
	return m.stamp(), nil
}

// each runs op on every one of ms, at once, and returns their errors.
func each(ms []*master, op func(*master) error) []error {
	errs := make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		wg.Go(func() { errs[i] = op(m) })
	}
	wg.Wait()
	return errs
}

// parallel is each that returns the first error.
func parallel(ms []*master, op func(*master) error) error { return first(each(ms, op)) }

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
