// Command outage takes a Redis away from three caches in seven ways, and
// measures what their callers notice. It exits with 1 if tiercache misses what
// is required of it. See the README of this module.
package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tiercache/tiercache/benchmarks/internal/command"
)

func main() { command.Main("outage", outage) }

type config struct {
	faults         []fault
	window, settle time.Duration
	turns          int
	short, ours    bool
	json           string
}

const (
	shortWindow = 100 * time.Millisecond
	fullTurns   = 5
	// Memory serves for Config.OutageStaleness, 1 min. Two windows, five times,
	// have to fit in before that.
	mostSeconds = 5
)

func parse(args []string, stderr io.Writer) (config, error) {
	c := config{}
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	f := command.Flags("outage", stderr)
	only := f.String("fault", "", "only this one of "+strings.Join(names, ", "))
	seconds := f.Float64("seconds", 1, fmt.Sprintf("length of a window, at most %d", mostSeconds))
	f.BoolVar(&c.short, "short", false, "windows of 100 ms; times are shown and not judged")
	f.BoolVar(&c.ours, "ours", false, "leave the rivals out: their calls take up to a minute each")
	f.StringVar(&c.json, "json", "", "write the figures to this file, too")
	if err := command.Parse(f, args); err != nil {
		return c, err
	}
	if !(*seconds > 0 && *seconds <= mostSeconds) {
		return c, fmt.Errorf("-seconds is %v, want more than 0 and at most %d", *seconds, mostSeconds)
	}
	c.window = time.Duration(*seconds * float64(time.Second))
	c.turns = fullTurns
	if c.short {
		c.window, c.turns = shortWindow, 1
	}
	c.settle = max(2*c.window, 500*time.Millisecond)
	for _, one := range faults {
		if *only == "" || one.name == *only {
			c.faults = append(c.faults, one)
		}
	}
	if len(c.faults) == 0 {
		return c, fmt.Errorf("-fault is %q, want one of %s", *only, strings.Join(names, ", "))
	}
	return c, nil
}

func outage(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	figures := newFile(c)
	figures.head(stdout)
	missed := 0
	for _, f := range c.faults {
		r, err := c.with(ctx, f, newBench(c.window, c.settle, c.turns))
		if err != nil {
			return err
		}
		r.print(stdout, f)
		missed += r.missed
		figures.Faults = append(figures.Faults, r)
	}
	if err := command.WriteJSON(c.json, figures); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d of the requirements were missed", missed)
	}
	return nil
}

// with measures all contenders in one fault.
func (c config) with(ctx context.Context, f fault, b *bench) (report, error) {
	var all []measured
	for _, open := range openers {
		if err := ctx.Err(); err != nil {
			return report{}, err
		}
		m, err := b.measure(ctx, f, open)
		if err != nil {
			return report{}, err
		}
		all = append(all, m)
		if c.ours {
			break
		}
	}
	r := reportOf(f, all)
	r.judge(f, c.short)
	return r, nil
}
