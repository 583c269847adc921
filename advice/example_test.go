package advice_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/advice"
)

func Example() {
	ctx := context.Background()
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tiers.Close()
	inquiries, err := tiercache.New(tiers, tiercache.Options[string]{Name: "inquiries", TTL: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}

	earlier := tiers.Stats()
	for ms := range 200 { // a filter with the time of day in it: no key comes again
		key := fmt.Sprint("inquiries:open:until=10:15:00.", ms)
		_, err := inquiries.GetOrLoad(ctx, key, func(context.Context) (string, error) { return "three", nil })
		if err != nil {
			fmt.Println(err)
		}
	}
	interval := tiers.Stats().Sub(earlier)

	fmt.Println(advice.Status(interval.Total.HitRate()))
	for _, a := range advice.Of(interval, nil) {
		fmt.Println(a.Rule, a.Cache)
		fmt.Println(a.Text)
	}
	// Output:
	// poor
	// specific-keys inquiries
	// The hit rate of cache "inquiries" is 0 %: 200 of 200 misses were of keys never asked for before, and there were 0 hits: most keys are asked for once. Leave out of the key what does not change the value, round times and ranges, and put filters in one order.
}
