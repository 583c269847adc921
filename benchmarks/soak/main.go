// Command soak runs several nodes and a writer on one Redis for a long time,
// with a fault every few seconds, judges every read, and watches what the
// process takes. It exits with 1 if a read was stale or failed, or if goroutines
// or heap grow. See the README of this module.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/benchmarks/internal/host"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends it at once
	if err := soak(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

type config struct {
	length time.Duration
	every  time.Duration // between samples
	seed   uint64
	json   string
}

const sampleEvery = 10 * time.Second

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&c.length, "for", 10*time.Minute, "how long, closing not included")
	f.Uint64Var(&c.seed, "seed", 0, "decides the faults and what readers and writer choose; 0: the time")
	f.StringVar(&c.json, "json", "", "write the figures to this file, too")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if c.length <= 0 {
		return c, fmt.Errorf("-for is %v, want more than 0", c.length)
	}
	c.every = min(sampleEvery, c.length/10)
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano())
	}
	return c, nil
}

func soak(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	redis.SetLogger(quiet{})
	var r result
	if err := host.Run(ctx, "soak", func(t testing.TB) { r = c.run(t, stdout) }); err != nil {
		return err
	}
	r.print(stdout)
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.json != "" {
		raw, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.json, append(raw, '\n'), 0o644); err != nil {
			return err
		}
	}
	return r.verdict()
}

// quiet drops what go-redis says about connections that faults break.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
