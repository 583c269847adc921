package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

var (
	seed   = store.Seed{Users: 2_000, Inquiries: 20_000, Number: 1}
	seeded []byte // the database file; each test gets a copy
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "app")
	if err != nil {
		panic(err)
	}
	seed.Now = time.Now()
	if seed.PasswordHash, err = auth.HashPassword(auth.DemoPassword, 1000); err != nil {
		panic(err)
	}
	path := filepath.Join(dir, "seed.db")
	if err = seed.Build(context.Background(), path); err != nil {
		panic(err)
	}
	if seeded, err = os.ReadFile(path); err != nil {
		panic(err)
	}
	if err = os.RemoveAll(dir); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// world is one database and one Redis, with as many service instances as a test wants.
type world struct {
	t      *testing.T
	db     *store.Store
	path   string
	redis  *miniredis.Miniredis
	signer *auth.Signer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "test.db"), redis: miniredis.RunT(t)}
	w.redis.ClockTTL(true)
	require.NoError(t, os.WriteFile(w.path, seeded, 0o600))
	var err error
	w.db, err = store.Open(context.Background(), w.path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.db.Close()) })
	w.signer, err = auth.NewSigner([]byte("a secret for tests"), time.Hour)
	require.NoError(t, err)
	return w
}

// instance is one service.
type instance struct {
	*world
	app   *App
	tiers *tiercache.Tiers
}

func (w *world) instance(cache bool, change ...func(*Config)) *instance {
	w.t.Helper()
	i := &instance{world: w}
	passwords, err := auth.NewPasswords()
	require.NoError(w.t, err)
	cfg := Config{Store: w.db, Signer: w.signer, Passwords: passwords, Debug: true, Logger: slog.New(slog.DiscardHandler)}
	if cache {
		client := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
		i.tiers, err = tiercache.Open(tiercache.Config{Redis: client, Prefix: "test:",
			// Generous: on a busy machine a slow Redis is not what is tested here.
			ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second})
		require.NoError(w.t, err)
		w.t.Cleanup(func() {
			// With Redis gone, Close reports the invalidations it never heard of.
			if err := i.tiers.Close(); w.redis.Server() != nil {
				require.NoError(w.t, err)
			}
			require.NoError(w.t, client.Close())
		})
		cfg.Tiers = i.tiers
	}
	for _, change := range change {
		change(&cfg)
	}
	i.app, err = New(cfg)
	require.NoError(w.t, err)
	w.t.Cleanup(i.app.Close)
	return i
}

// service is the usual world of one instance with the cache on.
func service(t *testing.T) *instance { return newWorld(t).instance(true) }

// who is a seeded account with a token.
type who struct {
	store.User
	token string
}

func (w *world) who(role store.Role, n int) who {
	w.t.Helper()
	id, email, ok := seed.Account(role, n)
	require.True(w.t, ok)
	u := store.User{ID: id, Email: email, Role: role}
	token, _ := w.signer.Sign(u)
	return who{u, token}
}

// do sends a request and returns its status and body.
func (i *instance) do(method, target, token string, body any) (int, []byte) {
	i.t.Helper()
	return i.doContext(context.Background(), method, target, token, body)
}

func (i *instance) doContext(ctx context.Context, method, target, token string, body any) (int, []byte) {
	i.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = bytes.NewReader([]byte(b))
	default:
		raw, err := json.Marshal(b)
		require.NoError(i.t, err)
		reader = bytes.NewReader(raw)
	}
	req := httptest.NewRequest(method, target, reader).WithContext(ctx)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	i.app.ServeHTTP(rec, req)
	if rec.Body.Len() > 0 {
		require.Contains(i.t, rec.Header().Get("Content-Type"), "application/json", "%s %s", method, target)
	}
	return rec.Code, rec.Body.Bytes()
}

// want sends a request, requires the status and decodes the body.
func want[T any](i *instance, status int, method, target, token string, body any) T {
	i.t.Helper()
	code, raw := i.do(method, target, token, body)
	require.Equal(i.t, status, code, "%s %s: %s", method, target, raw)
	var v T
	require.NoError(i.t, json.Unmarshal(raw, &v))
	return v
}

func get[T any](i *instance, target string, w who) T {
	i.t.Helper()
	return want[T](i, http.StatusOK, "GET", target, w.token, nil)
}

// queries runs do and returns how many statements it cost.
func (w *world) queries(do func()) int64 {
	before := w.db.Counters()
	do()
	after := w.db.Counters()
	return after.Queries - before.Queries + after.Execs - before.Execs
}
