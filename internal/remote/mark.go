package remote

import (
	"context"
	"strconv"
	"time"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/envelope"
)

// Mark puts a marker under key for the Mutate named by token, beside those of
// others: until it ends nobody stores a value there. removed tells whether there
// was one, or a lease.
func (r *Remote) Mark(ctx context.Context, key string, token envelope.Token, ttl time.Duration) (removed bool, err error) {
	err = r.mark(ctx, key, func(ctx context.Context, l *life) error {
		n, err := markScript.Run(ctx, l.rdb, []string{key}, token[:], ttl.Milliseconds()).Int()
		removed = n == 1
		return err
	})
	return removed, err
}

// Unmark removes the marker of one Mutate, and what else may stand there unless
// another's marker does.
func (r *Remote) Unmark(ctx context.Context, key string, token envelope.Token) (removed bool, err error) {
	err = r.change(ctx, key, r.cfg.Write, func(ctx context.Context, l *life) error {
		n, err := unmarkScript.Run(ctx, l.rdb, []string{key}, token[:]).Int()
		removed = n == 1
		return err
	})
	return removed, err
}

// MarkEnds is when the last Mutate of a marker ends, in the server's clock.
func MarkEnds(raw []byte) (last time.Time) {
	const head, token, end = 4, 22, 13
	for at := head; at+token+end <= len(raw); at += token + end {
		if ms, err := strconv.ParseInt(string(raw[at+token:at+token+end]), 10, 64); err == nil {
			if t := time.UnixMilli(ms); t.After(last) {
				last = t
			}
		}
	}
	return last
}

// Publish tells the nodes that listen on the control channel. Without the right to,
// it is done if nobody is known to need it.
func (r *Remote) Publish(ctx context.Context, payload string) error {
	key := r.cfg.Prefix + control
	err := r.change(ctx, key, r.cfg.Write, func(ctx context.Context, l *life) error {
		return coherence.Publish(ctx, l.rdb, r.cfg.Prefix, payload)
	})
	if forbidden(err) && r.plan.cluster == nil {
		m := r.routes.table.Load().masters[0]
		if m.peers.Load() == 0 && m.peersAsked.Load() >= clock.Now()-int64(m.cfg.Bound) {
			return nil
		}
	}
	return err
}

// control is the name of the key whose master hears what is published.
const control = reserved + "seq"

// Controlled tells whether the master where Publish publishes is in use.
func (r *Remote) Controlled() bool { return r.Usable(control) }

// HearsAll tells whether this node is told of every change, and not only of what is
// published.
func (r *Remote) HearsAll() bool {
	for _, m := range r.routes.table.Load().masters {
		if m.ear.Load().Mode() == coherence.PubSub {
			return false
		}
	}
	return true
}

// Control is the hearing of the master where Publish publishes, nil if none is
// known.
func (r *Remote) Control() *coherence.Hearing { return r.Hearing(r.cfg.Prefix + control) }

// Speaks tells whether invalidations have to be published: this node, or another
// one, hears by Pub/Sub alone, or may.
func (r *Remote) Speaks() bool {
	if r.plan.cluster != nil {
		return false // nobody does: coherence.Config.PubSub
	}
	m := r.routes.table.Load().masters[0]
	ear, asked := m.ear.Load(), m.peersAsked.Load()
	return ear.Mode() != coherence.Tracking || m.peers.Load() != 0 ||
		asked <= ear.Since() || asked < clock.Now()-int64(m.cfg.Bound)
}
