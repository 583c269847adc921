package restconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/glob"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestCommandsAndTheirAnswersPass(t *testing.T) {
	t.Parallel()
	c, direct, _ := overREST(t)
	assert.Equal(t, "PONG", c.Ping(bg).Val())
	require.NoError(t, c.Set(bg, "k", "OK", time.Minute).Err())
	assert.Equal(t, "OK", c.Get(bg, "k").Val())
	assert.ErrorIs(t, c.Get(bg, "none").Err(), redis.Nil)
	require.NoError(t, c.Set(bg, "empty", "", 0).Err())
	assert.Equal(t, []any{"OK", nil, ""}, c.MGet(bg, "k", "none", "empty").Val())
	assert.Greater(t, c.PTTL(bg, "k").Val(), 50*time.Second)
	assert.False(t, c.SetNX(bg, "k", "x", time.Minute).Val())
	assert.EqualError(t, c.Incr(bg, "k").Err(), "ERR value is not an integer or out of range")
	require.NoError(t, c.HSet(bg, "h", "a", "1").Err())
	assert.Equal(t, map[string]string{"a": "1"}, c.HGetAll(bg, "h").Val())
	require.NoError(t, c.ZAdd(bg, "z", redis.Z{Score: 1.5, Member: "m"}).Err())
	assert.Equal(t, []redis.Z{{Score: 1.5, Member: "m"}}, c.ZRangeWithScores(bg, "z", 0, -1).Val())
	assert.Contains(t, c.Info(bg, "server").Val(), "redis_version")
	now, err := c.Time(bg).Result()
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), now, time.Minute)
	assert.Equal(t, map[string]int64{"x": 0}, c.PubSubNumSub(bg, "x").Val())
	assert.Equal(t, "OK", direct.Get(bg, "k").Val(), "the server has what was written")
}

func TestPipelinesOfAnySizeAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	c, _, rest := overREST(t)
	require.NoError(t, c.Ping(bg).Err())
	before := rest.Requests()
	const n = 2*mostCommands + 7
	value := strings.Repeat("x", 300)
	p := c.Pipeline()
	for i := range n {
		p.Set(bg, fmt.Sprint("p", i), value, time.Minute)
	}
	missing, wrong, last := p.Get(bg, "nope"), p.LPush(bg, "p7", 1), p.Get(bg, "p7")
	_, err := p.Exec(bg)
	assert.ErrorIs(t, err, redis.Nil)
	assert.ErrorIs(t, missing.Err(), redis.Nil)
	assert.ErrorContains(t, wrong.Err(), "WRONGTYPE")
	assert.Equal(t, value, last.Val())
	assert.LessOrEqual(t, rest.Requests()-before, 4)
	assert.EqualValues(t, n, c.DBSize(bg).Val())
}

func TestTransactionsAreOneRequest(t *testing.T) {
	t.Parallel()
	c, _, rest := overREST(t)
	require.NoError(t, c.Ping(bg).Err())
	before := rest.Requests()
	tx := c.TxPipeline()
	a, b, d, e := tx.Set(bg, "t", "1", 0), tx.Incr(bg, "t"), tx.Get(bg, "nope"), tx.LPush(bg, "t", "x")
	_, err := tx.Exec(bg)
	require.ErrorIs(t, err, redis.Nil)
	assert.Equal(t, "OK", a.Val())
	assert.EqualValues(t, 2, b.Val())
	assert.ErrorIs(t, d.Err(), redis.Nil)
	assert.ErrorContains(t, e.Err(), "WRONGTYPE")
	assert.Equal(t, 1, rest.Requests()-before)

	tx = c.TxPipeline()
	tx.Set(bg, "t2", "1", 0)
	tx.ClientID(bg)
	_, err = tx.Exec(bg)
	require.Error(t, err)
	tx = c.TxPipeline()
	tx.Set(bg, "t2", "1", 0)
	tx.Do(bg, "NOSUCHCOMMAND")
	_, err = tx.Exec(bg)
	require.Error(t, err)
	assert.Zero(t, c.Exists(bg, "t2").Val(), "all or nothing")
	assert.Equal(t, "PONG", c.Ping(bg).Val(), "answers are still in step")
}

