// Package remote is the Redis tier: which master owns a key, whether it is in
// use, and the few commands that the protocol needs. It knows leases and values
// by their bytes alone; what they mean is the engine's.
package remote

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/envelope"
)

// Config of a Remote.
type Config struct {
	Client   redis.UniversalClient // its options are copied
	Read     time.Duration         // budget of one read
	Write    time.Duration         // budget of one write
	Logger   *slog.Logger
	Restored func() // called when a master is in use again; must not block
}

// Remote reaches every master of one deployment. Safe for concurrent use.
type Remote struct {
	cfg  Config
	plan plan

	routes *routes
}

// Open returns at once; connections are made when they are needed.
func Open(cfg Config) (*Remote, error) {
	p, err := planOf(cfg.Client)
	if err != nil {
		return nil, err
	}
	r := &Remote{cfg: cfg, plan: p}
	r.routes = newRoutes(p, func(addr string, lost func()) *master {
		return newMaster(addr, p.node, budget{cfg.Read, cfg.Write}, cfg.Logger, lost, cfg.Restored)
	})
	return r, nil
}

// Close ends all connections. What still runs fails.
func (r *Remote) Close() error { return r.routes.close() }

// Usable tells whether the master of key is in use, as far as is known without
// asking anybody.
func (r *Remote) Usable(key string) bool {
	if m := r.routes.table.Load().master(key); m != nil {
		return !m.down.Load()
	}
	return !r.routes.blind.Load()
}

// Now is the time in the clock of key's master.
func (r *Remote) Now(key string) time.Time {
	if m := r.routes.table.Load().master(key); m != nil {
		return m.now()
	}
	return time.Now()
}

// MasterHealth is what is known of one master.
type MasterHealth struct {
	Addr      string
	Connected bool
	Ping      time.Duration
	Stamp     string // "": the server does not tell its incarnations apart
}

// Health tells the mode ("single", "sentinel", "cluster") and the masters.
func (r *Remote) Health() (mode string, masters []MasterHealth) {
	for _, m := range r.routes.table.Load().masters {
		h := MasterHealth{Addr: m.addr, Ping: time.Duration(m.ping.Load())}
		h.Connected = !m.down.Load() && h.Ping > 0
		if is := m.self.Load(); is != nil && is.known {
			h.Stamp = string(is.stamp[:])
		}
		masters = append(masters, h)
	}
	return r.plan.mode, masters
}

// on runs op at the master of key. A master that says the slot has moved did not
// execute op: the table is read again and op runs once more, where it says.
func (r *Remote) on(ctx context.Context, key string, limit time.Duration, op func(context.Context, *master) error) error {
	m, t, err := r.routes.of(ctx, key, limit, nil)
	if err != nil {
		return err
	}
	run := func(ctx context.Context) error { return op(ctx, m) }
	if err = m.do(ctx, limit, run); !moved(err) {
		return err
	}
	if m, _, err = r.routes.of(ctx, key, limit, t); err != nil {
		return err
	}
	return m.do(ctx, limit, run)
}

// Get reads key.
func (r *Remote) Get(ctx context.Context, key string) (Reply, error) {
	var reply Reply
	err := r.on(ctx, key, r.cfg.Read, func(ctx context.Context, m *master) error {
		raw, err := m.rdb.Get(ctx, key).Bytes()
		switch {
		case err == redis.Nil:
			raw, err = nil, nil
		case wrongType(err):
			raw, err = notAString, nil
		case err == nil && raw == nil:
			raw = notAString
		}
		reply = Reply{Raw: raw, Stamp: m.stamp()}
		return err
	})
	return reply, err
}

// Acquire sets the lease, and won is true, unless something stands that does not
// begin with reject; what stands comes back as a Reply.
func (r *Remote) Acquire(ctx context.Context, key string, lease, reject []byte, life time.Duration) (won bool, standing Reply, err error) {
	err = r.on(ctx, key, r.cfg.Write, func(ctx context.Context, m *master) error {
		v, err := acquireScript.Run(ctx, m.rdb, []string{key}, lease, life.Milliseconds(), reject).Result()
		raw, stands := v.(string)
		switch {
		case err == redis.Nil: // it expired while the script looked, as servers before 7 allow
			standing, err = Reply{Raw: notAString, Stamp: m.stamp()}, nil
		case stands:
			standing = Reply{Raw: []byte(raw), Stamp: m.stamp()}
		case err == nil:
			won = true
		}
		return err
	})
	return won, standing, err
}

// Fill replaces the lease by value; false if it no longer stands.
func (r *Remote) Fill(ctx context.Context, key string, lease, value []byte, life time.Duration) (bool, error) {
	return r.script(ctx, fillScript, key, lease, value, life.Milliseconds())
}

// Release removes the lease; false if it no longer stands.
func (r *Remote) Release(ctx context.Context, key string, lease []byte) (bool, error) {
	return r.script(ctx, releaseScript, key, lease)
}

// Renew makes the lease live for life from now; false if it no longer stands.
func (r *Remote) Renew(ctx context.Context, key string, lease []byte, life time.Duration) (bool, error) {
	return r.script(ctx, renewScript, key, lease, life.Milliseconds())
}

// Seize sets the lease whatever stands.
func (r *Remote) Seize(ctx context.Context, key string, lease []byte, life time.Duration) error {
	return r.on(ctx, key, r.cfg.Write, func(ctx context.Context, m *master) error {
		return m.rdb.Set(ctx, key, lease, life).Err()
	})
}

func (r *Remote) script(ctx context.Context, s *redis.Script, key string, args ...any) (ok bool, err error) {
	err = r.on(ctx, key, r.cfg.Write, func(ctx context.Context, m *master) error {
		n, err := s.Run(ctx, m.rdb, []string{key}, args...).Int()
		ok = n == 1
		return err
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

// parallel runs op on every one of ms and returns the first error.
func parallel(ms []*master, op func(*master) error) error {
	errs := make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		wg.Go(func() { errs[i] = op(m) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
