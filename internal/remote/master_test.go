package remote

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

// log is a logger whose text can be read while it is written.
type log struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, 5*time.Millisecond, what)
}

func TestAMasterThatDiesIsOutOfUseAndComesBackByItself(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var lines log
	restored := make(chan struct{}, 10)
	r, err := Open(complete(Config{Client: bare(t, s.Addr()), Read: 10 * time.Second, Write: 10 * time.Second,
		Logger: slog.New(slog.NewTextHandler(&lines, nil)), Restored: func() { restored <- struct{}{} }}))
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	soon(t, "connected", func() bool { _, ms := r.Health(); return ms[0].Connected })
	_, before := r.Health()

	s.Kill()
	soon(t, "out of use", func() bool { _, _ = r.Get(bg, "k"); return !r.Usable("k") })
	_, err = r.Get(bg, "k")
	assert.ErrorIs(t, err, ErrUnavailable, "nobody waits for it")
	_, failed, _ := r.Unlink(bg, []string{"k"})
	assert.Equal(t, []string{"k"}, failed)
	_, err = r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"})
	assert.ErrorIs(t, err, ErrUnavailable)

	s.Restart()
	<-restored
	soon(t, "in use", func() bool { return r.Usable("k") })
	_, err = r.Get(bg, "k")
	require.NoError(t, err)
	soon(t, "connected", func() bool { _, ms := r.Health(); return ms[0].Connected })
	_, after := r.Health()
	assert.NotEmpty(t, before[0].Stamp)
	assert.NotEqual(t, before[0].Stamp, after[0].Stamp, "another life, another stamp")
	assert.Contains(t, lines.String(), "out of use")
	assert.Contains(t, lines.String(), "in use again")
	assert.Contains(t, lines.String(), "another incarnation")
}

func TestAFrozenMasterIsOutOfUseAfterAFewTimeouts(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	restored := make(chan struct{}, 10)
	r, err := Open(complete(Config{Client: bare(t, s.Addr()), Read: 200 * time.Millisecond, Write: 200 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler), Restored: func() { restored <- struct{}{} }}))
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	soon(t, "reachable", func() bool { _, err := r.Get(bg, "k"); return err == nil })
	s.Pause()
	soon(t, "out of use", func() bool { _, _ = r.Get(bg, "k"); return !r.Usable("k") })
	s.Resume()
	<-restored
	soon(t, "reachable", func() bool { _, err := r.Get(bg, "k"); return err == nil })
}

func TestWhatAnErrorSaysOfTheServer(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(bg)
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want news
	}{
		"success":                {bg, nil, answered},
		"a miss":                 {bg, redis.Nil, answered},
		"a wrong type":           {bg, serverError("WRONGTYPE Operation"), answered},
		"a slot elsewhere":       {bg, serverError("MOVED 1 127.0.0.1:1"), answered},
		"no memory":              {bg, serverError("OOM command not allowed when used memory > 'maxmemory'. script: c69, on @user_script:7."), full},
		"no memory, Redis 6":     {bg, serverError("ERR Error running script (call to f_c69): @user_script:7: @user_script: 7: -OOM command not allowed when used memory > 'maxmemory'. "), full},
		"no disk":                {bg, serverError("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."), full},
		"no replicas":            {bg, serverError("NOREPLICAS Not enough good replicas to write."), full},
		"a quota":                {bg, serverError("ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://example.com/limits for details"), full},
		"a quota of a day":       {bg, serverError("ERR max daily request limit exceeded"), full},
		"a quota of bytes":       {bg, serverError("ERR DB capacity quota exceeded. Threshold: 268435456"), full},
		"too large a request":    {bg, serverError("ERR max request size exceeded. Limit: 1048576 bytes, the quota is not used up"), answered},
		"too large a record":     {bg, serverError("ERR max single record size exceeded"), answered},
		"a key that is named so": {bg, serverError("ERR unknown command 'GETS', with args beginning with: 'quota limit exceeded' "), answered},
		"too many connections":   {bg, serverError("ERR max number of clients reached"), dead},
		"a script that hangs":    {bg, serverError("BUSY Redis is busy running a script."), refusing},
		"a replica, Redis 6":     {bg, serverError("ERR Error running script (call to f_c69): @user_script:7: @user_script: 7: -READONLY You can't write against a read only replica. "), refusing},
		"an error in a script":   {bg, serverError("ERR Error running script (call to f_c69): @user_script:7: attempt to index"), answered},
		"loading":                {bg, serverError("LOADING Redis is loading"), refusing},
		"a replica":              {bg, serverError("READONLY You can't write"), refusing},
		"a wrong password":       {bg, serverError("WRONGPASS invalid"), refusing},
		"a timeout":              {bg, context.DeadlineExceeded, slow},
		"a reset":                {bg, errors.New("connection reset by peer"), dead},
		"no free connection":     {bg, redis.ErrPoolTimeout, none},
		"a caller who gave up":   {over, context.Canceled, none},
		"a caller, with a reset": {over, errors.New("use of closed connection"), none},
	} {
		assert.Equal(t, c.want, newsOf(c.ctx, c.err), name)
	}
}

type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}

func TestAServerThatDoesNotTellItsIncarnationHasNoStamp(t *testing.T) {
	t.Parallel()
	r := openTo(t, bare(t, miniredis.RunT(t).Addr()))
	_, err := r.Get(bg, "k")
	require.NoError(t, err)
	mode, ms := r.Health()
	assert.Equal(t, "single", mode)
	assert.Empty(t, ms[0].Stamp)
}

func TestTheClockIsTheServers(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.SetTime(time.Now().Add(-15 * time.Minute))
	r := openTo(t, bare(t, m.Addr()))
	_, err := r.Get(bg, "k")
	require.NoError(t, err)
	assert.InDelta(t, -15*time.Minute, time.Until(r.Now("k")), float64(time.Minute))
}

// a round trip is under way | another life | it fails: that says nothing of the server now
func TestWhatFailsInALifeThatIsOverIsNoNewsOfTheNext(t *testing.T) {
	t.Parallel()
	r := openTo(t, bare(t, redistest.Start(t).Addr()))
	m := r.routes.only
	over := m.life.Load()
	m.renew()
	for range 2 * failLimit {
		over.failed(errGone)
	}
	assert.Zero(t, m.circuit.opens.Load())
	soon(t, "that of the present life is", func() bool {
		m.life.Load().failed(errGone)
		return m.circuit.opens.Load() > 0
	})
}
