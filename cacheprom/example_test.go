package cacheprom_test

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cacheprom"
)

func ExampleNew() {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tiers.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(cacheprom.New(tiers))

	users, err := tiercache.New(tiers, tiercache.Options[string]{Name: "users", TTL: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		_, _ = users.GetOrLoad(context.Background(), "user:42", func(context.Context) (string, error) { return "Ada", nil })
	}
	families, err := registry.Gather() // what promhttp does at each scrape
	for _, f := range families {
		if f.GetName() == "tiercache_hits_total" {
			for _, m := range f.GetMetric() {
				fmt.Println(m.GetLabel()[1].GetValue(), m.GetCounter().GetValue())
			}
		}
	}
	fmt.Println(err)
	// Output:
	// memory 2
	// redis 0
	// <nil>
}
