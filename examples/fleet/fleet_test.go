package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAReadIsHeldToTheRule(t *testing.T) {
	t.Parallel()
	at := time.Now()
	mine, other, reborn := life{0, 1}, life{1, 1}, life{0, 2}
	s := func(seconds float64) time.Time { return at.Add(time.Duration(seconds * float64(time.Second))) }
	gone := away{s(0), s(8)}
	for name, c := range map[string]struct {
		by    life
		wrote float64
		away  away
		began float64
		shows bool
	}{
		"on the same instance, after it":                   {mine, 1, away{}, 1.001, true},
		"before it":                                        {mine, 1, away{}, 0.999, false},
		"on another, within the bound":                     {other, 1, away{}, 1.9, false},
		"on another, after the bound":                      {other, 1, away{}, 2.001, true},
		"a restarted instance is another":                  {reborn, 1, away{}, 1.9, false},
		"without Redis, on the same":                       {mine, 1, gone, 1.001, true},
		"without Redis, within both":                       {other, 1, gone, 4.9, false},
		"without Redis, after both":                        {other, 1, gone, 5.001, true},
		"from before it was killed, read without":          {other, -0.5, gone, 2, false},
		"written without, read within the bound of return": {other, 7, gone, 8.9, false},
		"written without, read after that":                 {other, 7, gone, 9.001, true},
		"while it lasts there is no end":                   {other, 1, away{from: s(0)}, 4.9, false},
		"while it lasts, after both":                       {other, 1, away{from: s(0)}, 5.001, true},
	} {
		h := history{away: c.away}
		h.wrote(7, write{3, s(c.wrote), mine})
		need := h.need(7, c.by, s(c.began))
		assert.Equal(t, c.shows, need == 3, name)
		assert.Zero(t, h.need(8, c.by, s(c.began)), "%s: of another user nothing is known", name)
	}
}

// fake is a fleet of one instance, which answers with a handler.
func fake(t *testing.T, h http.HandlerFunc) (*traffic, *node) {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	n := &node{srv: &child.Server{Base: srv.URL}, base: srv.URL, client: srv.Client(), life: life{0, 1}}
	signer, err := auth.NewSigner([]byte("a secret for the tests"), time.Hour)
	require.NoError(t, err)
	tr, err := newTraffic([]*node{n}, size, signer)
	require.NoError(t, err)
	return tr, n
}

func TestAStaleReadAndAFailureAreFound(t *testing.T) {
	t.Parallel()
	var name atomic.Value
	name.Store("Fleet OTHER 7") // of an earlier run
	tr, n := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PATCH" {
			_, _ = io.WriteString(w, `{}`)
			return
		}
		if name.Load() == "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, `{"name":"`+name.Load().(string)+`"}`)
	})
	f := fleet{out: io.Discard, traffic: tr}
	read := func() {
		began := time.Now()
		var p struct{ Name string }
		if tr.ask(n, "GET", "/", nil, nil, &p) {
			tr.judge(0, n, began, p.Name)
		}
	}
	read()
	assert.Zero(t, tr.stale.Load(), "as it was found")
	tr.write(n, 0)
	name.Store(tr.prefix + "1")
	read()
	require.NoError(t, f.result())
	name.Store("Ada Berg")
	read()
	assert.EqualValues(t, 1, tr.stale.Load(), "the old name, on the instance that changed it")
	name.Store(tr.prefix + "2")
	read()
	assert.EqualValues(t, 2, tr.stale.Load(), "a version that nobody wrote")
	name.Store("")
	read()
	assert.EqualValues(t, 1, tr.failed.Load())
	f.verdicts = nil
	err := f.result()
	require.ErrorContains(t, err, "1 of")
	require.ErrorContains(t, err, "2 of")
}

func TestANodeThatIsOutIsNotAsked(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	tr, n := fake(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	n.gate.Lock()
	tr.write(n, 0)
	n.gate.Unlock()
	n.srv = nil
	tr.write(n, 0)
	assert.Zero(t, asked.Load())
	assert.Zero(t, tr.failed.Load())
}

func TestWhoInterruptsIsNotToldOfALimit(t *testing.T) {
	t.Parallel()
	never := func() bool { return false }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := until(ctx, time.Hour, "pigs fly", never)
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "in vain")
	require.ErrorContains(t, until(t.Context(), time.Nanosecond, "pigs fly", never), "waited 1ns in vain until pigs fly")
}

func TestWithoutARedisServerItSaysSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := run(t.Context(), nil, io.Discard, io.Discard)
	require.ErrorIs(t, err, errNoRedis)
	require.ErrorContains(t, err, "apt-get install redis-server")
}
