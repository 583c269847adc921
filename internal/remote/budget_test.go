package remote

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

const shortBudget = 200 * time.Millisecond

// operations are all that wait for Redis, by a caller without a deadline.
func operations(r *Remote) map[string]func() error {
	ops := map[string]func() error{
		"Get":     func() error { _, err := r.Get(bg, "p:k"); return err },
		"GetMany": func() error { _, errs := r.GetMany(bg, []string{"p:k", "p:l"}); return errs[1] },
		"Heads":   func() error { _, err := r.Heads(bg, []string{"p:k", "p:l"}); return err },
		"Tags":    func() error { _, err := r.Tags(bg, []string{r.TagKey("t")}); return err },
		"Clock":   func() error { _, err := r.Clock(bg); return err },
	}
	maps.Copy(ops, makers(r))
	maps.Copy(ops, removals(r))
	return ops
}

// toShort opens a Remote with short budgets, which is connected when it returns.
func toShort(t *testing.T, addr string) *Remote {
	t.Helper()
	r, err := Open(complete(Config{Client: bare(t, addr), Read: shortBudget, Write: shortBudget, Logger: slog.New(slog.DiscardHandler)}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	soon(t, "connected", func() bool { _, ms := r.Health(); _, err := r.Get(bg, "p:k"); return ms[0].Connected && err == nil })
	return r
}

// ends fails the test if op does not return. A budget bounds each of the few things
// that an operation waits for; the rest is for a busy machine.
func ends(t *testing.T, what string, op func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- op() }()
	select {
	case err := <-done:
		return err
	case <-time.After(10*shortBudget + 3*time.Second):
		t.Errorf("%s goes on beyond its budget", what)
		return <-done
	}
}

func TestEveryOperationEndsWithItsBudgetWhateverTheFault(t *testing.T) {
	t.Parallel()
	for name, faulty := range map[string]func(t *testing.T) (addr string, begin func()){
		"frozen": func(t *testing.T) (string, func()) {
			s := redistest.Start(t)
			return s.Addr(), s.Pause
		},
		"a black hole": func(t *testing.T) (string, func()) {
			p := redistest.StartProxy(t, redistest.Start(t).Addr())
			return p.Addr(), p.Drop
		},
		"no answers": func(t *testing.T) (string, func()) {
			p := redistest.StartProxy(t, redistest.Start(t).Addr())
			return p.Addr(), p.HalfOpen
		},
		"reset": func(t *testing.T) (string, func()) {
			p := redistest.StartProxy(t, redistest.Start(t).Addr())
			return p.Addr(), p.Refuse
		},
		"killed": func(t *testing.T) (string, func()) {
			s := redistest.Start(t)
			return s.Addr(), s.Kill
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, begin := faulty(t)
			first := make(map[string]*Remote)
			for op := range operations(nil) {
				first[op] = toShort(t, addr) // each with a closed circuit
			}
			begin()
			var wg sync.WaitGroup
			for op, r := range first {
				wg.Go(func() {
					do := operations(r)[op]
					assert.Error(t, ends(t, op, do), op)
					soon(t, "open", func() bool { _ = ends(t, op, do); return !r.Usable("p:k") })
					// Not sent, so it need not be timed.
					soon(t, "refused", func() bool { return errors.Is(ends(t, op, do), ErrUnavailable) })
				})
			}
			wg.Wait()
			r := first["Get"]
			for op, do := range operations(r) {
				assert.ErrorIs(t, ends(t, op, do), ErrUnavailable, op)
			}
		})
	}
}

// counted counts the connections that are open.
type counted struct {
	net.Conn
	open *atomic.Int64
	once *sync.Once
}

func (c counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// Not parallel: it looks at all goroutines of the process.
func TestACrowdAtAFrozenMasterLeavesNothingBehind(t *testing.T) {
	s := redistest.Start(t)
	before := goleak.IgnoreCurrent()
	var conns, dials atomic.Int64
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr(), PoolSize: 50,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			dials.Add(1)
			conns.Add(1)
			return counted{c, &conns, new(sync.Once)}, nil
		},
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer func() { _ = client.Close() }()
	r, err := Open(complete(Config{Client: client, Read: shortBudget, Write: shortBudget, Logger: slog.New(slog.DiscardHandler)}))
	require.NoError(t, err)
	soon(t, "connected", func() bool { _, ms := r.Health(); return ms[0].Connected })
	s.Pause()
	var wg sync.WaitGroup
	for range 1_000 {
		wg.Go(func() {
			for range 5 {
				_, err := r.Get(bg, "p:k")
				assert.Error(t, err)
				_, _, err = r.Unlink(bg, []string{"p:k"})
				assert.Error(t, err)
			}
		})
	}
	wg.Wait()
	soon(t, "open", func() bool { _, _ = r.Get(bg, "p:k"); return !r.Usable("p:k") })
	require.NoError(t, r.Close())
	require.NoError(t, client.Close())
	soon(t, "all connections are closed", func() bool { return conns.Load() == 0 })
	assert.Positive(t, dials.Load())
	goleak.VerifyNone(t, before)
	s.Resume()
}

// A server that was away for ten seconds: the promise is three seconds.
func TestARedisThatWasAwayForTenSecondsIsInUseSoon(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	s := redistest.Start(t)
	r := toShort(t, s.Addr())
	s.Kill()
	gone := time.NewTimer(10 * time.Second)
	soon(t, "open", func() bool { _, _ = r.Get(bg, "p:k"); return !r.Usable("p:k") })
	<-gone.C
	_, ms := r.Health()
	require.Equal(t, "open", ms[0].State)
	require.LessOrEqual(t, ms[0].NextProbe, lastProbe)
	s.Restart()
	returned := time.Now()
	soon(t, "in use", func() bool { return r.Usable("p:k") })
	took := time.Since(returned)
	t.Log("in use after", took)
	assert.Less(t, took, 3*time.Second+5*time.Second, "three, and five for a busy machine")
	_, ms = r.Health()
	assert.EqualValues(t, 1, ms[0].Opens)
}
