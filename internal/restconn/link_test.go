package restconn

import (
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

func (d *Dialer) alive() bool {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	return d.link.now != nil
}

func TestNothingIsLeftWhenAllConnectionsAreClosed(t *testing.T) {
	_, _, rest := overREST(t)
	was := goleak.IgnoreCurrent()
	d := newDialer(t, rest)
	c := redis.NewClient(&redis.Options{Dialer: d.DialContext, Protocol: 2})
	require.NoError(t, c.Ping(bg).Err())
	ps := c.Subscribe(bg, "ch")
	receive[*redis.Subscription](t, ps)
	require.Error(t, goleak.Find(was))
	require.NoError(t, ps.Close())
	require.NoError(t, c.Close())
	assert.False(t, d.alive())
	// The server of this test keeps its side until it notices.
	require.Eventually(t, func() bool {
		return goleak.Find(was, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")) == nil
	}, long, 10*time.Millisecond)
}

// A server that needs longer to connect to than a command may take: if each
// attempt began from nothing, none would ever end.
func TestAConnectionThatIsBeingMadeOutlivesACommandThatGaveUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	rest := redistest.StartREST(t, s)
	slow := redistest.StartProxy(t, rest.URL()[len("http://"):])
	slow.Delay(150 * time.Millisecond)
	d, err := New(Config{URL: "http://" + slow.Addr(), Token: redistest.RESTToken, Transport: REST})
	require.NoError(t, err)
	ask := func() error {
		cn, err := d.DialContext(bg, "", "")
		require.NoError(t, err)
		defer cn.Close()
		require.NoError(t, cn.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		_, _ = cn.Write([]byte(resp("PING")))
		_, err = cn.Read(make([]byte, 1))
		return err
	}
	require.Error(t, ask())
	assert.True(t, d.alive(), "kept for the next one")
	require.Eventually(t, func() bool { return !d.alive() }, long, 10*time.Millisecond, "but not for ever")
}

func TestClosingWhileAHandshakeHangsEndsIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	was := goleak.IgnoreCurrent()
	d, err := New(Config{URL: "https://" + l.Addr().String(), Token: "t", Transport: REST})
	require.NoError(t, err)
	cn, err := d.DialContext(bg, "", "")
	require.NoError(t, err)
	_, err = cn.Write([]byte(resp("PING")))
	require.NoError(t, err)
	read := make(chan error)
	go func() { _, err := cn.Read(make([]byte, 1)); read <- err }()
	s, err := l.Accept()
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, cn.Close())
	require.Error(t, <-read)
	require.NoError(t, goleak.Find(was))
}
