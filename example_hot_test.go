package tiercache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache"
)

// startShop is how each process of a service starts.
func startShop(rdb *redis.Client) (*tiercache.Tiers, *tiercache.Cache[User]) {
	tiers, err := tiercache.Open(tiercache.Config{
		Redis: rdb, Prefix: "shop:",
		// An example may run on a busy machine.
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, StalenessBound: 20 * time.Second,
	})
	if err != nil {
		panic(err)
	}
	users, err := tiercache.New(tiers, tiercache.Options[User]{Name: "users", TTL: 5 * time.Minute})
	if err != nil {
		panic(err)
	}
	return tiers, users
}

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

	old, cache := startShop(rdb)
	ann := func(context.Context) (User, error) { return users["42"], nil }
	for len(old.HotKeys(1)) == 0 { // until memory has answered
		if _, err := cache.GetOrLoad(ctx, "user:42", ann); err != nil {
			panic(err)
		}
	}
	old.Close()

	tiers, cache := startShop(rdb)
	defer tiers.Close()
	if err := tiers.Warm(ctx); err != nil { // and then it takes traffic
		panic(err)
	}
	e, ok, err := cache.Lookup(ctx, "user:42")
	fmt.Println(e.Value.Name, ok, e.Tier, err)
	// Output: Ann true memory <nil>
}
