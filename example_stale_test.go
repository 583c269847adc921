package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiercache/tiercache"
)

// A source that fails is hidden behind what is past its TTL.
func ExampleOptions_staleFor() {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	reports, err := tiercache.New(tiers, tiercache.Options[string]{Name: "reports", TTL: 10 * time.Millisecond, StaleFor: time.Hour})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	load := func(context.Context) (string, error) { return "of this morning", nil }
	_, _ = reports.GetOrLoad(ctx, "report:7", load)

	time.Sleep(20 * time.Millisecond)
	down := func(context.Context) (string, error) { return "", errors.New("the database is down") }
	fmt.Println(reports.GetOrLoad(ctx, "report:7", down))

	e, ok, _ := reports.Lookup(ctx, "report:7")
	fmt.Println(ok, e.Stale, e.Tier, e.Age > 10*time.Millisecond)
	// Output:
	// of this morning <nil>
	// true true memory true
}

func ExampleCache_Refresh() {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	prices, err := tiercache.New(tiers, tiercache.Options[int]{Name: "prices", TTL: time.Hour})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	price := 10
	load := func(context.Context) (int, error) { return price, nil }
	_, _ = prices.GetOrLoad(ctx, "price:7", load)
	price = 12
	fmt.Println(prices.GetOrLoad(ctx, "price:7", load))
	fmt.Println(prices.Refresh(ctx, "price:7", load))
	fmt.Println(prices.GetOrLoad(ctx, "price:7", load))
	// Output:
	// 10 <nil>
	// 12 <nil>
	// 12 <nil>
}

// A loader that asks its source only whether something has changed.
func ExamplePrevious() {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	type page struct{ ETag, Text string }
	pages, err := tiercache.New(tiers, tiercache.Options[page]{Name: "pages", TTL: time.Hour, StaleFor: time.Hour})
	if err != nil {
		panic(err)
	}
	load := func(ctx context.Context) (page, error) {
		if old, ok := tiercache.Previous[page](ctx); ok && old.Value.ETag == "v1" { // 304 Not Modified
			fmt.Println("not modified")
			return page{}, tiercache.ErrNotModified
		}
		fmt.Println("loaded")
		return page{"v1", "Welcome"}, nil
	}
	ctx := context.Background()
	_, _ = pages.GetOrLoad(ctx, "page:home", load)
	_, _ = tiers.Expire(ctx, tiercache.Key("page:home"))
	p, err := pages.GetOrLoad(ctx, "page:home", load)
	fmt.Println(p.Text, err)
	// Output:
	// loaded
	// not modified
	// Welcome <nil>
}
