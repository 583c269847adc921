package main

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment leaves only these variables of those that name a Redis.
func environment(t *testing.T, pairs ...string) {
	t.Helper()
	for _, name := range []string{"REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS",
		"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "UPSTASH_TRANSPORT"} {
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
	for _, want := range []string{m.Addr(), "PING ", "SET ", "GET ", "EVAL ", "mode single", "value stored yes",
		"hearing      pubsub, memory serves yes", "missing      CLIENT TRACKING: what others"} {
		assert.Contains(t, text, want)
	}
	assert.Subset(t, shared("shop:"), m.Keys())
}

// shared is what every process with the prefix has in common, and is no doctor's to
// remove.
func shared(prefix string) []string {
	return []string{prefix + "~all", prefix + "~clock", prefix + "~seq"}
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
		"nobody listens":    {[]string{"REDIS_URL", "redis://ann:s3cret-word@" + closed.Addr().String()}, "no answer from Redis: nobody listens"},
		"wrong password":    {[]string{"REDIS_URL", "redis://ann:s3cret-word@" + locked.Addr()}, "no answer from Redis: the password is wrong, or the user's name (WRONGPASS)"},
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
	client := redistest.Start(t).Client()
	ctx := context.Background()
	require.NoError(t, client.Do(ctx, "ACL", "SETUSER", "poor", "on", ">pw", "~shop:*", "&*", "+@all", "-scan", "-info", "-unlink").Err())
	environment(t, "REDIS_URL", "redis://poor:pw@"+client.Options().Addr)
	text, err := diagnose(t, "-prefix", "shop:")
	require.Error(t, err)
	assert.Regexp(t, "NOPERM +UNLINK: the library cannot work", text)
	assert.Regexp(t, "NOPERM +SCAN: an invalidation by pattern", text)
	assert.Regexp(t, "NOPERM +INFO: a restart", text)
	assert.NotRegexp(t, "NOPERM +(GET|SET|EVAL):", text)
	assert.NotContains(t, text, "pw")

	// A user who is bound to another prefix can do nothing with this one.
	text, err = diagnose(t, "-prefix", "other:")
	require.Error(t, err)
	assert.Regexp(t, "NOPERM +GET:", text)
}

func TestTheDoctorSaysWhatARealServerIs(t *testing.T) {
	client := redistest.Start(t).Client()
	environment(t, "REDIS_URL", "redis://"+client.Options().Addr)
	text, err := diagnose(t)
	require.NoError(t, err, text)
	for _, want := range []string{`server +redis\n`, `version +\d+\.\d+`, `mode +standalone, master`, `stamp +\S+`, `hearing +tracking, memory serves yes`} {
		assert.Regexp(t, want, text)
	}
	left, err := client.Keys(context.Background(), "*").Result()
	require.NoError(t, err)
	assert.Subset(t, shared("demo:"), left)
}

// least is the smallest ACL with which the library does everything it can.
var least = []any{"-@all", "&demo:~*", "+ping", "+info", "+time", "+client|tracking", "+subscribe", "+publish", "+pubsub|numsub",
	"+eval", "+evalsha", "+get", "+getrange", "+mget", "+set", "+setrange", "+pexpire", "+unlink", "+scan", "+touch"}

// What the library can do without is said, and no failure; what it cannot is one.
func TestTheDoctorsVerdictIsTheLibrarys(t *testing.T) {
	client := redistest.Start(t).Client()
	ctx := context.Background()
	without := func(commands ...any) (rules []any) {
		for _, r := range least {
			if !slices.Contains(commands, r) {
				rules = append(rules, r)
			}
		}
		return rules
	}
	for name, c := range map[string]struct {
		rules []any
		works bool
		says  []string
	}{
		"everything":       {[]any{"+@all", "&*"}, true, []string{"hearing +tracking, memory serves yes", "all that it uses"}},
		"the least":        {least, true, []string{"hearing +tracking, memory serves yes", "all that it uses"}},
		"no CLIENT":        {without("+client|tracking"), true, []string{"hearing +pubsub, memory serves yes", "NOPERM +CLIENT TRACKING: what others"}},
		"no SUBSCRIBE":     {without("+subscribe"), true, []string{"hearing +none, memory serves no", "NOPERM +SUBSCRIBE: nothing is heard"}},
		"no channels":      {append(without(), "resetchannels"), true, []string{"hearing +none, memory serves no", "NOPERM +SUBSCRIBE: nothing is heard"}},
		"no INFO":          {without("+info"), true, []string{"stamp +none", "NOPERM +INFO: a restart"}},
		"no SCAN":          {without("+scan"), true, []string{"NOPERM +SCAN: an invalidation by pattern"}},
		"no PUBLISH":       {without("+publish"), true, []string{"hearing +tracking", "NOPERM +PUBLISH: nodes in mode pubsub"}},
		"no PING":          {without("+ping"), true, []string{"hearing +connecting, memory serves no", "NOPERM +PING: nothing is known"}},
		"no TOUCH":         {without("+touch"), true, []string{"NOPERM +TOUCH: a server that evicts"}},
		"no NUMSUB":        {without("+pubsub|numsub"), true, []string{"NOPERM +PUBSUB NUMSUB: every invalidation"}},
		"no EVAL":          {without("+eval"), false, []string{"NOPERM +EVAL: the library cannot"}},
		"no EVALSHA":       {without("+evalsha"), false, []string{"NOPERM +EVALSHA: the library cannot", "value stored no"}},
		"no TIME":          {without("+time"), false, []string{"NOPERM +TIME: the library cannot"}},
		"no GETRANGE":      {without("+getrange"), false, []string{"NOPERM +GETRANGE: the library cannot"}},
		"no MGET":          {without("+mget"), true, []string{"NOPERM +MGET: calls for many keys"}},
		"no SETRANGE":      {without("+setrange"), false, []string{"NOPERM +SETRANGE: the library cannot"}},
		"pubsub, but mute": {without("+client|tracking", "+publish"), false, []string{"NOPERM +PUBLISH: the library cannot"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, client.ScriptFlush(ctx).Err())
			require.NoError(t, client.Do(ctx, append([]any{"ACL", "SETUSER", "user", "reset", "on", ">pw", "~demo:*"}, c.rules...)...).Err())
			environment(t, "REDIS_URL", "redis://user:pw@"+client.Options().Addr)
			text, err := diagnose(t)
			if c.works {
				require.NoError(t, err, text)
				assert.Contains(t, text, "value stored yes")
			} else {
				require.Error(t, err, text)
			}
			for _, want := range c.says {
				assert.Regexp(t, want, text)
			}
		})
	}
}
