package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment leaves only these variables of those the server reads.
func environment(t *testing.T, redis string) {
	t.Helper()
	for _, name := range []string{"REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS",
		"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "UPSTASH_TRANSPORT"} {
		t.Setenv(name, "")
	}
	t.Setenv("REDIS_URL", redis)
	t.Setenv("DEMO_SECRET", "a secret for the tests")
}

// serving is a server started as from the command line.
type serving struct {
	url, redis string
	stop       func() error
}

func start(t *testing.T, data string, args ...string) serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0", "-data", data, "-users", "200", "-inquiries", "2000", "-warm=false"}, args...), w, io.Discard)
		_ = w.CloseWithError(err)
		done <- err
	}()
	s := serving{stop: func() error { cancel(); return <-done }}
	lines := bufio.NewScanner(r)
	for s.url == "" && lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "REDIS_URL="); ok {
			s.redis = url
		}
		s.url, _ = strings.CutPrefix(lines.Text(), "serving ")
		if !strings.HasPrefix(s.url, "http") {
			s.url = ""
		}
	}
	if s.url == "" {
		require.NoError(t, s.stop())
		t.Fatal("the server ended without serving")
	}
	go func() { _, _ = io.Copy(io.Discard, r) }() // what else it says; it ends with the server
	return s
}

func call(t *testing.T, method, url, token, body string, into any) {
	t.Helper()
	send(t, http.StatusOK, method, url, token, body, into)
}

func post(t *testing.T, url, token, body string, into any) {
	t.Helper()
	send(t, http.StatusCreated, "POST", url, token, body, into)
}

func send(t *testing.T, status int, method, url, token, body string, into any) {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, status, resp.StatusCode)
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
}

func login(t *testing.T, url string) string {
	t.Helper()
	var session struct{ Token string }
	call(t, "POST", url+"/api/login", "", `{"email":"agent1@example.com","password":"demo"}`, &session)
	return session.Token
}

func TestAServerServesAndASecondOneJoinsItsRedis(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	data := t.TempDir()
	environment(t, "")
	one := start(t, data, "-debug")
	require.NotEmpty(t, one.redis, "it says where its Redis is")
	token := login(t, one.url)
	var load map[string]any
	call(t, "GET", one.url+"/api/analytics/workload?range=30d", token, "", &load)
	assert.Equal(t, "30d", load["range"])

	environment(t, one.redis)
	two := start(t, data, "-debug")
	assert.Empty(t, two.redis, "it uses the one it is given")
	call(t, "GET", two.url+"/api/analytics/workload?range=30d", token, "", &load)
	var counted struct {
		Database struct{ Queries int64 }
		Cache    struct{ RedisHits int64 }
	}
	call(t, "GET", two.url+"/debug/counters", token, "", &counted)
	assert.EqualValues(t, 1, counted.Cache.RedisHits)
	require.NoError(t, two.stop())
	require.NoError(t, one.stop())
}

func TestAServerWithoutTheCacheStartsNoRedis(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	environment(t, "")
	s := start(t, t.TempDir(), "-cache=off")
	assert.Empty(t, s.redis)
	var stats struct{ Redis struct{ Mode string } }
	call(t, "GET", s.url+"/api/cache/stats", "", "", &stats)
	assert.Equal(t, "off", stats.Redis.Mode)
	resp, err := http.Get(s.url + "/debug/counters")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode, "only with -debug")
	require.NoError(t, s.stop())
}

func TestAServerSaysWhereToLookAndLogsInTheFormAskedFor(t *testing.T) {
	environment(t, "")
	data := t.TempDir()
	var stdout, stderr lines
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-log=json", "-addr", "127.0.0.1:0", "-data", data, "-users", "200", "-inquiries", "2000"}, &stdout, &stderr)
	}()
	require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "log in as") }, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	assert.Regexp(t, `the page +http://127\.0\.0\.1:\d+/ `, stdout.String())
	assert.Regexp(t, `the dashboard +http://127\.0\.0\.1:\d+/api/cache/stats `, stdout.String())
	assert.Regexp(t, `superuser1@example.com.*password demo`, stdout.String())
	logged := 0
	for line := range strings.Lines(stderr.String()) {
		if strings.HasPrefix(line, "seeding") {
			continue // progress, for people
		}
		var entry struct{ Time, Level, Msg string }
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		require.NotEmpty(t, entry.Msg)
		logged++
	}
	assert.Positive(t, logged)
}

// lines is a buffer that may be read while it is written.
type lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestASeedIsMadeOnceAndAnewWhenItIsTooOld(t *testing.T) {
	environment(t, "")
	data := t.TempDir()
	seeded := func(args ...string) bool {
		var log bytes.Buffer
		require.NoError(t, run(context.Background(), append([]string{"-seed-only", "-data", data, "-users", "200", "-inquiries", "2000"}, args...), io.Discard, &log))
		return strings.Contains(log.String(), "seeding 200 users and 2000 inquiries [##############################] 100 %")
	}
	assert.True(t, seeded())
	assert.False(t, seeded())
	assert.False(t, seeded("-reseed-after", "1h"))
	assert.True(t, seeded("-reseed-after", "1ns"))
}

func TestBadArgumentsAreRefused(t *testing.T) {
	environment(t, "")
	for name, args := range map[string][]string{
		"unknown flag":   {"-what"},
		"an argument":    {"here"},
		"half a cache":   {"-cache=half"},
		"a log in verse": {"-log=verse"},
		"warming often":  {"-warm-every", "1ms", "-users", "200", "-inquiries", "2000", "-data", t.TempDir()},
		"few users":      {"-users", "1", "-seed-only", "-data", t.TempDir()},
		"bad prefix":     {"-prefix", "demo", "-users", "200", "-inquiries", "2000", "-data", t.TempDir()},
		"bad token life": {"-token-life", "-1s", "-users", "200", "-inquiries", "2000", "-data", t.TempDir()},
		"bad address":    {"-addr", "127.0.0.1:-1", "-users", "200", "-inquiries", "2000", "-data", t.TempDir()},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		require.Error(t, run(ctx, args, io.Discard, io.Discard), name)
		require.NoError(t, ctx.Err(), name)
		cancel()
	}
}
