package cachehttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// pipes is a network inside a bubble, with no buffers: what nobody reads is not sent.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// serveInBubble serves h until the test's end, with the deadlines of a careful server.
func serveInBubble(t *testing.T, h http.Handler) pipes {
	p := pipes{make(chan net.Conn), make(chan struct{})}
	s := &http.Server{Handler: h, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second}
	ended := make(chan error)
	go func() { ended <- s.Serve(p) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-ended
	})
	return p
}

// reader is one client of the stream.
type reader struct {
	conn net.Conn
	in   *bufio.Reader
	resp *http.Response
}

func (p pipes) open(t *testing.T, role string) *reader {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	t.Cleanup(func() { _ = ours.Close() })
	_, err := io.WriteString(ours, "GET /stream HTTP/1.1\r\nHost: cache\r\nRole: "+role+"\r\n\r\n")
	require.NoError(t, err)
	in := bufio.NewReader(ours)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	return &reader{ours, bufio.NewReader(resp.Body), resp}
}

// next is the next event, or the error that ended the stream.
func (r *reader) next(t *testing.T) (Snapshot, error) {
	line, err := r.in.ReadString('\n')
	if err != nil {
		return Snapshot{}, err
	}
	data, ok := strings.CutPrefix(line, "data: ")
	require.True(t, ok, line)
	blank, err := r.in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "\n", blank)
	return snapshotOf(t, []byte(data)), nil
}

func (r *reader) must(t *testing.T) Snapshot {
	s, err := r.next(t)
	require.NoError(t, err)
	return s
}

func streams(h *Handler) int {
	h.hub.mu.Lock()
	defer h.hub.mu.Unlock()
	return len(h.hub.boxes)
}

func TestAStreamBringsASnapshotEachSecondWithWhatItsReaderMayDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tiers := newTiers(t)
		h, cache := newHandler(t, tiers, Config{Authorizer: byRole}), newCache(t, tiers, "users")
		p := serveInBubble(t, h)
		time.Sleep(3 * time.Second) // so that the first event is not the sampler's first reading
		began := time.Now()
		admin, viewer := p.open(t, "admin"), p.open(t, "viewer")
		assert.Equal(t, "text/event-stream", admin.resp.Header.Get("Content-Type"))
		assert.Equal(t, "nosniff", admin.resp.Header.Get("X-Content-Type-Options"))
		for i := range int64(10) { // longer than the server's deadlines
			s := admin.must(t)
			assert.Equal(t, []string{"clear", "invalidate"}, s.Allowed)
			assert.Equal(t, i, s.Cache.Operations)
			assert.Equal(t, time.Duration(i)*time.Second, s.At.Sub(began).Round(time.Millisecond))
			if i > 1 {
				assert.Equal(t, 1.0, s.Windows[0].Seconds)
				assert.Equal(t, 1.0, s.Windows[0].PerSecond.Memory+s.Windows[0].PerSecond.Load)
			}
			other := viewer.must(t)
			assert.Equal(t, []string{}, other.Allowed)
			assert.Equal(t, s.At, other.At)
			load(t, cache, "user:42")
		}
	})
}

func TestAReaderThatPausesMissesEventsAndThenHasTheNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, newTiers(t), Config{Authorizer: byRole})
		r := serveInBubble(t, h).open(t, "viewer")
		r.must(t)
		time.Sleep(4500 * time.Millisecond) // the event of the first second waits to be read
		late := r.must(t)
		newest := r.must(t)
		assert.InDelta(t, 3, newest.At.Sub(late.At).Seconds(), 0.01)
		assert.InDelta(t, 1, r.must(t).At.Sub(newest.At).Seconds(), 0.01)
	})
}

func TestAReaderThatDoesNotReadIsCutOffAndOthersAreServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, newTiers(t), Config{Authorizer: byRole})
		p := serveInBubble(t, h)
		slow, good := p.open(t, "viewer"), p.open(t, "viewer")
		synctest.Wait()
		require.Equal(t, 2, streams(h))
		last := good.must(t).At
		for range 7 {
			s := good.must(t)
			assert.InDelta(t, 1, s.At.Sub(last).Seconds(), 0.01)
			last = s.At
		}
		synctest.Wait()
		assert.Equal(t, 1, streams(h))
		_, err := io.ReadAll(slow.in)
		assert.Error(t, err, "its connection is closed")
	})
}

