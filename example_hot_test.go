package tiercache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache"
)

// A process that takes over from another finds in memory what that one had there.
func ExampleTiers_Warm() {
	ctx := context.Background()
	server, err := miniredis.Run() // in the place of your Redis
	if err != nil {
		panic(err)
	}
	defer server.Close()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()
	start := func() (*tiercache.Tiers, *tiercache.Cache[User]) {
		tiers, err := tiercache.Open(tiercache.Config{Redis: rdb, Prefix: "shop:"})
		if err != nil {
			panic(err)
		}
		users, err := tiercache.New(tiers, tiercache.Options[User]{Name: "users", TTL: 5 * time.Minute})
		if err != nil {
			panic(err)
		}
		return tiers, users
	}

	old, users := start()
	for len(old.HotKeys(1)) == 0 { // until memory has answered
		if _, err := users.GetOrLoad(ctx, "user:42", userByID("42")); err != nil {
			panic(err)
		}
	}
	old.Close()

	tiers, users := start()
	defer tiers.Close()
	if err := tiers.Warm(ctx); err != nil { // and then take traffic
		panic(err)
	}
	e, ok, err := users.Lookup(ctx, "user:42")
	fmt.Println(e.Value.Name, ok, e.Tier, err)
	// Output:
	// asking the database for user 42
	// Ann true memory <nil>
}
