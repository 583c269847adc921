package coherence

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/go-redis/v9/push"
)

// plain takes out of the options what would send something twice, keep more than
// one connection, or handle pushes behind our back.
func plain(o redis.Options) redis.Options {
	// One connection is all that is used. But after as many failed dials as the
	// pool is large go-redis dials on a goroutine that outlives Close by a second.
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns = 16, 0, 0, 0
	o.PipelinePoolSize = -1
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	o.Limiter = nil
	o.ClientSideCache, o.ClientSideCacheConfig = nil, nil
	o.PushNotificationProcessor = nil
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}

// listenOptions are those of the client that carries the listening connection
// and no other, so that tracking is never on where commands run: there a push
// would wait for the next reply.
func (s *session) listenOptions() *redis.Options {
	o := plain(s.l.cfg.Options)
	o.Protocol = 3
	processor := redis.NewPushNotificationProcessor()
	if err := processor.RegisterHandler("invalidate", invalidations{s}, true); err != nil {
		panic("bug: " + err.Error())
	}
	o.PushNotificationProcessor = processor
	theirs := o.OnConnect
	o.OnConnect = func(ctx context.Context, cn *redis.Conn) (err error) {
		if theirs != nil {
			if err := theirs(ctx, cn); err != nil {
				return err
			}
		}
		if s.id, err = s.l.cfg.Meet(ctx, cn); err != nil {
			return err
		}
		s.refusal = track(ctx, cn, s.l.cfg.Prefix)
		s.tracking = s.refusal == nil
		switch {
		case s.tracking:
			return nil
		case !isRefusal(s.refusal):
			return s.refusal
		case s.l.cfg.PubSub:
			return nil
		}
		return &refused{s.refusal}
	}
	s.single(&o)
	return s.guarded(o)
}

// isRefusal tells an answer that will be the same in a minute from one of a server
// that cannot answer now.
func isRefusal(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, passing := range []string{"LOADING ", "BUSY ", "MASTERDOWN ", "CLUSTERDOWN ", "ERR max number of clients"} {
		if strings.HasPrefix(answer.Error(), passing) {
			return false
		}
	}
	return true
}

// track asks for RESP3 itself: go-redis falls back to RESP2 without a word, and
// there the server accepts CLIENT TRACKING all the same and never pushes.
func track(ctx context.Context, cn *redis.Conn, prefix string) error {
	if err := cn.Hello(ctx, 3, "", "", "").Err(); err != nil {
		return err
	}
	return cn.ClientTrackingOn(ctx, &redis.ClientTrackingOptions{Bcast: true, Prefixes: []string{prefix}}).Err()
}

// invalidations handles pushes, on the goroutine that receives, in the order in
// which the server sent them.
type invalidations struct{ s *session }

func (i invalidations) HandlePushNotification(_ context.Context, _ push.NotificationHandlerContext, n []any) error {
	l := i.s.l
	keys, ok := []any(nil), false
	if len(n) == 2 {
		keys, ok = n[1].([]any)
	}
	for _, k := range keys {
		key, isKey := k.(string)
		if ok = ok && isKey; ok && key != l.cfg.Prefix+counterName {
			l.cfg.Handler.Changed(key)
		}
	}
	if !ok { // null: FLUSHALL or FLUSHDB; what is not understood may be anything
		l.hearing.flushed()
		l.cfg.Handler.Flushed()
		l.Hurry()
	}
	return nil
}

// single lets a client dial once. go-redis opens another connection in place of
// one that failed, under the feet of whoever receives, if a PING finds out first:
//
//	PING fails, go-redis dials | receive: no error, from the new connection
//
// and what was pushed in between is missed without a sign.
func (s *session) single(o *redis.Options) {
	dial, dialled := dialer(*o), false
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		s.mu.Lock()
		again := dialled
		dialled = true
		s.mu.Unlock()
		if again {
			return nil, errOver
		}
		return dial(ctx, network, addr)
	}
}

var errOver = errors.New("the connection is over")

// guarded closes every socket of the session when that ends: go-redis looks at no
// context while it reads, and holds a lock that Close needs while it dials.
func (s *session) guarded(o redis.Options) *redis.Options {
	dial := dialer(o)
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &socket{conn, context.AfterFunc(s.ctx, func() { _ = conn.Close() })}, nil
	}
	return &o
}

type socket struct {
	net.Conn
	release func() bool
}

func (c *socket) Close() error {
	c.release()
	return c.Conn.Close()
}

// dialer is the user's, or one that does what go-redis's own does and obeys its
// context over TLS too.
func dialer(o redis.Options) func(context.Context, string, string) (net.Conn, error) {
	if o.Dialer != nil {
		return o.Dialer
	}
	limit := o.DialTimeout
	if limit <= 0 {
		limit = 5 * time.Second
	}
	plain := &net.Dialer{Timeout: limit}
	if o.TLSConfig == nil {
		return plain.DialContext
	}
	secure := &tls.Dialer{NetDialer: plain, Config: o.TLSConfig}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return secure.DialContext(ctx, network, addr)
	}
}

// refused is the answer of a server that lets this user hear nothing.
type refused struct{ err error }

func (r *refused) Error() string { return fmt.Sprintf("the server refuses: %v", r.err) }
func (r *refused) Unwrap() error { return r.err }
