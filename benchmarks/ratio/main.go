// Command ratio measures how often tiercache's memory tier has what is asked for,
// and how many bytes an entry takes, beside other caches of the process. It exits
// with 1 if tiercache misses what is required of it. See the README of this module.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/tiercache/tiercache/benchmarks/internal/command"
	"github.com/tiercache/tiercache/benchmarks/ratio/compare"
)

func main() { command.Main("ratio", ratio) }

type config struct {
	quick     bool
	json, out string
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	f := command.Flags("ratio", stderr)
	f.BoolVar(&c.quick, "quick", false, "short traces, one seed: shows that it works, nothing is judged")
	f.StringVar(&c.json, "json", "", "write the figures to this file, too")
	f.StringVar(&c.out, "out", "", "write tables and a chart into this directory, ratio.md and ratio.svg")
	if err := command.Parse(f, args); err != nil {
		return c, err
	}
	return c, nil
}

func ratio(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	o := compare.Full()
	if c.quick {
		o = compare.Quick()
	}
	o.Progress = func(what string) { fmt.Fprintln(stderr, what) }
	r, err := compare.Run(ctx, o)
	if err != nil {
		return err
	}
	for _, t := range tables(r) {
		t.print(stdout)
	}
	missed := 0
	if !c.quick {
		fmt.Fprintln(stdout)
		for _, v := range r.Verdicts {
			fmt.Fprintln(stdout, v)
			if !v.OK {
				missed++
			}
		}
	}
	if err := c.write(r); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d of the requirements were missed", missed)
	}
	return nil
}
