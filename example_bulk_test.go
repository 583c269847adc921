package tiercache_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tiercache/tiercache"
)

// usersByKey asks the source for many users at once, and says so.
func usersByKey(_ context.Context, keys []string) (map[string]User, error) {
	fmt.Println("asking the database for", slices.Sorted(slices.Values(keys)))
	found := make(map[string]User)
	for _, key := range keys {
		if u, ok := users[key[len("user:"):]]; ok {
			found[key] = u
		}
	}
	return found, nil
}

func ExampleCache_GetOrLoadMany() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	for range 2 {
		found, err := cache.GetOrLoadMany(ctx, []string{"user:42", "user:43"}, usersByKey)
		fmt.Println(len(found), found["user:42"].Name, err)
	}
	// Output:
	// asking the database for [user:42 user:43]
	// 1 Ann <nil>
	// 1 Ann <nil>
}

func ExampleBatchLoader() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()
	loader, err := tiercache.NewBatchLoader(usersByKey, tiercache.BatchOptions{Window: time.Hour, Limit: 2})
	if err != nil {
		panic(err)
	}

	var wg sync.WaitGroup
	for _, key := range []string{"user:42", "user:43"} { // two requests, say
		wg.Go(func() { _, _ = cache.GetOrLoad(ctx, key, loader.Load(key)) })
	}
	wg.Wait()
	u, err := cache.GetOrLoad(ctx, "user:42", loader.Load("user:42"))
	fmt.Println(u.Name, err)
	// Output:
	// asking the database for [user:42 user:43]
	// Ann <nil>
}