func TestThirtyTwoStreamsAreServedAndTheNextIsToldToComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, newTiers(t), Config{Authorizer: byRole})
		p := serveInBubble(t, h)
		all := make([]*reader, mostStreams)
		for i := range all {
			all[i] = p.open(t, "viewer")
			require.Equal(t, 200, all[i].resp.StatusCode)
			all[i].must(t)
		}
		more := p.open(t, "viewer")
		assert.Equal(t, 503, more.resp.StatusCode)
		assert.Equal(t, "5", more.resp.Header.Get("Retry-After"))
		for range 3 {
			for _, r := range all {
				r.must(t)
			}
		}
		_ = all[0].conn.Close()
		synctest.Wait()
		again := p.open(t, "viewer")
		assert.Equal(t, 200, again.resp.StatusCode)
		again.must(t)
	})
}

func TestStreamsEndWithTheHandlerAndWithTheTiers(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Handler, *tiercache.Tiers){
		"the Handler": func(h *Handler, _ *tiercache.Tiers) { h.Close() },
		"the Tiers":   func(_ *Handler, tiers *tiercache.Tiers) { _ = tiers.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tiers := newTiers(t)
				h := newHandler(t, tiers, Config{Authorizer: byRole})
				p := serveInBubble(t, h)
				r := p.open(t, "viewer")
				r.must(t)
				end(h, tiers)
				_, err := r.next(t)
				assert.ErrorIs(t, err, io.EOF, "the answer is whole")
				assert.Equal(t, 503, p.open(t, "viewer").resp.StatusCode)
			})
		})
	}
}

func TestAStreamEndsWhenItsReaderMayNoLongerRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var outdated atomic.Bool
		h := newHandler(t, newTiers(t), Config{Authorizer: func(r *http.Request, action string) (string, error) {
			if outdated.Load() {
				return "", errors.New("the token is outdated")
			}
			return "ada", nil
		}})
		r := serveInBubble(t, h).open(t, "admin")
		r.must(t)
		outdated.Store(true)
		at := time.Now()
		var err error
		for err == nil {
			_, err = r.next(t)
		}
		assert.ErrorIs(t, err, io.EOF)
		assert.LessOrEqual(t, time.Since(at), 62*time.Second)
	})
}

func TestAStreamIsRefusedWhereItsReaderCouldNotBeCutOff(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newTiers(t), Config{Authorizer: byRole})
	w := ask(h, "GET", "/stream", "", "Role", "viewer") // a recorder has no deadlines
	assert.Equal(t, 500, w.Code)
	assert.Contains(t, w.Body.String(), "Unwrap")
	assert.Zero(t, streams(h))
}

func TestReadersThatComeAndGoLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, newTiers(t), Config{Authorizer: byRole})
		come := func(times int) uint64 {
			for range times {
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				r := httptest.NewRequestWithContext(ctx, "GET", "/stream", nil)
				r.Header.Set("Role", "viewer")
				w := &counting{first: make(chan struct{}), header: http.Header{}}
				go func() {
					defer close(ended)
					h.ServeHTTP(w, r)
				}()
				<-w.first
				cancel()
				<-ended
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := come(200)
		after := come(2000)
		assert.Less(t, int64(after)-int64(before), int64(1<<20))
		assert.Zero(t, streams(h))
	})
}

// counting is a ResponseWriter that tells of the first event.
type counting struct {
	header http.Header
	first  chan struct{}
	told   bool
}

func (c *counting) Header() http.Header              { return c.header }
func (c *counting) WriteHeader(int)                  {}
func (c *counting) SetReadDeadline(time.Time) error  { return nil }
func (c *counting) SetWriteDeadline(time.Time) error { return nil }
func (c *counting) FlushError() error                { return nil }
func (c *counting) Write(b []byte) (int, error) {
	if !c.told {
		c.told = true
		close(c.first)
	}
	return len(b), nil
}
