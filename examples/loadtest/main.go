// Command loadtest measures what the cache does for the example service: the
// same requests over HTTP to a server without the cache, to one whose cache is
// cold, and to one whose cache is warm, as fast as that one sustains. It starts
// and stops the servers itself. See the README beside it.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/child"
	"github.com/tiercache/tiercache/examples/internal/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

type config struct {
	server, data, json string
	short              bool
	number             uint64 // of the sequence
	seed               store.Seed
	times              times
	secret, prefix     string
}

// times is how long each part of a run takes.
type times struct {
	capacity, steady, step time.Duration
	steps                  int // of the search for the highest sustained rate
}

var (
	fullTimes  = times{capacity: 8 * time.Second, steady: 35 * time.Second, step: 2 * time.Second, steps: 7}
	shortTimes = times{capacity: 3 * time.Second, steady: 6 * time.Second, step: time.Second, steps: 5}
)

func parse(args []string, stderr io.Writer) (config, error) {
	c := config{seed: store.Seed{Users: 100_000, Inquiries: 1_000_000, Number: 1}, times: fullTimes,
		secret: rand.Text(), prefix: "loadtest-" + rand.Text()[:8] + ":"}
	f := flag.NewFlagSet("loadtest", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.server, "server", "", "the server's binary; empty: the one beside this binary")
	f.StringVar(&c.data, "data", "data", "directory of the database, seeded on first use")
	f.StringVar(&c.json, "json", "", "write the figures to this file, too")
	f.BoolVar(&c.short, "short", false, "a tenth of the data and under a minute: shows that everything works; its times mean little")
	f.Uint64Var(&c.number, "seed", 1, "number of the random generator that makes the requests")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if c.short {
		c.times = shortTimes
		c.seed.Users, c.seed.Inquiries = c.seed.Users/10, c.seed.Inquiries/10
	}
	if c.server == "" {
		var err error
		if c.server, err = child.Beside("server"); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c config) binary() child.Binary {
	return child.Binary{Path: c.server, Data: c.data, Seed: c.seed, Prefix: c.prefix, Env: []string{"DEMO_SECRET=" + c.secret}}
}

// dataLife is how old the data may be: what is "the last 7 days" when it is
// seeded would be empty a week later, and quicker to add up.
const dataLife = 24 * time.Hour

func demo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if err := c.binary().Fill(ctx, dataLife, stderr); err != nil {
		return err
	}
	figures, err := c.measure(ctx, stderr)
	if err != nil {
		return err
	}
	figures.print(stdout)
	if c.json != "" {
		if err := figures.writeJSON(c.json); err != nil {
			return err
		}
	}
	err = figures.verdict(stdout, c.short)
	fmt.Fprintf(stdout, look, auth.DemoPassword)
	return err
}

// look is where one goes on from here.
const look = `
See it for yourself: make serve (in the root of the repository), and then
  the page       http://127.0.0.1:8080/                 the three routes, with the cache and without
  the dashboard  http://127.0.0.1:8080/api/cache/stats  how the cache is doing
  log in as      superuser1@example.com, password %s; he may clear the cache, too
Three of them on one Redis, with Redis killed in the middle: make fleet
`

// mixLength is how many requests a sequence has before it repeats: more than
// the phases without the cache can send, and a multiple of ten.
const mixLength = 100_000

func (c config) mix() ([]request, error) {
	signer, err := auth.NewSigner([]byte(c.secret), 24*time.Hour)
	if err != nil {
		return nil, err
	}
	users, err := headers(c.seed, store.RoleUser, activeUsers, signer)
	if err != nil {
		return nil, err
	}
	agents, err := headers(c.seed, store.RoleAgent, activeAgents, signer)
	if err != nil {
		return nil, err
	}
	return sequence(c.number, mixLength, users, agents), nil
}
