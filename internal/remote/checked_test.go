package remote

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestTheKernelIsAskedAboutAConnectionThatWasIdle(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	o := checking(redis.Options{Dialer: new(net.Dialer).DialContext})
	c, err := o.Dialer(bg, "tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	raw, err := c.(*checked).SyscallConn()
	require.NoError(t, err)
	asked := func() (is bool) {
		assert.NoError(t, raw.Read(func(uintptr) bool { is = true; return true }))
		return is
	}
	assert.True(t, asked(), "it was never used")
	assert.False(t, asked())
	c.(*checked).last.Store(clock.Now() - int64(checkAfter))
	assert.True(t, asked())
	assert.False(t, asked())
}

func TestWhatCannotBeAskedAboutIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	o := checking(redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return pipe, nil }})
	c, err := o.Dialer(bg, "tcp", "")
	require.NoError(t, err)
	assert.Same(t, pipe, c)
}

func TestAConnectionThatTheServerHasClosedWhileItWasIdleIsNotUsed(t *testing.T) {
	t.Parallel()
	c := bare(t, redistest.Start(t).Addr())
	r := openTo(t, c)
	for range 5 {
		_, err := r.Get(bg, "k")
		require.NoError(t, err)
		time.Sleep(checkAfter) // to be idle is nothing that happens
		require.Positive(t, c.ClientKillByFilter(bg, "TYPE", "normal", "SKIPME", "yes").Val())
		_, err = r.Get(bg, "k")
		require.NoError(t, err)
	}
}
