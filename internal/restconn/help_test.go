package restconn

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

const long = 20 * time.Second // for what happens by itself, on a busy machine

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, long, 2*time.Millisecond, what)
}

func newDialer(t *testing.T, rest *redistest.REST, alter ...func(*Config)) *Dialer {
	t.Helper()
	cfg := Config{URL: rest.URL(), Token: redistest.RESTToken, Transport: REST}
	for _, f := range alter {
		f(&cfg)
	}
	d, err := New(cfg)
	require.NoError(t, err)
	return d
}

func clientOf(t *testing.T, d *Dialer, alter ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{
		Addr: d.Addr(), Dialer: d.DialContext, Protocol: 2, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, PoolSize: 16,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	for _, f := range alter {
		f(o)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// overREST are a client over REST and one that speaks to the same server.
func overREST(t *testing.T) (over, direct *redis.Client, rest *redistest.REST) {
	s := redistest.Start(t)
	rest = redistest.StartREST(t, s)
	return clientOf(t, newDialer(t, rest)), s.Client(), rest
}
