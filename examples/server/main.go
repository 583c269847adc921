// Command server is a small help desk over a real database, with tiercache in
// front of it or, with -cache=off, without. See the README beside it.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/tiercache/tiercache/examples/internal/app"
	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

type options struct {
	addr, data, cache, prefix, log string
	tokens, reseed, outage         time.Duration
	seedOnly, debug, bypass        bool
	warm                           bool
	jobs                           app.Warm
	seed                           store.Seed
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen on; port 0 picks a free one")
	f.StringVar(&o.data, "data", "data", "directory of the database, seeded on first use")
	f.StringVar(&o.cache, "cache", "on", "on, or off to answer from the database alone")
	f.StringVar(&o.prefix, "prefix", "demo:", "of every key in Redis")
	f.StringVar(&o.log, "log", "text", "text or json: the form of the log on stderr")
	f.BoolVar(&o.bypass, "bypass", false, "let a request ask the database itself, as the web page does to compare")
	f.BoolVar(&o.warm, "warm", true, "load what will be asked for before it is")
	f.DurationVar(&o.jobs.Every, "warm-every", 30*time.Minute, "how often")
	f.Float64Var(&o.jobs.Rate, "warm-rate", 0, "profiles to load in a second, at most; 0: as fast as it goes")
	f.DurationVar(&o.outage, "outage-staleness", time.Minute, "how old an answer may be while Redis cannot be reached")
	f.DurationVar(&o.tokens, "token-life", time.Hour, "how long a login lasts")
	f.DurationVar(&o.reseed, "reseed-after", 0, "seed anew if the data is older; 0 keeps it")
	f.BoolVar(&o.seedOnly, "seed-only", false, "seed and exit")
	f.BoolVar(&o.debug, "debug", false, "serve GET /debug/counters, for the load test")
	f.IntVar(&o.seed.Users, "users", 100_000, "users to seed")
	f.IntVar(&o.seed.Inquiries, "inquiries", 1_000_000, "inquiries to seed")
	f.Uint64Var(&o.seed.Number, "seed", 1, "number of the random generator that makes the data")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.cache != "on" && o.cache != "off" {
		return o, fmt.Errorf("-cache=%s: on or off", o.cache)
	}
	if o.log != "text" && o.log != "json" {
		return o, fmt.Errorf("-log=%s: text or json", o.log)
	}
	o.jobs.Off = !o.warm
	return o, nil
}

// run serves until ctx ends. On stdout it says where, one thing a line:
// "REDIS_URL=redis://…" if it started a Redis of its own, then "serving http://…", then
// what there is to see.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if o.log == "json" {
		log = slog.New(slog.NewJSONHandler(stderr, nil))
	}
	db, err := openStore(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if o.seedOnly {
		return nil
	}

	cfg := app.Config{Store: db, Warm: o.jobs, Bypass: o.bypass, Debug: o.debug, Logger: log}
	if cfg.Signer, err = signer(o.tokens, log); err != nil {
		return err
	}
	if cfg.Passwords, err = auth.NewPasswords(); err != nil {
		return err
	}
	if o.cache == "on" {
		var closeTiers func() error
		if cfg.Tiers, closeTiers, err = openTiers(o, log, stdout); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeTiers()) }()
	}
	service, err := app.New(cfg)
	if err != nil {
		return err
	}
	defer service.Close()
	if cfg.Tiers != nil { // after the caches are there, before anybody asks
		if err := cfg.Tiers.Warm(ctx); err != nil {
			return err
		}
	}
	jobs, stop := context.WithCancel(ctx)
	var warming sync.WaitGroup
	warming.Go(func() { _ = service.Run(jobs) }) // ends with jobs, and only then
	defer warming.Wait()
	defer stop()
	return serve(ctx, o.addr, service, log, stdout)
}

// signer takes the secret from DEMO_SECRET, so that instances accept one
// another's tokens; else it makes one up, and tokens end with the process.
func signer(life time.Duration, log *slog.Logger) (*auth.Signer, error) {
	secret := []byte(os.Getenv("DEMO_SECRET"))
	if len(secret) == 0 {
		secret = make([]byte, 32)
		rand.Read(secret) // never fails
		log.Info("DEMO_SECRET is not set: tokens are good for this process only")
	}
	return auth.NewSigner(secret, life)
}

const drain = 10 * time.Second

// look is where: the first line is for programs, too.
const look = `serving http://%[1]s
  the page       http://%[1]s/                 the three routes, with the cache and without
  the dashboard  http://%[1]s/api/cache/stats  how the cache is doing
  log in as      superuser1@example.com, agent1@example.com or user1@example.com, password %[2]s
`

func serve(ctx context.Context, addr string, service *app.App, log *slog.Logger, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           service,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute, // a year's analytics without the cache, on a busy machine
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	srv.RegisterOnShutdown(service.Close)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	fmt.Fprintf(stdout, look, listener.Addr(), auth.DemoPassword)

	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down")
	deadline, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	err = srv.Shutdown(deadline)
	if err != nil { // requests still running after the drain are cut off
		err = errors.Join(err, srv.Close())
	}
	if serr := <-done; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}
