// Command soak runs several nodes and a writer on one Redis for a long time,
// with a fault every few seconds, judges every read, and watches what the
// process takes. It exits with 1 if a read was stale or failed, or if goroutines
// or heap grow. See the README of this module.
package main

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/tiercache/tiercache/benchmarks/internal/command"
	"github.com/tiercache/tiercache/benchmarks/internal/host"
)

func main() { command.Main("soak", soak) }

type config struct {
	length time.Duration
	every  time.Duration // between samples
	seed   uint64
	json   string
}

const sampleEvery = 10 * time.Second

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	f := command.Flags("soak", stderr)
	f.DurationVar(&c.length, "for", 10*time.Minute, "how long, closing not included")
	f.Uint64Var(&c.seed, "seed", 0, "decides the faults and what readers and writer choose; 0: the time")
	f.StringVar(&c.json, "json", "", "write the figures to this file, too")
	if err := command.Parse(f, args); err != nil {
		return c, err
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
	var r result
	if err := host.Run(ctx, "soak", func(t testing.TB) { r = c.run(t, stdout) }); err != nil {
		return err
	}
	r.print(stdout)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := command.WriteJSON(c.json, r); err != nil {
		return err
	}
	return r.verdict()
}
