// Command peers measures tiercache beside what services use in its place, in the
// same run on the same machine, and exits with 1 if it misses what is required
// of it by more than 5 %. See the README of this module.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/benchmarks/internal/command"
	"github.com/tiercache/tiercache/benchmarks/internal/host"
	"github.com/tiercache/tiercache/internal/redistest"
)

func main() { command.Main("peers", peers) }

type config struct {
	groups    []group
	rounds    int
	window    time.Duration
	quick     bool
	json, out string
	command   string // how to do it again
}

const (
	fullRounds, quickRounds = 7, 1
	fullWindow, quickWindow = 150 * time.Millisecond, 2 * time.Millisecond
	fewestRounds            = 5 // that are judged
)

func parse(args []string, stderr io.Writer) (config, error) {
	c := config{command: strings.TrimSpace("go run ./peers " + strings.Join(args, " "))}
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	f := command.Flags("peers", stderr)
	only := f.String("group", "", "only this one of "+strings.Join(names, ", "))
	f.IntVar(&c.rounds, "rounds", fullRounds, "how often each is measured; fewer than 5 are not judged")
	f.DurationVar(&c.window, "window", fullWindow, "of one contender in one round")
	f.BoolVar(&c.quick, "quick", false, "one round of 2 ms with few keys: shows that it works, nothing is judged")
	f.StringVar(&c.json, "json", "", "write the figures to this file, too")
	f.StringVar(&c.out, "out", "", "write tables and charts into this directory, peers.md and *.svg")
	if err := command.Parse(f, args); err != nil {
		return c, err
	}
	if c.quick {
		c.rounds, c.window = quickRounds, quickWindow
	}
	if c.rounds < 1 {
		return c, fmt.Errorf("-rounds is %d, want at least 1", c.rounds)
	}
	if c.window < time.Millisecond || c.window > 10*time.Second {
		return c, fmt.Errorf("-window is %v, want 1ms to 10s", c.window)
	}
	for _, g := range groups {
		if *only == "" || g.name == *only {
			c.groups = append(c.groups, g)
		}
	}
	if len(c.groups) == 0 {
		return c, fmt.Errorf("-group is %q, want one of %s", *only, strings.Join(names, ", "))
	}
	return c, nil
}

// judged tells whether verdicts mean anything.
func (c config) judged() bool { return !c.quick && c.rounds >= fewestRounds }

func peers(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	f := newFile(c)
	f.head(stdout)
	missed := 0
	for _, g := range c.groups {
		r, err := c.with(ctx, g)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		r.print(stdout)
		if c.judged() {
			missed += judge(stdout, r.Requirements)
		}
		f.Groups = append(f.Groups, r)
	}
	if err := f.write(c); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d of the requirements were missed by more than %.0f %%", missed, 100*tolerance)
	}
	return nil
}

// with runs a group on a redis-server of its own.
func (c config) with(ctx context.Context, g group) (report, error) {
	var r report
	var failed error
	err := host.Run(ctx, "peers", func(t testing.TB) {
		server := redistest.Start(t)
		b := &bench{rounds: c.rounds, window: c.window, quick: c.quick, addr: server.Addr(), pid: server.PID()}
		r, failed = g.run(t.Context(), b)
	})
	if err := errors.Join(failed, err); err != nil {
		return r, err
	}
	r.Group, r.What = g.name, g.what
	r.Requirements = g.requirements(r)
	return r, nil
}
