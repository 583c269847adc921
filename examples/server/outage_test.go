package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Eight clients as fast as they can | Redis: killed, away, back, and again
func TestKillingRedisUnderLoadFailsNoRequest(t *testing.T) {
	s := redistest.Start(t)
	environment(t, "redis://"+s.Addr())
	defer http.DefaultClient.CloseIdleConnections()
	server := start(t, t.TempDir(), "-debug")
	defer func() { require.NoError(t, server.stop()) }()
	signer, err := auth.NewSigner([]byte("a secret for the tests"), time.Hour)
	require.NoError(t, err)
	p := pair{t: t, a: server, b: server, signer: signer}

	type request struct{ path, token string }
	var requests []request
	for n := range 20 {
		_, user := p.person(store.RoleUser, n+1)
		requests = append(requests, request{"/api/users/me", user}, request{"/api/inquiries", user})
	}
	_, admin := p.person(store.RoleAdmin, 1)
	for _, days := range []string{"7d", "30d", "365d"} {
		requests = append(requests, request{"/api/analytics/workload?range=" + days, admin})
	}

	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	var answered atomic.Int64
	for c := range 8 {
		clients.Go(func() {
			for i := c; ctx.Err() == nil; i++ {
				r := requests[i%len(requests)]
				req, err := http.NewRequest("GET", server.url+r.path, nil)
				if !assert.NoError(t, err) {
					return
				}
				req.Header.Set("Authorization", "Bearer "+r.token)
				resp, err := http.DefaultClient.Do(req)
				if !assert.NoError(t, err) {
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", r.path, body) {
					return
				}
				answered.Add(1)
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		from := answered.Load()
		require.Eventually(t, func() bool { return t.Failed() || answered.Load() > from+n }, 30*time.Second, time.Millisecond)
	}
	used := func() {
		t.Helper()
		require.Eventually(t, func() bool { return t.Failed() || s.Client().DBSize(ctx).Val() > int64(len(requests)) }, 20*time.Second, 10*time.Millisecond)
	}
	for range 2 {
		used()
		more(300)
		s.Kill()
		more(3000)
		s.Restart() // empty
		more(300)
	}
	used()
	cancel()
	clients.Wait()
	t.Logf("%d requests, none failed", answered.Load())
}
