// Command doctor looks at the Redis that the environment names the way
// tiercache would use it, and says what is in the way: whether it answers, what
// it is, how long a round trip takes, how changes are heard of there, which commands
// the user may not run, and what follows from that. It exits with 1 if the library
// could not work there.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tiercache/tiercache"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "doctor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	f := flag.NewFlagSet("doctor", flag.ContinueOnError)
	f.SetOutput(stderr)
	prefix := f.String("prefix", "demo:", "of the test key, as the service's; users are often allowed one prefix only")
	timeout := f.Duration("timeout", 10*time.Second, "for everything together")
	var files certificates
	f.StringVar(&files.authority, "ca", "", "`file` with the authority of the server's certificate, in PEM; the system's are not asked then")
	f.StringVar(&files.cert, "cert", "", "`file` with the client certificate, in PEM")
	f.StringVar(&files.key, "key", "", "`file` with its key")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()

	cfg, err := tiercache.FromEnv()
	if err != nil {
		return err
	}
	if cfg.Redis == nil {
		return errors.New("the environment names no Redis: set REDIS_URL, or REDIS_HOST and what goes with it")
	}
	defer func() { err = errors.Join(err, cfg.Redis.Close()) }()
	given, ok := cfg.Redis.(*redis.Client)
	if !ok {
		return fmt.Errorf("bug: FromEnv made a %T", cfg.Redis)
	}
	with, err := files.into(*given.Options())
	if err != nil {
		return err
	}
	asked := redis.NewClient(with) // the library's: of no connections
	defer func() { err = errors.Join(err, asked.Close()) }()
	// With go-redis's defaults a deadline does not end a read, and a refused
	// connection is tried again for seconds.
	opts := *with
	opts.ContextTimeoutEnabled, opts.MaxRetries, opts.DialerRetries = true, -1, 1
	client := redis.NewClient(&opts)
	defer func() { err = errors.Join(err, client.Close()) }()
	d := doctor{client: client, prefix: *prefix, key: *prefix + "doctor:" + rand.Text(), out: stdout}

	// Options.Addr is host and port; user and password are other fields.
	fmt.Fprintf(stdout, "address      %s, database %d, TLS %s\n", opts.Addr, opts.DB, yesNo(opts.TLSConfig != nil))
	if err := d.reach(ctx); err != nil {
		return err
	}
	d.server(ctx)
	return errors.Join(d.library(ctx, tiercache.Config{Redis: asked, Prefix: *prefix, ReadTimeout: budget, WriteTimeout: budget}), d.roundTrips(ctx), d.permissions(ctx))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// attempts are for a server that hangs up: the reason it gives may be overtaken by
// the end of the connection.
const attempts = 5

// reach opens a connection. That the user may not PING is permissions' to say; that
// he may not SELECT the database, go-redis hands on as if PING had been answered so.
func (d doctor) reach(ctx context.Context) error {
	var err error
	for range attempts {
		err = d.client.Ping(ctx).Err()
		if err == nil || forbidden(err) && strings.Contains(err.Error(), "'ping'") {
			return nil
		}
		if !hungUp(err) {
			break
		}
	}
	return fmt.Errorf("no answer from Redis: %s", plain(err, d.client.Options().TLSConfig != nil))
}

type doctor struct {
	client *redis.Client
	prefix string
	key    string // the doctor's own, under the prefix
	out    io.Writer
}

// server prints what the server says of itself. A server that may not be asked
// is not at fault here: permissions reports it.
func (d doctor) server(ctx context.Context) {
	info, err := d.client.Info(ctx).Result()
	if err != nil {
		fmt.Fprintf(d.out, "server       does not say: %v\n", err)
		return
	}
	field := func(name string) string {
		for line := range strings.Lines(info) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
				return v
			}
		}
		return "unknown"
	}
	name := "redis"
	if v := field("server_name"); v != "unknown" { // forks say who they are
		name = v
	}
	fmt.Fprintf(d.out, "server       %s\nversion      %s\nmode         %s, %s\n", name, field("redis_version"), field("redis_mode"), field("role"))
	if policy := field("maxmemory_policy"); policy != "unknown" {
		fmt.Fprintf(d.out, "eviction     %s, maxmemory %s\n", policy, field("maxmemory_human"))
	}
}

const (
	doctorName  = "doctor" // of the library's cache here
	settleTime  = 3 * time.Second
	settleEvery = 5 * time.Millisecond
	// budget is much longer than the library's own: slow is not forbidden, and the
	// round trips show it.
	budget = 2 * time.Second
)

// library opens the cache itself and prints what it makes of the server: a
// stored value must be found, which takes a lease, a fill and a read. It leaves
// what everybody with this prefix shares, and takes its cache's own record away.
func (d doctor) library(ctx context.Context, cfg tiercache.Config) (err error) {
	tiers, err := tiercache.Open(cfg)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, tiers.Close())
		_ = d.client.Unlink(ctx, d.prefix+"~c:"+doctorName).Err() // it ends by itself in a day
	}()
	cache, err := tiercache.New(tiers, tiercache.Options[string]{Name: doctorName, TTL: time.Minute})
	if err != nil {
		return err
	}
	h := settled(ctx, tiers)
	key := strings.TrimPrefix(d.key, cfg.Prefix) + ":value"
	if err := cache.Set(ctx, key, "well"); err != nil {
		return fmt.Errorf("the library cannot store a value: %w", err)
	}
	_, err = cache.GetOrLoad(ctx, key, func(context.Context) (string, error) {
		return "", errors.New("the library's value did not reach Redis, or did not come back")
	}, tiercache.Fresh())
	fmt.Fprintf(d.out, "tiercache    mode %s, connected %s, value stored %s\n", h.Mode, yesNo(h.Connected), yesNo(err == nil))
	for _, m := range h.Masters {
		stamp := m.Stamp
		if stamp == "" {
			stamp = "none"
		}
		fmt.Fprintf(d.out, "stamp        %s\nhearing      %s, memory serves %s\n", stamp, m.Hearing, yesNo(m.Fresh))
	}
	return errors.Join(err, cache.Delete(ctx, key))
}

// settled waits until the library hears what it can hear, or has had the time.
func settled(ctx context.Context, tiers *tiercache.Tiers) tiercache.Health {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		h := tiers.Health()
		ready := h.Connected
		for _, m := range h.Masters {
			ready = ready && (m.Fresh || m.Hearing == "none")
		}
		if ready {
			return h
		}
		select {
		case <-ctx.Done():
			return h
		case <-tick.C:
		}
	}
}
