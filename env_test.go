package tiercache_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// The environment belongs to the whole process, so nothing here is parallel.

const secret = "hunter2"

var environment = []string{
	"REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS",
	"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "UPSTASH_TRANSPORT",
}

// fromEnv calls FromEnv in an environment of vars alone, and returns what was
// logged too.
func fromEnv(t *testing.T, vars map[string]string) (cfg tiercache.Config, logged string, err error) {
	t.Helper()
	for _, name := range environment {
		t.Setenv(name, "") // restored at the end of the test
		require.NoError(t, os.Unsetenv(name))
	}
	for name, v := range vars {
		t.Setenv(name, v)
	}
	var log bytes.Buffer
	old := slog.Default()
	defer slog.SetDefault(old)
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	cfg, err = tiercache.FromEnv()
	if cfg.Redis != nil {
		t.Cleanup(func() { _ = cfg.Redis.Close() })
	}
	assert.NotContains(t, log.String(), secret)
	assert.NotContains(t, fmt.Sprintf("%+v %v", cfg, cfg.Redis), secret)
	return cfg, log.String(), err
}

func TestTheEnvironmentSaysHowToReachRedis(t *testing.T) {
	cases := map[string]struct {
		vars    map[string]string
		addr    string // "": memory only
		user    string
		pass    string
		db      int
		tls     string // server name
		ignored []string
	}{
		"nothing":      {},
		"empty values": {vars: map[string]string{"REDIS_URL": "", "REDIS_HOST": "", "REDIS_PORT": "", "UPSTASH_REDIS_REST_URL": ""}},
		"URL": {
			vars: map[string]string{"REDIS_URL": "redis://ann:" + secret + "@example.com:7000/3"},
			addr: "example.com:7000", user: "ann", pass: secret, db: 3,
		},
		"URL with TLS": {
			vars: map[string]string{"REDIS_URL": "rediss://:" + secret + "@example.com"},
			addr: "example.com:6379", pass: secret, tls: "example.com",
		},
		"host alone": {vars: map[string]string{"REDIS_HOST": "example.com"}, addr: "example.com:6379"},
		"host and all": {
			vars: map[string]string{"REDIS_HOST": "example.com", "REDIS_PORT": "7000", "REDIS_USERNAME": "ann", "REDIS_PASSWORD": secret, "REDIS_DB": "3", "REDIS_TLS": "true"},
			addr: "example.com:7000", user: "ann", pass: secret, db: 3, tls: "example.com",
		},
		"TLS off":                    {vars: map[string]string{"REDIS_HOST": "example.com", "REDIS_TLS": "0"}, addr: "example.com:6379"},
		"an IPv6 address":            {vars: map[string]string{"REDIS_HOST": "::1"}, addr: "[::1]:6379"},
		"one in brackets":            {vars: map[string]string{"REDIS_HOST": "[::1]"}, addr: "[::1]:6379"},
		"a password with everything": {vars: map[string]string{"REDIS_HOST": "h", "REDIS_PASSWORD": "p@:/?#[]% " + secret}, addr: "h:6379", pass: "p@:/?#[]% " + secret},
		"URL before host": {
			vars: map[string]string{"REDIS_URL": "redis://one", "REDIS_HOST": "two", "REDIS_PORT": "1", "REDIS_PASSWORD": secret},
			addr: "one:6379", ignored: []string{"REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"},
		},
		"URL before the rest of a host": {
			vars: map[string]string{"REDIS_URL": "redis://one", "REDIS_TLS": "true"},
			addr: "one:6379", ignored: []string{"REDIS_TLS"},
		},
		"URL before REST": {
			vars: map[string]string{"REDIS_URL": "redis://one", "UPSTASH_REDIS_REST_URL": "https://x", "UPSTASH_REDIS_REST_TOKEN": secret},
			addr: "one:6379", ignored: []string{"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"},
		},
		"host before REST": {
			vars: map[string]string{"REDIS_HOST": "two", "UPSTASH_REDIS_REST_URL": "https://x", "UPSTASH_REDIS_REST_TOKEN": secret},
			addr: "two:6379", ignored: []string{"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"},
		},
		"all three": {
			vars: map[string]string{"REDIS_URL": "redis://one", "REDIS_HOST": "two", "UPSTASH_REDIS_REST_URL": "https://x", "UPSTASH_TRANSPORT": "no"},
			addr: "one:6379", ignored: []string{"REDIS_HOST", "UPSTASH_REDIS_REST_URL", "UPSTASH_TRANSPORT"},
		},
		"REST": {
			vars: map[string]string{"UPSTASH_REDIS_REST_URL": "https://x.upstash.io", "UPSTASH_REDIS_REST_TOKEN": secret},
			addr: "x.upstash.io:6379", user: "default", pass: secret,
		},
		"REST alone": {
			vars: map[string]string{"UPSTASH_REDIS_REST_URL": "https://x.upstash.io/", "UPSTASH_REDIS_REST_TOKEN": secret, "UPSTASH_TRANSPORT": "rest"},
			addr: "x.upstash.io:6379", user: "default", pass: secret,
		},
		"REST by TCP": {
			vars: map[string]string{"UPSTASH_REDIS_REST_URL": "https://x.upstash.io:443", "UPSTASH_REDIS_REST_TOKEN": secret, "UPSTASH_TRANSPORT": "tcp"},
			addr: "x.upstash.io:6379", user: "default", pass: secret, tls: "x.upstash.io",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg, logged, err := fromEnv(t, c.vars)
			require.NoError(t, err)
			assert.Empty(t, cfg.Prefix)
			if c.addr == "" {
				assert.Nil(t, cfg.Redis)
			} else {
				o := cfg.Redis.(*redis.Client).Options()
				assert.Equal(t, c.addr, o.Addr)
				assert.Equal(t, c.user, o.Username)
				assert.Equal(t, c.pass, o.Password)
				assert.Equal(t, c.db, o.DB)
				if c.tls == "" {
					assert.Nil(t, o.TLSConfig)
				} else if assert.NotNil(t, o.TLSConfig) {
					assert.Equal(t, c.tls, o.TLSConfig.ServerName)
					assert.GreaterOrEqual(t, o.TLSConfig.MinVersion, uint16(tls.VersionTLS12))
					assert.False(t, o.TLSConfig.InsecureSkipVerify)
				}
			}
			if len(c.ignored) == 0 {
				assert.Empty(t, logged)
			}
			for _, name := range environment {
				_, after, warned := strings.Cut(logged, "are not: ")
				assert.Equal(t, len(c.ignored) > 0, warned)
				assert.Equal(t, contains(c.ignored, name), strings.Contains(after, name), "%s in %q", name, logged)
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func TestAnEnvironmentThatCannotBeReadIsAnErrorWithoutItsSecrets(t *testing.T) {
	host := func(name, v string) map[string]string {
		return map[string]string{"REDIS_HOST": "example.com", "REDIS_PASSWORD": secret, name: v}
	}
	url := func(v string) map[string]string { return map[string]string{"REDIS_URL": v} }
	rest := func(name, v string) map[string]string {
		vars := map[string]string{"UPSTASH_REDIS_REST_URL": "https://x.upstash.io", "UPSTASH_REDIS_REST_TOKEN": secret}
		vars[name] = v
		return vars
	}
	cases := map[string]struct {
		vars  map[string]string
		names string
	}{
		"URL without a scheme":               {url("example.com:6379"), "REDIS_URL"},
		"URL of another scheme":              {url("http://:" + secret + "@example.com"), "REDIS_URL"},
		"URL with a bad port":                {url("redis://:" + secret + "@example.com:port"), "REDIS_URL"},
		"URL with a secret for port":         {url("redis://example.com:" + secret), "REDIS_URL"},
		"URL with a bad escape":              {url("redis://:%zz" + secret + "@example.com"), "REDIS_URL"},
		"URL with a control byte":            {url("redis://:" + secret + "\n@example.com"), "REDIS_URL"},
		"URL with a bad database":            {url("redis://:" + secret + "@example.com/" + secret), "REDIS_URL"},
		"URL with a bad parameter":           {url("redis://:" + secret + "@example.com?dial_timeout=" + secret), "REDIS_URL"},
		"URL with an unknown one":            {url("redis://example.com?" + secret + "=1"), "REDIS_URL"},
		"URL with fewer than no connections": {url("redis://:" + secret + "@example.com?pool_size=-1"), "REDIS_URL: pool_size"},
		"URL with too many connections":      {url("redis://:" + secret + "@example.com?max_active_conns=9223372036854775807"), "REDIS_URL: max_active_conns"},
		"URL with less than nobody idle":     {url("redis://:" + secret + "@example.com?min_idle_conns=-9223372036854775808"), "REDIS_URL: min_idle_conns"},
		"only the secret":                    {url(secret), "REDIS_URL"},
		"port that is a word":                {host("REDIS_PORT", secret), "REDIS_PORT"},
		"port 0":                             {host("REDIS_PORT", "0"), "REDIS_PORT"},
		"port too large":                     {host("REDIS_PORT", "65536"), "REDIS_PORT"},
		"port below 0":                       {host("REDIS_PORT", "-1"), "REDIS_PORT"},
		"database that is a word":            {host("REDIS_DB", secret), "REDIS_DB"},
		"database below 0":                   {host("REDIS_DB", "-1"), "REDIS_DB"},
		"TLS that is neither":                {host("REDIS_TLS", secret), "REDIS_TLS"},
		"host with a scheme":                 {host("REDIS_HOST", "redis://:"+secret+"@example.com"), "REDIS_HOST"},
		"host with a user":                   {host("REDIS_HOST", secret+"@example.com"), "REDIS_HOST"},
		"host with a port":                   {host("REDIS_HOST", "example.com:6379"), "REDIS_HOST"},
		"password without a host":            {map[string]string{"REDIS_PASSWORD": secret}, "REDIS_PASSWORD"},
		"port without a host":                {map[string]string{"REDIS_PORT": "6379"}, "REDIS_PORT"},
		"REST without its token":             {map[string]string{"UPSTASH_REDIS_REST_URL": "https://x"}, "UPSTASH_REDIS_REST_TOKEN is missing"},
		"a token without its address":        {map[string]string{"UPSTASH_REDIS_REST_TOKEN": secret}, "UPSTASH_REDIS_REST_URL is missing"},
		"a transport alone":                  {map[string]string{"UPSTASH_TRANSPORT": "rest"}, "UPSTASH_REDIS_REST_URL is missing"},
		"another transport":                  {rest("UPSTASH_TRANSPORT", secret), "UPSTASH_TRANSPORT"},
		"REST without TLS":                   {rest("UPSTASH_REDIS_REST_URL", "http://"+secret+".upstash.io"), "UPSTASH_REDIS_REST_URL"},
		"REST that is no URL":                {rest("UPSTASH_REDIS_REST_URL", secret), "UPSTASH_REDIS_REST_URL"},
		"REST with a user":                   {rest("UPSTASH_REDIS_REST_URL", "https://x:"+secret+"@x.upstash.io"), "UPSTASH_REDIS_REST_URL"},
		"REST with a token in it":            {rest("UPSTASH_REDIS_REST_URL", "https://x.upstash.io?_token="+secret), "UPSTASH_REDIS_REST_URL"},
		"a token of two lines":               {rest("UPSTASH_REDIS_REST_TOKEN", secret+"\n"), "UPSTASH_REDIS_REST_TOKEN"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg, _, err := fromEnv(t, c.vars)
			require.ErrorContains(t, err, c.names)
			assert.ErrorContains(t, err, "tiercache: ")
			assert.NotContains(t, err.Error(), secret)
			assert.NotContains(t, fmt.Sprintf("%+v", err), secret)
			assert.Nil(t, cfg.Redis)
		})
	}
}

func TestTheEnvironmentLeadsToARealServer(t *testing.T) {
	s := redistest.Start(t, "--requirepass", secret)
	host, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	for name, vars := range map[string]map[string]string{
		"host": {"REDIS_HOST": host, "REDIS_PORT": port, "REDIS_PASSWORD": secret, "REDIS_DB": "2"},
		"URL":  {"REDIS_URL": "redis://:" + secret + "@" + s.Addr() + "/2"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _, err := fromEnv(t, vars)
			require.NoError(t, err)
			cfg.Prefix = "env-" + name + ":"
			var log bytes.Buffer
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			tiers := open(t, cfg)
			eventuallyConnected(t, tiers)
			cache := newCache(t, tiers, tiercache.Options[int]{})
			_, err = cache.GetOrLoad(bg, "k", value(1))
			require.NoError(t, err)
			require.NoError(t, tiers.Close())
			raw := redis.NewClient(&redis.Options{Addr: s.Addr(), Password: secret, DB: 2})
			defer raw.Close()
			assert.EqualValues(t, 1, raw.Exists(bg, cfg.Prefix+"k").Val())
			assert.NotContains(t, log.String(), secret)
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		cfg, _, err := fromEnv(t, map[string]string{"REDIS_HOST": host, "REDIS_PORT": port, "REDIS_PASSWORD": secret + "x"})
		require.NoError(t, err)
		cfg.Prefix = "t:"
		var log bytes.Buffer
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		tiers := open(t, cfg)
		v, err := newCache(t, tiers, tiercache.Options[int]{}).GetOrLoad(bg, "k", value(1))
		require.NoError(t, err, "the source answers")
		assert.Equal(t, 1, v)
		assert.False(t, tiers.Health().Connected)
		require.NoError(t, tiers.Close())
		assert.NotContains(t, log.String(), secret)
		assert.Contains(t, log.String(), "WRONGPASS")
	})
}

// user:password in the place of the host: it must not be repeated
func TestAHostThatIsUserAndPasswordIsNotRepeated(t *testing.T) {
	for _, v := range []string{"ann:" + secret, ":" + secret} {
		_, _, err := fromEnv(t, map[string]string{"REDIS_HOST": v})
		require.ErrorContains(t, err, "REDIS_HOST")
		assert.NotContains(t, err.Error(), secret)
	}
}

// FromEnv's client is only options: it must not make connections that nobody closes.
func TestAURLThatWouldOpenConnectionsAtOnceIsRefused(t *testing.T) {
	_, _, err := fromEnv(t, map[string]string{"REDIS_URL": "redis://:" + secret + "@127.0.0.1:1?min_idle_conns=3"})
	require.ErrorContains(t, err, "min_idle_conns")
	assert.NotContains(t, err.Error(), secret)
}

func TestAURLOfUpstashWithoutTLSIsUsedWithIt(t *testing.T) {
	for url, upgraded := range map[string]bool{
		"redis://default:" + secret + "@x.upstash.io:6379":      true,
		"redis://default:" + secret + "@X.Upstash.IO":           true,
		"rediss://default:" + secret + "@x.upstash.io:6379":     false,
		"redis://default:" + secret + "@fly-x.upstash.io:6379":  false,
		"redis://default:" + secret + "@x.upstash.io.example":   false,
		"redis://default:" + secret + "@notupstash.io.io:6379/": false,
	} {
		cfg, logged, err := fromEnv(t, map[string]string{"REDIS_URL": url})
		require.NoError(t, err, url)
		assert.Equal(t, upgraded, strings.Contains(logged, "wants TLS"), "%s: %s", url, logged)
		o := cfg.Redis.(*redis.Client).Options()
		assert.Equal(t, strings.HasPrefix(url, "rediss") || upgraded, o.TLSConfig != nil, url)
		if upgraded {
			assert.Equal(t, "x.upstash.io", o.TLSConfig.ServerName)
		}
	}
}