func TestScriptsGiveBackWhatTheyReturn(t *testing.T) {
	t.Parallel()
	c, _, _ := overREST(t)
	s := redis.NewScript(`redis.call('SET', KEYS[1], ARGV[1]); return {redis.call('GET', KEYS[1]), 1, false, redis.status_reply('FINE'), redis.error_reply('ERR not so'), {}}`)
	v, err := s.Run(bg, c, []string{"k"}, "\xff\xfe\x00").Slice()
	require.NoError(t, err)
	require.Len(t, v, 6)
	assert.Equal(t, []any{"\xff\xfe\x00", int64(1), nil, "FINE"}, v[:4])
	assert.EqualError(t, v[4].(error), "ERR not so")
	assert.ErrorContains(t, c.EvalSha(bg, strings.Repeat("0", 40), nil).Err(), "NOSCRIPT")
}

func TestBytesComeBack(t *testing.T) {
	t.Parallel()
	c, direct, _ := overREST(t)
	random := rand.NewChaCha8([32]byte{1})
	for _, n := range []int{1, 7, 255, 4096, 100_000, 1 << 20} {
		b := make([]byte, n)
		_, _ = random.Read(b)
		require.NoError(t, c.Set(bg, "bytes", b, 0).Err())
		got, err := c.Get(bg, "bytes").Bytes()
		require.NoError(t, err)
		assert.True(t, bytes.Equal(b, got), "%d bytes", n)
	}
	for _, s := range someBytes {
		require.NoError(t, c.Set(bg, "s", s, 0).Err())
		assert.Equal(t, s, c.Get(bg, "s").Val())
	}
	require.NoError(t, direct.Set(bg, "s", "by TCP\xff\x00", 0).Err())
	assert.Equal(t, "by TCP\xff\x00", c.Get(bg, "s").Val(), "and those that were not written over REST")
}

// The library's scripts compare and change the head of a value whose payload may
// be any bytes.
func TestTheHeadOfAValueIsWhereScriptsLookForIt(t *testing.T) {
	t.Parallel()
	c, direct, _ := overREST(t)
	script := func(name string) *redis.Script {
		text, err := os.ReadFile("../remote/scripts/" + name + ".lua")
		require.NoError(t, err)
		return redis.NewScript(string(text))
	}
	acquire, fill, expire, renew := script("acquire"), script("fill"), script("expire"), script("renew")
	head := func(kind, token string) string {
		return "tc1" + kind + "stampstamp1" + strings.Repeat(token, 22) + "cachecache1"
	}
	lease, payload := head("L", "a"), "\xff\x00\xfe\r\n日本\uEF80\x80"
	value := head("V", "a") + strings.Repeat("b", 49) + payload

	require.EqualValues(t, 1, acquire.Run(bg, c, []string{"k"}, lease, 60000, "", 1_000_000).Val())
	require.EqualValues(t, 1, renew.Run(bg, c, []string{"k"}, lease, 60000).Val())
	require.EqualValues(t, 0, fill.Run(bg, c, []string{"k"}, head("L", "x"), value, 60000).Val(), "another's lease")
	require.EqualValues(t, 1, fill.Run(bg, c, []string{"k"}, lease, value, 60000).Val())
	assert.Equal(t, value, c.Get(bg, "k").Val())
	assert.Equal(t, value[:48], c.GetRange(bg, "k", 0, 47).Val())
	assert.Equal(t, value[:48], direct.GetRange(bg, "k", 0, 47).Val())
	assert.Equal(t, value, acquire.Run(bg, c, []string{"k"}, lease, 60000, "", 1_000_000).Val(), "a value is no lease")

	require.EqualValues(t, 1, expire.Run(bg, c, []string{"k"}, strings.Repeat("n", 22)).Val())
	stale := head("O", "n") + value[48:]
	assert.Equal(t, stale, c.Get(bg, "k").Val())
	require.NoError(t, c.SetRange(bg, "k", 3, "V").Err())
	assert.Equal(t, "tc1V"+stale[4:], c.Get(bg, "k").Val())
	require.EqualValues(t, 1, acquire.Run(bg, c, []string{"k"}, lease, 60000, "tc1V"+stale[4:48]).Val(), "rejected by its head")
}

