package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// peer is a server whose connections the test holds.
type peer struct {
	t *testing.T
	l net.Listener
}

func startPeer(t *testing.T) *peer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return &peer{t, l}
}

// pair is a new connection through a proxy, and the server's end of it.
func (s *peer) pair(p *Proxy) (client, server *net.TCPConn) {
	s.t.Helper()
	client = dial(s.t, p.Addr())
	conn, err := s.l.Accept()
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(startTimeout)))
	return client, conn.(*net.TCPConn)
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(startTimeout)))
	return conn.(*net.TCPConn)
}

func send(t *testing.T, to net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(to, text)
	require.NoError(t, err)
}

func receives(t *testing.T, at net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	_, err := io.ReadFull(at, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// receivesNothing would let through what takes longer than its patience, and
// never fails what is silent.
func receivesNothing(t *testing.T, at net.Conn) {
	t.Helper()
	require.NoError(t, at.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	n, err := at.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "%d bytes", n)
	require.NoError(t, at.SetReadDeadline(time.Now().Add(startTimeout)))
}

func isReset(t *testing.T, at net.Conn) {
	t.Helper()
	_, err := at.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// isRefused holds whether the reset comes before the dial returns or after it.
func isRefused(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, startTimeout)
	if err == nil {
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(startTimeout)))
		_, err = conn.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func isAtItsEnd(t *testing.T, at net.Conn) {
	t.Helper()
	_, err := at.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestAProxyPassesEverythingBothWaysAndTheEndOfEach(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	client, server := s.pair(StartProxy(t, s.l.Addr().String()))
	body := bytes.Repeat([]byte("0123456789abcde\n"), 1<<19) // 8 MiB
	var sending sync.WaitGroup
	sending.Go(func() {
		_, err := client.Write(body)
		assert.NoError(t, err)
		assert.NoError(t, client.CloseWrite())
	})
	got, err := io.ReadAll(server)
	require.NoError(t, err)
	require.True(t, bytes.Equal(body, got), "what the server got")
	sending.Wait()
	sending.Go(func() {
		_, err := server.Write(body)
		assert.NoError(t, err)
		assert.NoError(t, server.Close())
	})
	got, err = io.ReadAll(client)
	require.NoError(t, err)
	require.True(t, bytes.Equal(body, got), "what the client got after it had ended its own stream")
	sending.Wait()
}

func TestAProxyPassesAResetAsAReset(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	client, server := s.pair(StartProxy(t, s.l.Addr().String()))
	require.NoError(t, server.SetLinger(0))
	require.NoError(t, server.Close())
	isReset(t, client)
}

func TestWhatIsDroppedNeverArrives(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	p := StartProxy(t, s.l.Addr().String())
	asked, server1 := s.pair(p)
	answered, server2 := s.pair(p)
	silent, server3 := s.pair(p)
	left, server4 := s.pair(p)
	send(t, asked, "before")
	receives(t, server1, "before")

	p.Drop()
	send(t, asked, "lost")
	receivesNothing(t, server1)
	send(t, server2, "lost")
	receivesNothing(t, answered)
	require.NoError(t, left.CloseWrite())
	receivesNothing(t, server4)

	p.Pass()
	for _, end := range []net.Conn{asked, server1, answered, server2, left, server4} {
		isReset(t, end)
	}
	send(t, silent, "a stream without a hole")
	receives(t, server3, "a stream without a hole")
	client, server := s.pair(p)
	send(t, client, "a new one")
	receives(t, server, "a new one")
}

func TestABlackHoleTakesNewConnectionsAndGivesNothingBack(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	p := StartProxy(t, s.l.Addr().String())
	p.Drop()
	asked, silent := dial(t, p.Addr()), dial(t, p.Addr())
	send(t, asked, "PING\r\n")
	receivesNothing(t, asked)

	p.Pass()
	isReset(t, asked)
	send(t, silent, "late")
	conn, err := s.l.Accept()
	require.NoError(t, err)
	defer conn.Close()
	receives(t, conn, "late")
}

func TestABlackHoleTakesBackWhatTheServerHadNotTaken(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	p := StartProxy(t, s.l.Addr().String())
	client, server := s.pair(p)
	require.NoError(t, client.SetDeadline(time.Time{}))
	sent := make(chan int, 1)
	go func() {
		total, block := 0, make([]byte, 64<<10)
		for total < 64<<20 {
			n, err := client.Write(block)
			total += n
			if err != nil {
				break
			}
		}
		sent <- total
	}()
	// Full, so a write to the server, which reads nothing, is waiting.
	eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for l := range p.links {
			return l.up.size >= most
		}
		return false
	})

	p.Drop()
	total := <-sent
	require.Equal(t, 64<<20, total, "a black hole takes everything")
	require.NoError(t, server.SetReadDeadline(time.Now().Add(time.Second)))
	got, err := io.Copy(io.Discard, server)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, got, int64(total-most), "no more than the system's own buffers held")

	p.Pass()
	require.NoError(t, server.SetReadDeadline(time.Now().Add(startTimeout)))
	_, err = io.Copy(io.Discard, server)
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestRefuseCutsWhatIsThereAndWhatComes(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	p := StartProxy(t, s.l.Addr().String())
	client, server := s.pair(p)
	p.Refuse()
	isReset(t, client)
	isReset(t, server)
	isRefused(t, p.Addr())
	refused, err := net.Dial("tcp", p.Addr())
	p.Pass()
	if err == nil {
		defer refused.Close()
		isReset(t, refused) // what was made before Pass is not served after it
	}
	client, server = s.pair(p)
	send(t, client, "again")
	receives(t, server, "again")
}

func TestHalfOpenServesRequestsWhoseAnswersVanish(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	p := StartProxy(t, s.l.Addr().String())
	before, server1 := s.pair(p)
	p.HalfOpen()
	after, server2 := s.pair(p)
	for _, c := range []struct{ client, server *net.TCPConn }{{before, server1}, {after, server2}} {
		send(t, c.client, "question")
		receives(t, c.server, "question")
		send(t, c.server, "answer")
		receivesNothing(t, c.client)
		send(t, c.client, "another")
		receives(t, c.server, "another")
	}
	require.NoError(t, server2.SetLinger(0))
	require.NoError(t, server2.Close())
	receivesNothing(t, after)
	p.Pass()
	isReset(t, before)
	isReset(t, server1)
	isReset(t, after)
}

func TestDelayKeepsOrderAndDoesNotThrottle(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	p := StartProxy(t, s.l.Addr().String())
	client, server := s.pair(p)
	const delay = 500 * time.Millisecond
	p.Delay(delay)
	began := time.Now()
	// 64 chunks at the least: 32 s if one waited for another, more than the
	// connections have.
	text := strings.Repeat("0123456789abcdef", 64*(32<<10)/16)
	send(t, client, text)
	receives(t, server, text)
	send(t, server, text)
	receives(t, client, text)
	assert.GreaterOrEqual(t, time.Since(began), 2*delay)
}

func TestWhatWasDelayedIsDeliveredByPassAndLostToDrop(t *testing.T) {
	t.Parallel()
	s := startPeer(t)
	p := StartProxy(t, s.l.Addr().String())
	kept, server1 := s.pair(p)
	lost, server2 := s.pair(p)
	p.Delay(time.Hour)
	send(t, kept, "one ")
	send(t, kept, "two")
	receivesNothing(t, server1)
	p.Pass()
	receives(t, server1, "one two")

	p.Delay(time.Hour)
	send(t, lost, "gone")
	eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for l := range p.links {
			if l.up.size == len("gone") {
				return true
			}
		}
		return false
	})
	p.Drop()
	p.Pass()
	isReset(t, lost)
	isReset(t, server2)
}

