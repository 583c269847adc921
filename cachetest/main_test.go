package cachetest_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachetest"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	cachetest.ChildMain(func(arg string, i int) (*tiercache.Tiers, error) {
		client, err := clientOf(strings.TrimSuffix(arg, " apart"), nil)
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(arg, " apart") {
			return tiercache.Open(strict(tiercache.Config{Redis: client, Prefix: "c:"}))
		}
		// Nobody hears of another's invalidations, and everybody believes what he
		// has, however slow the machine is.
		return tiercache.Open(tiercache.Config{
			Redis:          client,
			Prefix:         "c" + strconv.Itoa(i) + ":",
			ReadTimeout:    10 * time.Second,
			WriteTimeout:   10 * time.Second,
			StalenessBound: time.Minute,
		})
	})
	goleak.VerifyTestMain(m)
}

// quiet drops what go-redis says about connections that faults break.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// dialer is that of go-redis's options.
type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// clientOf makes a client of a deployment by its description: "single ADDR",
// "sentinel MASTER ADDR..." or "cluster ADDR...".
func clientOf(deployment string, dial dialer) (redis.UniversalClient, error) {
	off := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch words := strings.Fields(deployment); words[0] {
	case "single":
		return redis.NewClient(&redis.Options{Addr: words[1], Dialer: dial, MaintNotificationsConfig: off}), nil
	case "sentinel":
		return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: words[1], SentinelAddrs: words[2:], Dialer: dial}), nil
	case "cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: words[1:], Dialer: dial, MaintNotificationsConfig: off}), nil
	default:
		return nil, net.UnknownNetworkError(deployment)
	}
}

func singleOf(s *redistest.Server) string { return "single " + s.Addr() }
