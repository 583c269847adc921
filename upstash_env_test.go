package tiercache_test

import (
	"bytes"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Each variable, judged by a server. The environment belongs to the whole process,
// so nothing here is parallel.

func TestEachVariableOfUpstashIsUsed(t *testing.T) {
	d := newDatabase(t)
	try := func(vars map[string]string) (tiercache.Health, string) {
		cfg, _, err := fromEnv(t, vars)
		require.NoError(t, err)
		cfg.Prefix, cfg.ReadTimeout, cfg.WriteTimeout = "t:", 10*time.Second, 10*time.Second
		var log bytes.Buffer
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		tiers := open(t, cfg)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		v, err := cache.GetOrLoad(bg, "k", value(1))
		require.NoError(t, err)
		require.Equal(t, 1, v)
		if vars["UPSTASH_REDIS_REST_TOKEN"] == redistest.RESTToken && vars["UPSTASH_TRANSPORT"] == "rest" {
			hear(t, tiers)
		}
		h := tiers.Health()
		require.NoError(t, tiers.Close())
		assert.NotContains(t, log.String(), vars["UPSTASH_REDIS_REST_TOKEN"])
		return h, log.String()
	}
	vars := func(transport, token string) map[string]string {
		return map[string]string{"UPSTASH_REDIS_REST_URL": d.rest.URL(), "UPSTASH_REDIS_REST_TOKEN": token, "UPSTASH_TRANSPORT": transport}
	}
	before := d.rest.Requests()
	h, _ := try(vars("rest", redistest.RESTToken))
	assert.True(t, h.Connected)
	assert.Equal(t, "pubsub", h.Masters[0].Hearing)
	assert.Greater(t, d.rest.Requests(), before)
	assert.EqualValues(t, 1, d.Server.Client().Exists(bg, "t:k").Val())

	h, log := try(vars("rest", "another-"+secret))
	assert.False(t, h.Connected)
	assert.Contains(t, log, "WRONGPASS")

	l, err := net.Listen("tcp", "127.0.0.1:6379")
	if err != nil {
		t.Skip("the rest wants port 6379 to be free: ", err)
	}
	defer l.Close()
	dialled := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			dialled <- struct{}{}
			_ = c.Close()
		}
	}()
	h, _ = try(vars("tcp", redistest.RESTToken))
	assert.False(t, h.Connected)
	<-dialled
	before = d.rest.Requests()
	_, _ = try(vars("", redistest.RESTToken))
	assert.Greater(t, d.rest.Requests(), before, "auto tried TCP, then REST")
	<-dialled
}

func TestFromEnvAsksNobody(t *testing.T) {
	d := newDatabase(t)
	before := d.rest.Requests()
	cfg, _, err := fromEnv(t, map[string]string{"UPSTASH_REDIS_REST_URL": d.rest.URL(), "UPSTASH_REDIS_REST_TOKEN": redistest.RESTToken})
	require.NoError(t, err)
	require.NotNil(t, cfg.Redis)
	assert.Equal(t, before, d.rest.Requests())
}

func TestEachVariableOfAHostIsUsed(t *testing.T) {
	s := redistest.Start(t, "--requirepass", secret)
	require.NoError(t, s.Client().Do(bg, "ACL", "SETUSER", "ann", "on", ">"+secret+"2", "allkeys", "allchannels", "allcommands").Err())
	host, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		vars map[string]string
		db   int
		ok   bool
	}{
		"all":                  {map[string]string{"REDIS_HOST": host, "REDIS_PORT": port, "REDIS_USERNAME": "ann", "REDIS_PASSWORD": secret + "2", "REDIS_DB": "3"}, 3, true},
		"another database":     {map[string]string{"REDIS_HOST": host, "REDIS_PORT": port, "REDIS_PASSWORD": secret}, 0, true},
		"another user":         {map[string]string{"REDIS_HOST": host, "REDIS_PORT": port, "REDIS_USERNAME": "bob", "REDIS_PASSWORD": secret + "2"}, 0, false},
		"another password":     {map[string]string{"REDIS_HOST": host, "REDIS_PORT": port, "REDIS_USERNAME": "ann", "REDIS_PASSWORD": secret}, 0, false},
		"another port":         {map[string]string{"REDIS_HOST": host, "REDIS_PORT": "1", "REDIS_PASSWORD": secret}, 0, false},
		"another host":         {map[string]string{"REDIS_HOST": "127.0.0.2", "REDIS_PORT": port, "REDIS_PASSWORD": secret}, 0, false},
		"a URL":                {map[string]string{"REDIS_URL": "redis://ann:" + secret + "2@" + s.Addr() + "/4"}, 4, true},
		"a URL of another one": {map[string]string{"REDIS_URL": "redis://ann:x@" + s.Addr() + "/4"}, 4, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _, err := fromEnv(t, c.vars)
			require.NoError(t, err)
			cfg.Prefix, cfg.ReadTimeout, cfg.WriteTimeout = strconv.Itoa(c.db)+name[:1]+":", 10*time.Second, 10*time.Second
			tiers := open(t, cfg)
			_, err = newCache(t, tiers, tiercache.Options[int]{}).GetOrLoad(bg, name, value(1))
			require.NoError(t, err)
			require.NoError(t, tiers.Close())
			raw := redis.NewClient(&redis.Options{Addr: s.Addr(), Password: secret, DB: c.db})
			defer raw.Close()
			assert.Equal(t, c.ok, raw.Exists(bg, cfg.Prefix+name).Val() == 1)
		})
	}
}
