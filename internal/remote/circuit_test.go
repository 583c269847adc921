package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
)

var errGone = errors.New("connection reset by peer")

func TestACircuitOpensAtTheThirdFailureInARowOrAtARefusal(t *testing.T) {
	t.Parallel()
	c := &circuit{log: slog.New(slog.DiscardHandler), opened: make(chan struct{}, 1)}
	for range 5 {
		assert.False(t, c.failed(errGone, false))
		assert.False(t, c.failed(errGone, false))
		c.answered()
	}
	assert.True(t, c.is(closed), "none was the third in a row")
	for range failLimit - 1 {
		assert.False(t, c.failed(errGone, false))
	}
	assert.True(t, c.failed(errGone, false))
	assert.True(t, c.is(open))
	assert.False(t, c.failed(errGone, true), "it is open")
	assert.EqualValues(t, 1, c.opens.Load())
	c.close()
	assert.True(t, c.is(open), "not without a replay")
	c.replay()
	c.close()
	assert.True(t, c.is(closed))
	assert.True(t, c.failed(errGone, true))
	c.replay()
	assert.True(t, c.failed(errGone, true), "while replaying too")
	assert.EqualValues(t, 3, c.opens.Load())
}

func TestAtDebugALineTellsOfEachFailure(t *testing.T) {
	t.Parallel()
	for name, level := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines log
			c := &circuit{addr: "db:6379", log: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: level})), opened: make(chan struct{}, 1)}
			c.failed(errGone, false)
			c.answered()
			c.failed(errors.New("dead, with args beginning with: get secret"), false)
			c.failed(serverError("LOADING Redis is loading the dataset in memory"), true)
			assert.Equal(t, 1, strings.Count(lines.String(), "out of use"))
			if level == slog.LevelInfo {
				assert.Equal(t, 1, strings.Count(lines.String(), "level="))
				return
			}
			assert.Equal(t, 3, strings.Count(lines.String(), "has failed once"))
			assert.Contains(t, lines.String(), "addr=db:6379")
			assert.Contains(t, lines.String(), errGone.Error())
			assert.NotContains(t, lines.String(), "secret")
		})
	}
}

func TestThePausesBetweenProbesGrowUntilACircuitWasClosedForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &circuit{log: slog.New(slog.DiscardHandler), opened: make(chan struct{}, 1)}
		within := func(want time.Duration) {
			t.Helper()
			next := until(c.probeAt.Load())
			assert.LessOrEqual(t, next, want)
			assert.GreaterOrEqual(t, next, want/2)
		}
		c.failed(errGone, true)
		within(firstProbe)
		for _, want := range []time.Duration{100, 200, 400, 800, 1500, 1500} {
			c.missed(clock.Now())
			within(want * time.Millisecond)
		}
		c.missed(clock.Now() - int64(time.Minute))
		within(firstProbe / 2)
		c.replay()
		assert.Zero(t, c.probeAt.Load())
		time.Sleep(time.Hour)
		c.failed(errGone, true)
		within(lastProbe) // it was not in use
		c.replay()
		c.close()
		c.failed(errGone, true)
		within(lastProbe)
		c.replay()
		c.close()
		time.Sleep(2 * steady)
		c.failed(errGone, true)
		within(firstProbe)
	})
}

// away is how a server in a bubble does not answer: by no connection, or by silence.
type away struct {
	refuses, hangs atomic.Bool
	dials          atomic.Int64
	silenced       atomic.Int64 // connections of before are silent for good
	run            atomic.Int64 // which incarnation it is; 0: it does not tell
}

// tell has m say which incarnation it is, in the place of a miniredis's own INFO.
func (a *away) tell(m *miniredis.Miniredis) {
	m.Lock()
	defer m.Unlock()
	if s := m.Server(); s != nil {
		s.SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
			n := a.run.Load()
			if cmd != "INFO" || n == 0 {
				return false
			}
			c.WriteBulk(fmt.Sprintf("run_id:%d\r\nrole:master\r\nmaster_replid:1\r\n", n))
			return true
		})
	}
}

// line is a connection that can fall silent: nothing comes back, no error either.
type line struct {
	net.Conn
	a    *away
	made int64
}

func (l line) Read(b []byte) (int, error) {
	for {
		n, err := l.Conn.Read(b)
		if err != nil || l.a.silenced.Load() == l.made {
			return n, err
		}
	}
}