func TestResetAndCutAllEndWhatWasConnectedAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cut  func(*Proxy)
		ends func(*testing.T, net.Conn)
	}{
		"reset": {(*Proxy).Reset, isReset},
		"cut":   {(*Proxy).CutAll, isAtItsEnd},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startPeer(t)
			p := StartProxy(t, s.l.Addr().String())
			client, server := s.pair(p)
			c.cut(p)
			c.ends(t, client)
			c.ends(t, server)
			for range 50 {
				early := dial(t, p.Addr())
				c.cut(p) // whether the proxy has noticed it yet or not
				c.ends(t, early)
			}
		})
	}
}

func TestADeadTargetIsSeenUnlessAnswersVanish(t *testing.T) {
	t.Parallel()
	p := StartProxy(t, (&Server{port: freePort(t)}).Addr())
	isRefused(t, p.Addr())
	p.HalfOpen()
	client := dial(t, p.Addr())
	receivesNothing(t, client)
	p.Pass()
	isReset(t, client)
}

func TestRedisIsReachedThroughAProxy(t *testing.T) {
	t.Parallel()
	p := StartProxy(t, Start(t).Addr())
	conn := dial(t, p.Addr())
	send(t, conn, "PING\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "+PONG\r\n", line)
}

func TestAProxyEndsWithItsTest(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*Proxy){
		"passing": (*Proxy).Pass, "dropping": (*Proxy).Drop, "half open": (*Proxy).HalfOpen,
		"delaying": func(p *Proxy) { p.Delay(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startPeer(t)
			var p *Proxy
			var client *net.TCPConn
			t.Run("proxied", func(inner *testing.T) {
				p = StartProxy(inner, s.l.Addr().String())
				client, _ = s.pair(p)
				fault(p)
				send(inner, client, "in flight")
			})
			_, err := client.Read(make([]byte, 1))
			assert.True(t, errors.Is(err, syscall.ECONNRESET), err)
			_, err = net.Dial("tcp", p.Addr())
			assert.ErrorIs(t, err, syscall.ECONNREFUSED)
			p.Pass() // too late, and harmless
		})
	}
}
