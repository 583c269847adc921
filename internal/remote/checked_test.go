package remote

import (
	"context"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestTheKernelIsAskedAboutAConnectionNowAndThen(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	o := checking(redis.Options{Dialer: new(net.Dialer).DialContext})
	dialed := func() *checked {
		c, err := o.Dialer(bg, "tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c.(*checked)
	}
	c := dialed()
	asked := func() (is bool) {
		raw, err := c.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Read(func(uintptr) bool { is = true; return true }))
		return is
	}
	assert.True(t, asked(), "it is new")
	assert.False(t, asked())
	c.looked.Store(clock.Now() - int64(checkAfter))
	assert.True(t, asked(), "that was long ago, though it was given out since")
	assert.False(t, asked())

	other := dialed()
	require.NoError(t, other.SetDeadline(time.Unix(1, 0)))
	_, err = other.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.False(t, asked(), "what is late is not broken")
	for name, breaks := range map[string]func(){
		"read":  func() { _, err = other.Read(make([]byte, 1)) },
		"write": func() { _, err = other.Write([]byte("x")) },
	} {
		require.NoError(t, other.Close())
		breaks()
		require.ErrorIs(t, err, net.ErrClosed, name)
		assert.True(t, asked(), name)
		assert.False(t, asked(), name)
		other = dialed()
	}
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

func TestConnectionsThatAreAllClosedAtOnceDoNotOpenTheCircuit(t *testing.T) {
	t.Parallel()
	c := bare(t, redistest.Start(t).Addr())
	r := openTo(t, c)
	for range 6 {
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { _, err := r.Get(bg, "k"); assert.NoError(t, err) })
		}
		wg.Wait()
	}
	require.Greater(t, c.ClientKillByFilter(bg, "TYPE", "normal", "SKIPME", "yes").Val(), int64(failLimit))
	failed := 0
	for range 2 * mostAtOnce {
		if _, err := r.Get(bg, "k"); err != nil {
			failed++
		}
	}
	assert.LessOrEqual(t, failed, 1)
	assert.Zero(t, r.routes.only.circuit.opens.Load())
}
