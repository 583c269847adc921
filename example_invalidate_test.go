package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiercache/tiercache"
)

// openReports opens a cache of reports, each of which has the tag of its team.
func openReports() (*tiercache.Tiers, *tiercache.Cache[Report]) {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	reports, err := tiercache.New(tiers, tiercache.Options[Report]{
		Name: "reports", TTL: 5 * time.Minute,
		Tags: func(r Report) []string { return []string{"team:" + r.Team} },
	})
	if err != nil {
		panic(err)
	}
	return tiers, reports
}

// Report is made of what a team has done.
type Report struct{ Team, Text string }

// A tag goes with every value that depends on the same thing, whatever the keys.
func ExampleTag() {
	ctx := context.Background()
	tiers, reports := openReports()
	defer tiers.Close()

	_ = reports.Set(ctx, "report:1", Report{"blue", "ten sold"})
	_ = reports.Set(ctx, "report:2", Report{"blue", "two returned"})
	_ = reports.Set(ctx, "report:3", Report{"red", "one sold"})
	_, err := tiers.Invalidate(ctx, tiercache.Tag("team:blue"))
	fmt.Println(err)
	left, err := reports.GetMany(ctx, []string{"report:1", "report:2", "report:3"})
	fmt.Println(left, err)
	// Output:
	// <nil>
	// map[report:3:{red one sold}] <nil>
}

// WithTags is for what the value itself does not tell: an empty list does not say whose
// it is.
func ExampleWithTags() {
	ctx := context.Background()
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	orders, err := tiercache.New(tiers, tiercache.Options[[]string]{Name: "orders", TTL: time.Minute})
	if err != nil {
		panic(err)
	}
	list := func(context.Context) ([]string, error) {
		fmt.Println("asking the database")
		return nil, nil
	}

	for range 2 {
		_, _ = orders.GetOrLoad(ctx, "orders:42:open", list, tiercache.WithTags("orders-of:42"))
	}
	_, _ = tiers.Invalidate(ctx, tiercache.Tag("orders-of:42"))
	_, _ = orders.GetOrLoad(ctx, "orders:42:open", list, tiercache.WithTags("orders-of:42"))
	// Output:
	// asking the database
	// asking the database
}

func ExamplePattern() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	for _, key := range []string{"users:page:1", "users:page:2", "user:42"} {
		_ = cache.Set(ctx, key, User{Name: "Ann"})
	}
	_, err := tiers.Invalidate(ctx, tiercache.Pattern("users:page:*"))
	fmt.Println(err)
	left, err := cache.GetMany(ctx, []string{"users:page:1", "users:page:2", "user:42"})
	fmt.Println(len(left), left["user:42"].Name, err)
	// Output:
	// <nil>
	// 1 Ann <nil>
}

func ExampleTiers_Clear() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()
	totals, err := tiercache.New(tiers, tiercache.Options[int]{Name: "totals", TTL: time.Minute})
	if err != nil {
		panic(err)
	}

	_ = cache.Set(ctx, "user:42", User{Name: "Ann"})
	_ = totals.Set(ctx, "total:42", 7)
	_, err = tiers.Clear(ctx)
	fmt.Println(err)
	_, user, _ := cache.Get(ctx, "user:42")
	_, total, _ := totals.Get(ctx, "total:42")
	fmt.Println(user, total)
	// Output:
	// <nil>
	// false false
}

// Expire says that a value is old, and Invalidate that it is wrong: what is old may still
// stand in for a source that fails.
func ExampleTiers_Expire() {
	ctx := context.Background()
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	prices, err := tiercache.New(tiers, tiercache.Options[int]{Name: "prices", TTL: time.Hour, StaleFor: time.Hour})
	if err != nil {
		panic(err)
	}
	down := func(context.Context) (int, error) { return 0, errors.New("the database is down") }

	_ = prices.Set(ctx, "price:7", 10)
	_, _ = tiers.Expire(ctx, tiercache.Key("price:7"))
	fmt.Println(prices.GetOrLoad(ctx, "price:7", down))
	_, _ = tiers.Invalidate(ctx, tiercache.Key("price:7"))
	fmt.Println(prices.GetOrLoad(ctx, "price:7", down))
	// Output:
	// 10 <nil>
	// 0 the database is down
}

// The change itself runs inside Mutate. Its targets are invalidated whatever it returns:
// who knows what of it was committed.
func ExampleTiers_Mutate() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"))
	_, err := tiers.Mutate(ctx, func(context.Context) error {
		fmt.Println("update users set … ; commit")
		return nil
	}, tiercache.Key("user:42"), tiercache.Key("user:email:ann@example.com"))
	fmt.Println(err)
	_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"))
	// Output:
	// asking the database for user 42
	// update users set … ; commit
	// <nil>
	// asking the database for user 42
}
