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

// forbidden tells an ACL's refusal from every other error.
func forbidden(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOPERM") }

// permissions tries every command the library uses, on the doctor's own key,
// and reports those that the user may not run.
func (d doctor) permissions(ctx context.Context) error {
	do := func(args ...any) func() error { return func() error { return d.client.Do(ctx, args...).Err() } }
	var refused, weaker, odd []string
	for _, c := range []struct {
		name string
		run  func() error
		fine string // start of an error that is an answer, not a refusal
		lost string // what goes without it; "": everything
	}{
		{"SET", do("SET", d.key, "value", "PX", 60_000), "", ""},
		{"GET", do("GET", d.key), "", ""},
		{"GETRANGE", do("GETRANGE", d.key, 0, 2), "", ""},
		{"PEXPIRE", do("PEXPIRE", d.key, 60_000), "", ""},
		{"EVAL", do("EVAL", script, 1, d.key), "", ""},
		{"EVALSHA", do("EVALSHA", strings.Repeat("0", 40), 1, d.key), "NOSCRIPT", ""},
		{"SCAN", do("SCAN", 0, "MATCH", d.key, "COUNT", 10), "", ""},
		{"INFO", do("INFO"), "", "a restart from an old snapshot goes unnoticed"},
		{"TIME", do("TIME"), "", "clocks must agree"},
		{"CLUSTER SLOTS", do("CLUSTER", "SLOTS"), "ERR This instance has cluster support disabled", "no cluster can be used"},
		{"UNLINK", do("UNLINK", d.key), "", ""}, // last: it also cleans up
	} {
		switch err := c.run(); {
		case err == nil || errors.Is(err, redis.Nil):
		case forbidden(err) && c.lost != "":
			weaker = append(weaker, c.name+": "+c.lost)
		case forbidden(err):
			refused = append(refused, c.name)
		case c.fine != "" && strings.HasPrefix(err.Error(), c.fine):
		default:
			odd = append(odd, fmt.Sprintf("%s: %v", c.name, err))
		}
	}
	for _, text := range weaker {
		fmt.Fprintf(d.out, "NOPERM       %s\n", text)
	}
	if len(refused) == 0 && len(odd) == 0 {
		fmt.Fprintln(d.out, "permissions  all that it needs")
		return nil
	}
	for _, name := range refused {
		fmt.Fprintf(d.out, "NOPERM       %s\n", name)
	}
	for _, text := range odd {
		fmt.Fprintf(d.out, "failed       %s\n", text)
	}
	return fmt.Errorf("%d commands forbidden, %d failed", len(refused), len(odd))
}
