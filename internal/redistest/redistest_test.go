package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		os.Exit(orphan())
	}
	goleak.VerifyTestMain(m)
}

func TestAServerKeepsItsPortOverARestart(t *testing.T) {
	t.Parallel()
	s := Start(t)
	ctx, client, addr := t.Context(), s.Client(), s.Addr()
	require.NoError(t, client.Set(ctx, "k", "v", 0).Err())

	s.Kill()
	s.Kill()
	_, err := net.DialTimeout("tcp", addr, time.Second)
	require.Error(t, err, "nobody listens when Kill has returned")

	s.Restart()
	assert.Equal(t, addr, s.Addr())
	assert.ErrorIs(t, client.Get(ctx, "k").Err(), redis.Nil, "nothing was persisted")

	require.NoError(t, client.Set(ctx, "k", "saved", 0).Err())
	require.NoError(t, client.Save(ctx).Err())
	s.Restart()
	assert.Equal(t, "saved", client.Get(ctx, "k").Val(), "what was saved on purpose is there")
}

func TestAPausedServerAnswersNobodyUntilItResumes(t *testing.T) {
	t.Parallel()
	s := Start(t)
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer conn.Close()

	s.Pause()
	_, err = conn.Write([]byte("PING\r\n"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)

	s.Resume()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "+PONG\r\n", line)

	s.Pause()
	s.Kill() // a paused one can be killed
	s.Restart()
	assert.Equal(t, "PONG", s.Client().Ping(t.Context()).Val())
}

func TestArgumentsReachTheServer(t *testing.T) {
	t.Parallel()
	s := Start(t, "--maxmemory", "3mb", "--requirepass", "open sesame")
	got := s.Client().ConfigGet(t.Context(), "maxmemory").Val()
	assert.Equal(t, map[string]string{"maxmemory": strconv.Itoa(3 << 20)}, got)
}

func TestAPortThatIsTakenIsNotMistakenForTheServers(t *testing.T) {
	t.Parallel()
	other := Start(t)
	s := &Server{t: t, binary: lookup(t), dir: t.TempDir(), port: other.port}
	require.ErrorIs(t, s.run(), errPortTaken)
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	s := &Server{t: t, binary: lookup(t), dir: t.TempDir(), port: freePort(t), args: []string{"--maxmemory-policy", "sometimes"}}
	require.ErrorContains(t, s.run(), "redis-server ended at once")
}

func TestWithoutRedisServerATestSkipsUnlessItMustNot(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("TIERCACHE_REQUIRE_REDIS", "")
	skipped := &recorder{TB: t}
	skipped.run(func() { Start(skipped) })
	assert.Equal(t, "skip", skipped.verdict)
	assert.Contains(t, skipped.reason, "redis-server is not on PATH: ")

	t.Setenv("TIERCACHE_REQUIRE_REDIS", "1")
	failed := &recorder{TB: t}
	failed.run(func() { Start(failed) })
	assert.Equal(t, "fatal", failed.verdict)
	assert.Contains(t, failed.reason, "redis-server is not on PATH: ")

	t.Setenv("TIERCACHE_REQUIRE_REDIS", "0")
	off := &recorder{TB: t}
	off.run(func() { Start(off) })
	assert.Equal(t, "skip", off.verdict)
	assert.Contains(t, off.reason, "TIERCACHE_REQUIRE_REDIS=0")
}

// recorder is a test whose end is noted.
type recorder struct {
	testing.TB
	verdict, reason string
}

func (r *recorder) Skip(args ...any)  { r.end("skip", args) }
func (r *recorder) Fatal(args ...any) { r.end("fatal", args) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.end("fatal", []any{fmt.Sprintf(format, args...)})
}

func (r *recorder) end(verdict string, args []any) {
	r.verdict, r.reason = verdict, fmt.Sprint(args...)
	panic(r)
}

func (r *recorder) run(test func()) {
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
	}()
	test()
}

func TestAClusterOfThreeAnswersForEverySlot(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3)
	require.Len(t, c.Addrs(), 3)
	ctx, client := t.Context(), c.Client()

	for i := range 300 {
		key := "key:" + strconv.Itoa(i)
		require.NoError(t, client.Set(ctx, key, i, 0).Err())
		require.Equal(t, strconv.Itoa(i), client.Get(ctx, key).Val())
	}
	for i, node := range c.Nodes() {
		n, err := node.Client().DBSize(ctx).Result()
		require.NoError(t, err)
		assert.Greater(t, n, int64(50), "master %d has its third", i)
	}
}

func TestASlotMovesWithItsKeys(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3)
	ctx, client := t.Context(), c.Client()
	const key = "key:1"
	require.NoError(t, client.Set(ctx, key, "v", 0).Err())
	slot := int(client.ClusterKeySlot(ctx, key).Val())
	from := slot * 3 / Slots
	to := (from + 1) % 3

	c.MoveSlot(slot, from, to)
	err := c.Nodes()[from].Client().Get(ctx, key).Err()
	require.ErrorContains(t, err, fmt.Sprintf("MOVED %d %s", slot, c.Addrs()[to]))
	assert.Equal(t, "v", c.Nodes()[to].Client().Get(ctx, key).Val())
	assert.Equal(t, "v", client.Get(ctx, key).Val(), "a client follows")
}

const orphanEnv = "REDISTEST_ORPHAN"

// orphan starts a server, tells its address, and waits to be killed.
func orphan() int {
	proc, err := startProcess(os.Getenv(orphanEnv), []string{"--port", os.Args[1], "--bind", "127.0.0.1", "--save", ""})
	if err != nil {
		return 1
	}
	fmt.Println(proc.pid)
	<-proc.exited
	return 1
}

func TestAServerDiesWithTheTestBinary(t *testing.T) {
	t.Parallel()
	if dieWithParent() == nil {
		t.Skip("this system has no way to do that")
	}
	s := &Server{t: t, port: freePort(t)}
	test := exec.CommandContext(t.Context(), os.Args[0], strconv.Itoa(s.port))
	test.Env = append(os.Environ(), orphanEnv+"="+lookup(t))
	test.Dir = t.TempDir()
	out, err := test.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, test.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	eventually(t, func() bool { return fmt.Sprintln(s.answeredBy()) == line })

	require.NoError(t, test.Process.Kill())
	_ = test.Wait()
	eventually(t, func() bool { return s.answeredBy() == 0 })
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it has not come to pass")
		}
	}
}
