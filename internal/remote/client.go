package remote

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Longest wait for a connection to be made, unless a single read may take longer.
// A cache that needs longer to reach its Redis than most sources need to answer
// is of no use.
const dialTimeout = 200 * time.Millisecond

// plan is how the client that the user gave reaches Redis.
type plan struct {
	mode    string
	node    redis.Options         // for every connection that is made
	cluster *redis.ClusterOptions // nil: one master
}

// planOf copies the options of the client. Later changes to the client, or its
// Close, do not matter here, with one exception: a Sentinel client's dialer asks
// its Sentinels, through connections of its own.
func planOf(client redis.UniversalClient) (plan, error) {
	if v := reflect.ValueOf(client); v.Kind() == reflect.Pointer && v.IsNil() {
		return plan{}, fmt.Errorf("a nil %T; give none at all for memory only", client)
	}
	switch c := client.(type) {
	case *redis.Client:
		p := plan{mode: "single", node: *c.Options()}
		if own(p.node.Dialer) {
			p.node.Dialer = nil
		}
		if p.node.Addr == "FailoverClient" { // what redis.NewFailoverClient names it
			p.mode = "sentinel"
		}
		p.node = harmless(p.node)
		return p, nil
	case *redis.ClusterClient:
		o := *c.Options()
		return plan{mode: "cluster", node: harmless(nodeOptions(&o)), cluster: &o}, nil
	case *redis.Ring:
		return plan{}, fmt.Errorf("a *redis.Ring spreads keys over servers that know nothing of each other, so an invalidation cannot be ordered with its reads; give a *redis.Client or a *redis.ClusterClient")
	default:
		return plan{}, fmt.Errorf("%T is not supported; give a *redis.Client or a *redis.ClusterClient", client)
	}
}

// own tells the dialer that redis.NewClient makes for who gives it none: it knows
// the timeout of that client, and over TLS no context. There is no other way to
// tell it than by its name; were that to change, Close would wait for the user's
// DialTimeout.
func own(dial func(context.Context, string, string) (net.Conn, error)) bool {
	f := runtime.FuncForPC(reflect.ValueOf(dial).Pointer())
	return f != nil && strings.HasPrefix(f.Name(), "github.com/redis/go-redis/v9.(*Options).init.")
}

// nodeOptions are a cluster's options that concern one connection.
func nodeOptions(o *redis.ClusterOptions) redis.Options {
	return redis.Options{
		ClientName:                   o.ClientName,
		Dialer:                       o.Dialer,
		OnConnect:                    o.OnConnect,
		Protocol:                     o.Protocol,
		Username:                     o.Username,
		Password:                     o.Password,
		CredentialsProvider:          o.CredentialsProvider,
		CredentialsProviderContext:   o.CredentialsProviderContext,
		StreamingCredentialsProvider: o.StreamingCredentialsProvider,
		DialTimeout:                  o.DialTimeout,
		PoolFIFO:                     o.PoolFIFO,
		PoolSize:                     o.PoolSize,
		MaxConcurrentDials:           o.MaxConcurrentDials,
		MinIdleConns:                 o.MinIdleConns,
		MaxIdleConns:                 o.MaxIdleConns,
		MaxActiveConns:               o.MaxActiveConns,
		ConnMaxIdleTime:              o.ConnMaxIdleTime,
		ConnMaxLifetime:              o.ConnMaxLifetime,
		ConnMaxLifetimeJitter:        o.ConnMaxLifetimeJitter,
		ReadBufferSize:               o.ReadBufferSize,
		WriteBufferSize:              o.WriteBufferSize,
		PipelineReadBufferSize:       o.PipelineReadBufferSize,
		PipelineWriteBufferSize:      o.PipelineWriteBufferSize,
		PipelinePoolSize:             o.PipelinePoolSize,
		TLSConfig:                    o.TLSConfig,
		DisableIdentity:              o.DisableIdentity,
		IdentitySuffix:               o.IdentitySuffix,
	}
}

// withHost fills in the host of nodes that do not know their own.
func withHost(ranges []redis.ClusterSlot, asked string) []redis.ClusterSlot {
	host, _, err := net.SplitHostPort(asked)
	if err != nil {
		return ranges
	}
	for i := range ranges {
		for j := range ranges[i].Nodes {
			if h, port, err := net.SplitHostPort(ranges[i].Nodes[j].Addr); err == nil && h == "" {
				ranges[i].Nodes[j].Addr = net.JoinHostPort(host, port)
			}
		}
	}
	return ranges
}

// failFast makes every operation end within its budget, and nothing be sent
// twice behind the caller's back: a script that carries a token must not be.
func failFast(o redis.Options, read, write time.Duration) *redis.Options {
	if most := max(dialTimeout, read); o.DialTimeout == 0 || o.DialTimeout > most {
		o.DialTimeout = most
	}
	o.DialerRetries = 1
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	o.ReadTimeout = max(read, write)
	o.WriteTimeout = max(read, write)
	o.PoolTimeout = read
	o.PipelinePoolSize = -1 // one pool: what the watch learns holds for every operation
	o.Limiter = nil         // is called inside handshakes and refuses its own probe
	o.ClientSideCache = nil
	o.ClientSideCacheConfig = nil
	o.PushNotificationProcessor = nil
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &o
}

// dialError tells that no connection could be made.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// harmless makes a panic in what the user has to say when a connection is made the
// error of that connection: it may be made on a goroutine of the library, where a panic
// is the end of the process.
func harmless(o redis.Options) redis.Options {
	if met := o.OnConnect; met != nil {
		o.OnConnect = func(ctx context.Context, cn *redis.Conn) (err error) {
			defer recovering(&err)
			return met(ctx, cn)
		}
	}
	if dial := o.Dialer; dial != nil {
		o.Dialer = func(ctx context.Context, network, addr string) (c net.Conn, err error) {
			defer recovering(&err)
			return dial(ctx, network, addr)
		}
	}
	return o
}

// recovering, deferred, makes a panic the error.
func recovering(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("tiercache: panic when Redis was asked: %v\n%s", p, debug.Stack())
	}
}

// telling marks the errors of the dialer.
func telling(o redis.Options) redis.Options {
	dial := o.Dialer
	if dial == nil {
		dial = redis.NewDialer(&o)
	}
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, dialError{err}
		}
		return c, nil
	}
	return o
}
