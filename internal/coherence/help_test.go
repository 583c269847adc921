package coherence

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/envelope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

const prefix = "coh:"

// soon waits for an event that nothing announces.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, 2*time.Millisecond, what)
}

// node is a Listener with what it heard and what its data connections say.
type node struct {
	*Listener

	mu    sync.Mutex // guards the fields below
	said  []string
	log   bytes.Buffer
	who   envelope.ID // at the other end of each new connection
	meets int
	off   bool
	data  envelope.ID // whom the data connections lead to
}

func (n *node) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, fmt.Sprintf(format, args...))
}

func (n *node) Changed(key string)     { n.note("changed %s", key) }
func (n *node) Flushed()               { n.note("flushed at epoch %d", n.Hearing().Epoch()) }
func (n *node) Message(payload string) { n.note("message %s", payload) }

func (n *node) heard(what string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.said {
		if strings.HasPrefix(s, what) {
			return true
		}
	}
	return false
}

func (n *node) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(b)
}

func (n *node) logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// change alters what the node's surroundings say.
func (n *node) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *node) meetings() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.meets
}

func (n *node) fresh() bool { return n.Hearing().Fresh(clock.Now()) == Yes }

func listen(t *testing.T, o redis.Options, alter ...func(*Config)) *node {
	t.Helper()
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 5*time.Second, 5*time.Second, 5*time.Second
	n := &node{who: envelope.NewID("a"), data: envelope.NewID("a")}
	cfg := Config{
		Options: o,
		Prefix:  prefix,
		Bound:   2 * time.Second,
		PubSub:  true,
		Handler: n,
		Logger:  slog.New(slog.NewTextHandler(n, nil)),
		Meet: func(ctx context.Context, cn *redis.Conn) (envelope.ID, error) {
			n.mu.Lock()
			n.meets++
			n.mu.Unlock()
			if err := cn.Ping(ctx).Err(); err != nil {
				return envelope.ID{}, err
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.who, nil
		},
		Standing: func() (envelope.ID, int64, bool) {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.data, clock.Now(), !n.off
		},
	}
	for _, f := range alter {
		f(&cfg)
	}
	// The handler calls the Listener: it must stand before anything is heard.
	n.mu.Lock()
	n.Listener = Listen(cfg)
	n.mu.Unlock()
	t.Cleanup(n.Close)
	return n
}