// SCAN finds by bytes, whatever the keys are written as.
func TestScanFindsWhatRedisWouldFind(t *testing.T) {
	t.Parallel()
	c, _, _ := overREST(t)
	keys := []string{"u:1", "u:\xff:1", "u:\xff\xfe", "u:日:1", "u:\xe6:1", "v:\xff", "u:?", "u:", "u:\uEF80:1", `u:\`}
	for _, k := range keys {
		require.NoError(t, c.Set(bg, k, "x", 0).Err())
		assert.Equal(t, "x", c.Get(bg, k).Val())
	}
	for _, pattern := range []string{"*", "u:*", "u:*:1", "u:?:1", "u:??", "u:\xff*", "u:\xe6*", "u:[\xf0-\xff]*", `u:\?`, `u:\` + "\xff*", "u:日:1", "*\xfe", "u:\uEF80*", `u:\\`} {
		var want, got []string
		for _, k := range keys {
			if glob.Match(pattern, k) {
				want = append(want, k)
			}
		}
		for it := c.Scan(bg, 0, pattern, 3).Iterator(); it.Next(bg); {
			got = append(got, it.Val())
		}
		assert.ElementsMatch(t, want, got, "%q", pattern)
	}
}

func TestWhatNeedsAConnectionIsRefused(t *testing.T) {
	t.Parallel()
	c, _, _ := overREST(t)
	cn := c.Conn()
	defer cn.Close()
	assert.ErrorContains(t, cn.Hello(bg, 3, "", "", "").Err(), "NOPROTO")
	assert.ErrorContains(t, cn.ClientTrackingOn(bg, &redis.ClientTrackingOptions{Bcast: true}).Err(), "CLIENT TRACKING is not available")
	assert.ErrorContains(t, cn.BLPop(bg, time.Second, "l").Err(), "BLPOP is not available")
	assert.ErrorContains(t, cn.Select(bg, 1).Err(), "DB index")
	assert.NoError(t, cn.Select(bg, 0).Err())
	assert.ErrorContains(t, cn.Do(bg, "EXEC").Err(), "EXEC without MULTI")
	assert.ErrorContains(t, c.Watch(bg, func(*redis.Tx) error { return nil }, "k"), "WATCH is not available")
	assert.Equal(t, "PONG", cn.Ping(bg).Val())
}

func TestAClientThatAsksForRESP3FallsBack(t *testing.T) {
	t.Parallel()
	_, _, rest := overREST(t)
	d := newDialer(t, rest)
	c := clientOf(t, d, func(o *redis.Options) { o.Protocol = 3; o.Username, o.Password = User, redistest.RESTToken })
	require.NoError(t, c.Set(bg, "k", "v", 0).Err())
	assert.Equal(t, "v", c.Get(bg, "k").Val())
}

func TestManyAtATime(t *testing.T) {
	t.Parallel()
	c, _, _ := overREST(t)
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			k := fmt.Sprint("c", g)
			for i := range 30 {
				v := fmt.Sprint(g, "-", i)
				assert.NoError(t, c.Set(bg, k, v, 0).Err())
				assert.Equal(t, v, c.Get(bg, k).Val())
			}
		})
	}
	all.Wait()
}

func TestADeadlineEndsTheRequestAndTheConnection(t *testing.T) {
	t.Parallel()
	_, _, rest := overREST(t)
	d := newDialer(t, rest)
	cn, err := d.DialContext(bg, "", "")
	require.NoError(t, err)
	defer cn.Close()
	rest.Hang()
	require.NoError(t, cn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = cn.Write([]byte(resp("PING")))
	require.NoError(t, err)
	_, err = cn.Read(make([]byte, 100))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	rest.Pass()
	require.NoError(t, cn.SetReadDeadline(time.Time{}))
	_, err = cn.Read(make([]byte, 100))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "for good: nobody knows whose answer would come")
	_, err = cn.Write([]byte(resp("PING")))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = cn.(*conn).SyscallConn()
	require.Error(t, err)
}

func TestADeadlineThatIsSetWhileItIsReadCounts(t *testing.T) {
	t.Parallel()
	_, _, rest := overREST(t)
	rest.Hang()
	for name, command := range map[string]string{"request": resp("PING"), "nothing to send": ""} {
		t.Run(name, func(t *testing.T) {
			cn, err := newDialer(t, rest).DialContext(bg, "", "")
			require.NoError(t, err)
			defer cn.Close()
			_, _ = cn.Write([]byte(command))
			before := rest.Requests()
			read := make(chan error)
			go func() { _, err := cn.Read(make([]byte, 1)); read <- err }()
			if command != "" {
				soon(t, "the request is under way", func() bool { return rest.Requests() > before })
			}
			require.NoError(t, cn.SetDeadline(time.Now()))
			require.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
		})
	}
}

func TestADeadlineWithNothingAskedBreaksNothing(t *testing.T) {
	t.Parallel()
	_, _, rest := overREST(t)
	cn, err := newDialer(t, rest).DialContext(bg, "", "")
	require.NoError(t, err)
	defer cn.Close()
	require.NoError(t, cn.SetReadDeadline(time.Now()))
	_, err = cn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, cn.SetReadDeadline(time.Now().Add(long)))
	_, err = cn.Write([]byte(resp("ECHO", "hello")))
	require.NoError(t, err)
	got := make([]byte, 100)
	n, err := cn.Read(got)
	require.NoError(t, err)
	assert.Equal(t, "$5\r\nhello\r\n", string(got[:n]))
}

func TestWhatTheServerSaysNoWithIsAnAnswer(t *testing.T) {
	t.Parallel()
	const quota = "ERR max requests limit exceeded. Limit: 500000, Usage: 500000."
	for name, c := range map[string]struct {
		status     int
		text, want string
	}{
		"quota":                  {http.StatusTooManyRequests, quota, quota},
		"quota by another code":  {http.StatusBadRequest, quota, quota},
		"no text that Redis has": {http.StatusTooManyRequests, "slow down", "ERR slow down"},
		"unauthorized":           {http.StatusUnauthorized, "WRONGPASS invalid or missing auth token", "WRONGPASS invalid or missing auth token"},
		"unauthorized by a wall": {http.StatusForbidden, "Forbidden", "NOAUTH ERR Forbidden"},
		"may not":                {http.StatusForbidden, "NOPERM no", "NOPERM no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c1, _, rest := overREST(t)
			rest.Answer(c.status, c.text)
			var answer redis.Error
			for range 3 {
				err := c1.Get(bg, "k").Err()
				require.ErrorAs(t, err, &answer)
				assert.Equal(t, c.want, err.Error())
			}
			_, err := c1.TxPipelined(bg, func(p redis.Pipeliner) error { p.Get(bg, "k"); p.Get(bg, "l"); return nil })
			assert.EqualError(t, err, c.want)
			rest.Pass()
			assert.Equal(t, "PONG", c1.Ping(bg).Val())
			assert.EqualValues(t, 1, c1.PoolStats().TotalConns, "one connection, never broken")
		})
	}
}

func TestAWrongTokenIsAnAnswerThatDoesNotRepeatIt(t *testing.T) {
	t.Parallel()
	_, _, rest := overREST(t)
	c := clientOf(t, newDialer(t, rest, func(c *Config) { c.Token = "hunter2" }))
	err := c.Get(bg, "k").Err()
	require.ErrorContains(t, err, "WRONGPASS")
	rest.Answer(http.StatusInternalServerError, "no: hunter2")
	err = c.Get(bg, "k").Err()
	require.ErrorContains(t, err, "(token)")
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestAServerThatDoesNotAnswerBreaksTheConnection(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(c *redis.Client) error{
		"SET":      func(c *redis.Client) error { return c.Set(bg, "k", "v", 0).Err() },
		"pipeline": func(c *redis.Client) error { _, err := c.Pipelined(bg, two); return err },
		"MULTI":    func(c *redis.Client) error { _, err := c.TxPipelined(bg, two); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, rest := overREST(t)
			require.NoError(t, c.Ping(bg).Err())
			var answer redis.Error
			rest.Answer(http.StatusInternalServerError, "boom")
			err := begin(c)
			require.ErrorIs(t, err, errHTTP)
			require.ErrorContains(t, err, "500: boom")
			rest.Gone()
			err = begin(c)
			require.Error(t, err)
			require.False(t, errors.As(err, &answer), "%v", err)
			rest.Pass()
			require.NoError(t, begin(c))
		})
	}
}

func two(p redis.Pipeliner) error {
	p.Set(bg, "a", "1", 0)
	p.Set(bg, "b", "1", 0)
	return nil
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	_, _, rest := overREST(t)
	rest.Hang()
	cn, err := newDialer(t, rest).DialContext(bg, "", "")
	require.NoError(t, err)
	_, err = cn.Write([]byte(resp("PING")))
	require.NoError(t, err)
	before := rest.Requests()
	read := make(chan error)
	go func() { _, err := cn.Read(make([]byte, 1)); read <- err }()
	soon(t, "the request is under way", func() bool { return rest.Requests() > before })
	require.NoError(t, cn.Close())
	require.Error(t, <-read)
	_, err = cn.Write([]byte("x"))
	require.Error(t, err)
	require.Error(t, cn.Close())
}

func TestADialAsksNobody(t *testing.T) {
	t.Parallel()
	_, _, rest := overREST(t)
	before := rest.Requests()
	ctx, cancel := context.WithCancel(bg)
	cancel()
	cn, err := newDialer(t, rest).DialContext(ctx, "", "")
	require.NoError(t, err)
	assert.Equal(t, before, rest.Requests())
	assert.Equal(t, "https", cn.RemoteAddr().Network())
	require.NoError(t, cn.Close())
}
