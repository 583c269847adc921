package cachetest

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/tiercache/tiercache"
)

// Open returns Tiers for one test, on a miniredis of their own. Both end with
// the test, which fails if Close has anything to report or leaves a goroutine
// behind. change may alter the Config before it is used:
//
//	tiers := cachetest.Open(t, func(c *tiercache.Config) { c.Logger = slog.Default() })
//
// The Prefix is "test:", and the budgets are long enough for a machine that is
// busy with other tests. Tests that use it may run in parallel.
//
// A miniredis has no client tracking and its keys do not expire by themselves;
// see [OpenWithRedis]. What depends on either is tested on a redis-server.
func Open(t testing.TB, change ...func(*tiercache.Config)) *tiercache.Tiers {
	t.Helper()
	tiers, _ := OpenWithRedis(t, change...)
	return tiers
}

// OpenWithRedis is Open for a test that also wants the Redis: to look at what is
// stored, to make it fail, to let time pass in it with FastForward, or to open
// more Tiers on it.
func OpenWithRedis(t testing.TB, change ...func(*tiercache.Config)) (*tiercache.Tiers, *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{
		Addr:                     server.Addr(),
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = client.Close() })
	cfg := tiercache.Config{Redis: client, Prefix: "test:", ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	for _, c := range change {
		c(&cfg)
	}
	mark := strconv.FormatInt(marks.Add(1), 10)
	var tiers *tiercache.Tiers
	var err error
	pprof.Do(context.Background(), pprof.Labels(markLabel, mark), func(context.Context) {
		tiers, err = tiercache.Open(cfg)
	})
	if err != nil {
		t.Fatalf("cachetest: %v", err)
	}
	t.Cleanup(func() {
		t.Helper()
		if err := tiers.Close(); err != nil {
			t.Errorf("cachetest: Close: %v", err)
		}
		if left := leaked(mark); left != "" {
			t.Errorf("cachetest: goroutines that outlived Close:\n%s", left)
		}
	})
	return tiers, server
}

// A goroutine inherits the profiler's labels from the one that starts it. So
// those of one Open can be told from those of tests that run in parallel, which
// a comparison of all goroutines before and after cannot do. The goroutines of
// loads are not among them: they inherit from who asked; Close reports them.
const markLabel = "cachetest"

var marks atomic.Int64

// leaked returns the goroutines that have the mark, once they have had time to
// end: Close has told them all, and waits for those it can wait for.
func leaked(mark string) string {
	for deadline := time.Now().Add(5 * time.Second); ; {
		left := marked(mark)
		if left == "" || time.Now().After(deadline) {
			return left
		}
		wait(context.Background(), 5*time.Millisecond)
	}
}

func marked(mark string) string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	var found []string
	for _, g := range strings.Split(all.String(), "\n\n") {
		if strings.Contains(g, `"`+markLabel+`":"`+mark+`"`) {
			found = append(found, g)
		}
	}
	return strings.Join(found, "\n\n")
}
