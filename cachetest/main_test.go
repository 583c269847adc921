package cachetest_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachetest"
)

func TestMain(m *testing.M) {
	cachetest.ChildMain(func(arg string, i int) (*tiercache.Tiers, error) {
		addr, apart, _ := strings.Cut(arg, " ")
		prefix := "c:"
		if apart != "" { // each node alone: nobody hears of another's invalidations
			prefix = "c" + strconv.Itoa(i) + ":"
		}
		return tiercache.Open(tiercache.Config{
			Redis: redis.NewClient(&redis.Options{
				Addr:                     addr,
				MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			}),
			Prefix: prefix,
		})
	})
	goleak.VerifyTestMain(m)
}
