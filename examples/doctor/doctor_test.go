package main

import (
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment leaves only these variables of those that name a Redis.
func environment(t *testing.T, pairs ...string) {
	t.Helper()
	for _, name := range []string{"REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS",
		"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"} {
		t.Setenv(name, "")
	}
	for i := 0; i < len(pairs); i += 2 {
		t.Setenv(pairs[i], pairs[i+1])
	}
}

func diagnose(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errs strings.Builder
	err := run(context.Background(), args, &out, &errs)
	text := out.String()
	if err != nil {
		text += err.Error()
	}
	return text, err
}

func TestTheDoctorFindsAHealthyServerWellAndLeavesNothingBehind(t *testing.T) {
	m := miniredis.RunT(t)
	environment(t, "REDIS_URL", "redis://"+m.Addr()+"/0")
	text, err := diagnose(t, "-prefix", "shop:")
	require.NoError(t, err, text)
	for _, want := range []string{m.Addr(), "PING ", "SET ", "GET ", "EVAL ", "all that it needs", "mode single", "value stored yes"} {
		assert.Contains(t, text, want)
	}
	assert.Empty(t, m.Keys())
}

func TestTheDoctorNamesWhatIsWrongWithoutItsSecrets(t *testing.T) {
	locked := miniredis.RunT(t)
	locked.RequireUserAuth("ann", "right-password")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"nothing set":       {nil, "REDIS_URL"},
		"nobody listens":    {[]string{"REDIS_URL", "redis://ann:s3cret-word@" + closed.Addr().String()}, "no answer"},
		"wrong password":    {[]string{"REDIS_URL", "redis://ann:s3cret-word@" + locked.Addr()}, "no answer"},
		"not a URL":         {[]string{"REDIS_URL", "http://ann:s3cret-word@example.com"}, "REDIS_URL"},
		"port out of range": {[]string{"REDIS_HOST", "127.0.0.1", "REDIS_PORT", "99999", "REDIS_PASSWORD", "s3cret-word"}, "REDIS_PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, c.env...)
			began := time.Now()
			text, err := diagnose(t)
			require.Error(t, err)
			assert.Contains(t, text, c.want)
			assert.NotContains(t, text, "s3cret")
			assert.Less(t, time.Since(began), 8*time.Second)
		})
	}
}

func TestTheDoctorReportsEveryCommandThatIsForbidden(t *testing.T) {
	client := redisServer(t)
	ctx := context.Background()
	require.NoError(t, client.Do(ctx, "ACL", "SETUSER", "poor", "on", ">pw", "~shop:*", "&*", "+@all", "-scan", "-info", "-unlink").Err())
	environment(t, "REDIS_URL", "redis://poor:pw@"+client.Options().Addr)
	text, err := diagnose(t, "-prefix", "shop:")
	require.Error(t, err)
	for _, command := range []string{"SCAN", "UNLINK"} {
		assert.Regexp(t, "NOPERM +"+command+"\n", text)
	}
	assert.Regexp(t, "NOPERM +INFO: a restart", text)
	assert.NotRegexp(t, "NOPERM +(GET|SET|EVAL)\n", text)
	assert.NotContains(t, text, "pw")

	// A user who is bound to another prefix can do nothing with this one.
	text, err = diagnose(t, "-prefix", "other:")
	require.Error(t, err)
	assert.Regexp(t, "NOPERM +GET\n", text)
}

func TestTheDoctorSaysWhatARealServerIs(t *testing.T) {
	client := redisServer(t)
	environment(t, "REDIS_URL", "redis://"+client.Options().Addr)
	text, err := diagnose(t)
	require.NoError(t, err, text)
	for _, want := range []string{`server +redis\n`, `version +\d+\.\d+`, `mode +standalone, master`, `stamp +\S+`} {
		assert.Regexp(t, want, text)
	}
	left, err := client.Keys(context.Background(), "*").Result()
	require.NoError(t, err)
	assert.Empty(t, left)
}

// redisServer starts a redis-server of the test's own: miniredis has no ACLs
// and says little of itself.
func redisServer(t *testing.T) *redis.Client {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on PATH")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	require.NoError(t, free.Close())
	cmd := exec.Command(binary, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir())
	require.NoError(t, cmd.Start())
	client := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() {
		require.NoError(t, client.Close())
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool { return client.Ping(context.Background()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
	return client
}

// What the library can do without is said, and no failure; what it cannot is one.
func TestTheDoctorsVerdictIsTheLibrarys(t *testing.T) {
	client := redisServer(t)
	ctx := context.Background()
	for name, c := range map[string]struct {
		rules []any
		works bool
	}{
		"the commands it lists":    {[]any{"-@all", "+set", "+get", "+getrange", "+pexpire", "+eval", "+evalsha", "+scan", "+info", "+time", "+cluster|slots", "+unlink", "+hello", "+ping"}, true},
		"no INFO":                  {[]any{"+@all", "-info"}, true},
		"no SCRIPT":                {[]any{"+@all", "-script"}, true},
		"no EVALSHA":               {[]any{"+@all", "-evalsha"}, false},
		"neither EVALSHA nor EVAL": {[]any{"+@all", "-evalsha", "-eval"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			rules := append([]any{"ACL", "SETUSER", "user", "reset", "on", ">pw", "~demo:*"}, c.rules...)
			require.NoError(t, client.Do(ctx, rules...).Err())
			environment(t, "REDIS_URL", "redis://user:pw@"+client.Options().Addr)
			text, err := diagnose(t)
			if c.works {
				require.NoError(t, err, text)
				assert.Contains(t, text, "value stored yes")
			} else {
				require.Error(t, err, text)
				assert.Contains(t, text, "value stored no")
			}
		})
	}
}
