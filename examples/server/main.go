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
	"syscall"
	"time"

	"github.com/tiercache/tiercache"
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
	addr, data, cache, prefix string
	tokens                    time.Duration
	reseed                    time.Duration
	seedOnly, debug           bool
	seed                      store.Seed
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen on; port 0 picks a free one")
	f.StringVar(&o.data, "data", "data", "directory of the database, seeded on first use")
	f.StringVar(&o.cache, "cache", "on", "on, or off to answer from the database alone")
	f.StringVar(&o.prefix, "prefix", "demo:", "of every key in Redis")
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
	return o, nil
}

// run serves until ctx ends. On stdout it says where, one thing a line:
// "REDIS_URL=redis://…" if it started a Redis of its own, then "serving http://…".
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	db, err := openStore(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if o.seedOnly {
		return nil
	}

	cfg := app.Config{Store: db, Debug: o.debug, Logger: log}
	if cfg.Signer, err = signer(o.tokens, log); err != nil {
		return err
	}
	if cfg.Passwords, err = auth.NewPasswords(); err != nil {
		return err
	}
	if o.cache == "on" {
		var closeTiers func() error
		if cfg.Tiers, closeTiers, err = openTiers(o.prefix, log, stdout); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeTiers()) }()
	}
	handler, err := app.New(cfg)
	if err != nil {
		return err
	}
	return serve(ctx, o.addr, handler, log, stdout)
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

func serve(ctx context.Context, addr string, handler http.Handler, log *slog.Logger, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute, // a year's analytics without the cache, on a busy machine
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	fmt.Fprintf(stdout, "serving http://%s\n", listener.Addr())

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

// What Redis is waited for. The defaults suit values that load in milliseconds
// and a Redis with CPUs of its own. Here a load adds up rows for as long as half
// a second, and the embedded Redis shares its CPUs with just that.
const (
	redisRead  = 250 * time.Millisecond
	redisWrite = 500 * time.Millisecond
)

// openTiers opens the cache on the Redis that the environment names, else on an
// embedded one.
func openTiers(prefix string, log *slog.Logger, stdout io.Writer) (*tiercache.Tiers, func() error, error) {
	cfg, err := tiercache.FromEnv()
	if err != nil {
		return nil, nil, err
	}
	stop := func() {}
	if cfg.Redis == nil {
		if cfg.Redis, stop, err = embeddedRedis(stdout); err != nil {
			return nil, nil, err
		}
	}
	shut := func() error {
		defer stop()
		return cfg.Redis.Close()
	}
	cfg.Prefix, cfg.Logger, cfg.SummaryEvery = prefix, log, 50
	cfg.ReadTimeout, cfg.WriteTimeout = redisRead, redisWrite
	tiers, err := tiercache.Open(cfg)
	if err != nil {
		return nil, nil, errors.Join(err, shut())
	}
	return tiers, func() error { return errors.Join(tiers.Close(), shut()) }, nil
}