// inBubble opens a Remote to a miniredis over pipes, in fake time. The pool is one
// that nobody waits for: go-redis keeps the timers of those who do for the whole
// process, and one of a bubble must not be used outside of it.
func inBubble(t *testing.T, m *miniredis.Miniredis, a *away, lines *log, change func(*Config)) *Remote {
	t.Helper()
	m.ClockTTL(true)
	client := redis.NewClient(&redis.Options{
		PoolSize: 10_000,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			a.dials.Add(1)
			switch {
			case a.refuses.Load():
				return nil, errors.New("connection refused")
			case a.hangs.Load():
				silent, other := net.Pipe()
				t.Cleanup(func() { _ = other.Close() })
				return silent, nil
			}
			c, err := m.Dial()
			if a.run.Load() != 0 { // else what the test has m answer stands
				a.tell(m)
			}
			return line{c, a, a.silenced.Load()}, err
		},
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = client.Close() })
	cfg := complete(Config{Client: client, Read: 50 * time.Millisecond, Write: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(lines, nil))})
	if change != nil {
		change(&cfg)
	}
	r, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// The longest pause and the hold-off are within what is promised, at whatever
// moment the server returns; no outage keeps the circuit open for good; and memory
// serves as soon as Redis is in use.
func TestAfterEachOfTwentyOutagesRedisIsInUseWithinThreeSeconds(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*away, *miniredis.Miniredis, bool){
		"refused": func(a *away, m *miniredis.Miniredis, begin bool) {
			a.refuses.Store(begin)
			m.Close() // ends the connections; the dialer alone lets in
		},
		"refused, and another server each time": func(a *away, m *miniredis.Miniredis, begin bool) {
			a.refuses.Store(begin)
			if begin {
				a.run.Add(1)
			}
			m.Close()
		},
		"silent, and so are the old connections after it": func(a *away, _ *miniredis.Miniredis, begin bool) {
			a.hangs.Store(begin)
			a.silenced.Add(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := miniredis.NewMiniRedis()
				t.Cleanup(m.Close)
				var a away
				var lines log
				r := inBubble(t, m, &a, &lines, nil)
				use := func() error { _, err := r.Get(bg, "k"); return err }
				require.NoError(t, use())
				var wg sync.WaitGroup
				const outages, beat = 20, 250 * time.Millisecond // a question in a bound's quarter
				for n := range outages {
					for range 50 {
						wg.Go(func() { _ = use() }) // as many connections
					}
					wg.Wait()
					set(&a, m, true)
					for r.Usable("k") {
						_ = use()
						time.Sleep(time.Millisecond)
					}
					require.ErrorIs(t, use(), ErrUnavailable)
					_, ms := r.Health()
					require.Equal(t, "open", ms[0].State)
					require.EqualValues(t, n+1, ms[0].Opens)
					require.LessOrEqual(t, ms[0].NextProbe, lastProbe)
					time.Sleep(rand.N(10 * time.Second))
					set(&a, m, false)
					returned := time.Now()
					before := coherence.Connecting
					for !r.Usable("k") {
						before = r.routes.only.ear.Load().Mode()
						time.Sleep(time.Millisecond)
						_, ms := r.Health()
						require.Contains(t, []string{"open", "replaying", "closed"}, ms[0].State)
					}
					if silent := strings.HasPrefix(name, "silent"); !silent { // its connection may be given up just then
						require.NotEqual(t, coherence.Connecting, before, "outage %d: it listens before it uses", n)
					}
					require.LessOrEqual(t, time.Since(returned), 3*time.Second, "outage %d", n)
					require.GreaterOrEqual(t, time.Since(returned), holdOff, "outage %d", n)
					used := time.Now()
					for r.Hearing("k").Fresh(clock.Now()) != coherence.Yes {
						time.Sleep(time.Millisecond)
					}
					require.LessOrEqual(t, time.Since(used), beat, "outage %d", n)
					for range 50 {
						require.NoError(t, use())
					}
				}
				for _, text := range []string{"out of use", "answers again", "in use again"} {
					assert.Equal(t, outages, strings.Count(lines.String(), text), text)
				}
			})
		})
	}
}

func TestAnOpenCircuitIsProbedByOneWhoeverElseKnocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		t.Cleanup(m.Close)
		var a away
		var lines log
		r := inBubble(t, m, &a, &lines, nil)
		_, err := r.Get(bg, "k")
		require.NoError(t, err)
		a.refuses.Store(true)
		m.Close()
		for r.Usable("k") {
			_, _ = r.Get(bg, "k")
		}
		time.Sleep(10 * time.Second) // to the longest pause
		before := a.dials.Load()
		var wg sync.WaitGroup
		for range 1_000 {
			wg.Go(func() {
				for range 100 {
					_, _, err := r.Acquire(bg, "k", lease("a"), nil, time.Second)
					assert.ErrorIs(t, err, ErrUnavailable)
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		// Half a pause apart at least, and who listens dials as often.
		assert.LessOrEqual(t, a.dials.Load()-before, 4*int64(10*time.Second/lastProbe)+2)
		assert.Greater(t, a.dials.Load(), before)
	})
}

func TestALogShowsNoArguments(t *testing.T) {
	t.Parallel()
	text := shown(serverError("ERR unknown command 'AUTH', with args beginning with: 'secret' "))
	assert.Equal(t, "ERR unknown command 'AUTH'", text)
	assert.Equal(t, "connection reset by peer", shown(errGone))
}
