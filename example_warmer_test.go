package tiercache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache"
)

func ExampleWarmer() {
	ctx, cancel := context.WithCancel(context.Background())
	tiers, cache := openUsers()
	defer tiers.Close()

	active := func(context.Context) ([]string, error) { return []string{"user:42", "user:43"}, nil }
	warmer, err := tiercache.NewWarmer(tiers,
		cache.WarmMany(tiercache.Job{Name: "users", Every: 10 * time.Minute}, active, usersByKey))
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- warmer.Run(ctx) }()

	err = warmer.Trigger(ctx, "users") // now; otherwise it waits until it is due
	s := warmer.Status()[0]
	fmt.Println(s.Done, "of", s.Total, err)
	u, err := cache.GetOrLoad(ctx, "user:42", userByID("42"))
	fmt.Println(u.Name, err)

	cancel()
	fmt.Println(<-ended)
	// Output:
	// asking the database for [user:42 user:43]
	// 2 of 2 <nil>
	// Ann <nil>
	// context canceled
}
