//go:build unix

package remote

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

// peers are a connection that is checked, and its other end.
func peers(t *testing.T) (*conn, net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	o := exchanging(redis.Options{Dialer: new(net.Dialer).DialContext})
	c, err := o.Dialer(bg, "tcp", l.Addr().String())
	require.NoError(t, err)
	other, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = c.Close(), other.Close() })
	return c.(*conn), other
}

// give is what the pool does when it gives a connection out.
func give(c *conn) error {
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(uintptr) bool { return true })
}

func write(t *testing.T, c net.Conn, text string) {
	n, err := c.Write([]byte(text))
	require.NoError(t, err)
	require.Len(t, text, n)
}

func assertArrives(t *testing.T, c net.Conn, text string) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	got := make([]byte, len(text))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	assert.Equal(t, text, string(got))
}

func assertNothingArrives(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	assert.True(t, isTimeout(err), err)
}

func TestACommandIsSentByTheReadOfItsAnswer(t *testing.T) {
	t.Parallel()
	c, server := peers(t)
	for range 3 {
		require.NoError(t, give(c))
		write(t, c, "GET")
		assertNothingArrives(t, server)
		var wg sync.WaitGroup
		wg.Go(func() {
			assertArrives(t, server, "GET")
			write(t, server, "VALUE")
		})
		assertArrives(t, c, "VALUE")
		wg.Wait()
	}
}

func TestWhatNobodyWaitsForAnAnswerToIsSentAtOnce(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", mostHeld+1)
	for name, tc := range map[string]struct {
		given  bool
		writes []string
	}{
		"by one who did not get it from the pool": {false, []string{"SUBSCRIBE"}},
		"a long one":                 {true, []string{long}},
		"another one, and the first": {true, []string{"a", "b"}},
		"a long one, and the first":  {true, []string{"a", long}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server := peers(t)
			if tc.given {
				require.NoError(t, give(c))
			}
			for _, text := range tc.writes {
				write(t, c, text)
			}
			assertArrives(t, server, strings.Join(tc.writes, ""))
		})
	}
}

func TestConnectionsThatMayBeMoreThanTheKernelsAreLeftAsTheyAre(t *testing.T) {
	t.Parallel()
	c, _ := peers(t)
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	type counted struct{ *net.TCPConn } // whose Write could do anything
	for _, is := range []net.Conn{pipe, counted{c.Conn.(*net.TCPConn)}} {
		o := exchanging(redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return is, nil }})
		got, err := o.Dialer(bg, "tcp", "")
		require.NoError(t, err)
		assert.Equal(t, is, got)
	}
}

func TestACommandThatWasNotSentSpoilsItsConnection(t *testing.T) {
	t.Parallel()
	c, _ := peers(t)
	require.NoError(t, give(c))
	write(t, c, "GET")
	_, err := c.Read(nil)
	require.NoError(t, err)
	assert.ErrorIs(t, give(c), errUnsent)
}

func TestAnAnswerThatDoesNotComeIsAnErrorThatSaysWhy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		happens func(t *testing.T, c *conn, server net.Conn)
		check   func(t *testing.T, err error)
	}{
		"it takes too long": {
			func(t *testing.T, c *conn, _ net.Conn) {
				require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
			},
			func(t *testing.T, err error) { assert.True(t, isTimeout(err), err) },
		},
		"the time was over before": {
			func(t *testing.T, c *conn, _ net.Conn) { require.NoError(t, c.SetReadDeadline(time.Unix(1, 0))) },
			func(t *testing.T, err error) { assert.True(t, isTimeout(err), err) },
		},
		"the server goes": {
			func(t *testing.T, _ *conn, server net.Conn) {
				go func() { assertArrives(t, server, "GET"); _ = server.Close() }()
			},
			func(t *testing.T, err error) { assert.ErrorIs(t, err, io.EOF) },
		},
		"the server went": {
			func(t *testing.T, _ *conn, server net.Conn) { require.NoError(t, server.Close()) },
			func(t *testing.T, err error) { assert.False(t, isTimeout(err), err) },
		},
		"it is closed meanwhile": {
			func(t *testing.T, c *conn, server net.Conn) {
				go func() { assertArrives(t, server, "GET"); _ = c.Close() }()
			},
			func(t *testing.T, err error) { assert.ErrorIs(t, err, net.ErrClosed) },
		},
		"it was closed": {
			func(t *testing.T, c *conn, _ net.Conn) { require.NoError(t, c.Close()) },
			func(t *testing.T, err error) { assert.ErrorIs(t, err, net.ErrClosed) },
		},
		"nothing can be sent": {
			func(t *testing.T, c *conn, _ net.Conn) { require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite()) },
			func(t *testing.T, err error) {
				var op *net.OpError
				require.ErrorAs(t, err, &op)
				assert.Equal(t, "write", op.Op)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server := peers(t)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
			require.NoError(t, give(c))
			write(t, c, "GET")
			tc.happens(t, c, server)
			n, err := c.Read(make([]byte, 9))
			assert.Zero(t, n)
			require.Error(t, err)
			tc.check(t, err)
		})
	}
}

func TestWhatTheKernelHasNoRoomForIsSentInPieces(t *testing.T) {
	t.Parallel()
	c, server := peers(t)
	require.NoError(t, c.Conn.(*net.TCPConn).SetWriteBuffer(4<<10))
	all := strings.Repeat("0123456789", 1<<20)
	var wg sync.WaitGroup
	wg.Go(func() {
		assertArrives(t, server, all)
		write(t, server, "OK")
	})
	in := make([]byte, 9)
	n, err := c.exchange.run(c.Conn, c.raw, []byte(all), in)
	require.NoError(t, err)
	assert.Equal(t, "OK", string(in[:n]))
	wg.Wait()
}

// The answers come at once, later and in pieces: none is missed, and nobody waits for one
// that is there.
func TestNoAnswerIsMissedWheneverItComes(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 4 {
		c, server := peers(t)
		wg.Go(func() {
			r := bufio.NewReader(server)
			for i := 0; ; i++ {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				for _, part := range [][]string{{line}, {line[:1], line[1:]}}[i%2] {
					if i%3 == 0 {
						time.Sleep(time.Duration(i%50) * time.Microsecond)
					}
					_, _ = server.Write([]byte(part))
				}
			}
		})
		wg.Go(func() {
			defer c.Close()
			r := bufio.NewReader(c)
			for i := range 5000 {
				line := strings.Repeat("x", i%100) + "\n"
				if !assert.NoError(t, give(c)) || !assert.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second))) {
					return
				}
				_, _ = c.Write([]byte(line))
				got, err := r.ReadString('\n')
				if !assert.NoError(t, err) || !assert.Equal(t, line, got) {
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestASubscriptionOfTheSameClientIsNotHeldBack(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr()
	for _, protocol := range []int{2, 3} {
		o := exchanging(redis.Options{Addr: addr, Protocol: protocol, Dialer: new(net.Dialer).DialContext})
		c := redis.NewClient(&o)
		defer c.Close()
		require.NoError(t, c.Ping(bg).Err()) // there is one that was given back
		sub := c.Subscribe(bg)
		defer sub.Close()
		for _, channel := range []string{"a", "b"} { // nobody reads what is said to it
			require.NoError(t, sub.Subscribe(bg, channel))
			soon(t, "the server has heard of it", func() bool { return c.PubSubNumSub(bg, channel).Val()[channel] == 1 })
		}
		require.NoError(t, sub.Close())
		soon(t, "that it is over, too", func() bool { return c.PubSubNumSub(bg, "a").Val()["a"] == 0 })
	}
}
