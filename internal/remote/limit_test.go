package remote

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestALimitedContextEndsAtItsTimeOrWithItsParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancelCause(t.Context())
		atTime, withParent, asked := limit(parent, time.Second), limit(parent, time.Hour), limit(parent, time.Second)
		defer atTime.end()
		defer withParent.end()
		at, ok := atTime.Deadline()
		require.True(t, ok)
		assert.Equal(t, time.Second, time.Until(at))
		require.NoError(t, atTime.Err())
		<-atTime.Done()
		assert.Equal(t, context.DeadlineExceeded, atTime.Err())
		assert.Equal(t, context.DeadlineExceeded, asked.Err(), "nobody has waited for it")
		require.NoError(t, withParent.Err())
		cancel(nil)
		<-withParent.Done()
		assert.Equal(t, context.Canceled, withParent.Err())
		assert.Equal(t, context.Canceled, limit(parent, time.Hour).Err())
	})
}

func TestALimitedContextHasTheEarlierEndOfItsParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l := limit(parent, time.Hour)
		defer l.end()
		at, _ := l.Deadline()
		assert.Equal(t, time.Second, time.Until(at))
	})
}

func TestWhoeverWaitsForALimitedContextThatIsEndedWaitsNoMore(t *testing.T) {
	t.Parallel()
	before, after := limit(t.Context(), time.Hour), limit(t.Context(), time.Hour)
	done := before.Done()
	before.end()
	after.end()
	assert.Equal(t, context.Canceled, after.Err(), "whether or not somebody has waited")
	<-done
	<-after.Done()
	assert.Error(t, before.Err())
	assert.Error(t, after.Err())
}

func TestNothingIsMadeForTheTimeOfALoneRead(t *testing.T) {
	t.Parallel()
	r := openTo(t, bare(t, redistest.Start(t).Addr()))
	_, err := r.Get(bg, "p:k") // and a connection
	require.NoError(t, err)
	var real context.Context
	require.NoError(t, r.on(bg, "p:k", time.Second, func(ctx context.Context, l *life) error {
		err := l.rdb.read(ctx, "getrange", "p:k", 0, 1).Err()
		real = ctx.(*limited).real
		return err
	}))
	assert.Nil(t, real)
}

// Neither a dial nor whatever else a new connection waits for may keep a lone read: only
// the look at Done before an idle one is taken is answered by the parent.
func TestALoneReadWithoutAConnectionEndsAtItsTime(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	blocked := func(o redis.Options) *gather {
		o.Addr, o.MaxRetries, o.ContextTimeoutEnabled, o.DialTimeout, o.PoolTimeout = redistest.Start(t).Addr(), -1, true, time.Hour, time.Hour
		g := newGather(redis.NewClient(&o), budget{}, new(usual), func(error) {})
		t.Cleanup(func() { _ = g.close() })
		return g
	}
	for name, g := range map[string]*gather{
		"the dial": blocked(redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
			<-never
			return nil, net.ErrClosed
		}}),
		"credentials": blocked(redis.Options{CredentialsProviderContext: func(ctx context.Context) (string, string, error) {
			<-ctx.Done()
			return "", "", ctx.Err()
		}}),
		"what the user does with a connection": blocked(redis.Options{OnConnect: func(ctx context.Context, _ *redis.Conn) error {
			<-ctx.Done()
			return ctx.Err()
		}}),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := limit(bg, 50*time.Millisecond)
			defer ctx.end()
			began := time.Now()
			assert.Error(t, g.read(ctx, "get", "k").Err())
			assert.Less(t, time.Since(began), 10*time.Second)
		})
	}
}
