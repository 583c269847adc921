package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const samples = 101

// script reads the key it is given, as the library's scripts do.
const script = `return redis.call('GET', KEYS[1])`

// roundTrips prints the median time of the commands a cache lives on.
func (d doctor) roundTrips(ctx context.Context) error {
	var text []string
	var errs []error
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"PING", func() error { return d.client.Ping(ctx).Err() }},
		{"SET", func() error { return d.client.Set(ctx, d.key, "value", time.Minute).Err() }},
		{"GET", func() error { return d.client.Get(ctx, d.key).Err() }},
		{"EVAL", func() error { return d.client.Eval(ctx, script, []string{d.key}).Err() }},
	} {
		times := make([]time.Duration, 0, samples)
		for range samples {
			began := time.Now()
			err := c.run()
			if err != nil && !errors.Is(err, redis.Nil) { // GET, if SET may not
				if !forbidden(err) { // permissions reports that
					errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
				}
				break
			}
			times = append(times, time.Since(began))
		}
		if len(times) == samples {
			slices.Sort(times)
			text = append(text, fmt.Sprintf("%s %v", c.name, times[samples/2].Round(time.Microsecond)))
		}
	}
	fmt.Fprintf(d.out, "round trips  %s (medians of %d)\n", strings.Join(text, ", "), samples)
	return errors.Join(errs...)
}
