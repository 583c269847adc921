package main

import (
	"context"
	"fmt"

	"github.com/tiercache/tiercache/benchmarks/peers/rivals"
)

const (
	bulkKeys   = 100
	bulkRedis  = "100 keys from Redis"
	bulkMemory = "100 keys from memory"
	singles    = "tiercache, 100 single hits into a map"
)

func bulk(ctx context.Context, b *bench) (r report, err error) {
	var c closer
	defer c.close(&err)
	all, err := b.open(ctx, &c, bulkKeys, kilobyte, func(o rivals.Opener) bool { return true })
	if err != nil {
		return r, err
	}
	var redis, memory []contender
	for _, o := range all {
		many := func(f func(context.Context, []string) (int, error)) contender {
			keys := names(o.keys)
			return contender{name: o.Name, workers: 1, loads: o.source.Loads.Load, run: func(_, n int) (wrong int64) {
				for range n {
					if got, err := f(ctx, keys); err != nil || got != len(keys) {
						wrong++
					}
				}
				return wrong
			}}
		}
		if o.ManyFresh != nil {
			redis = append(redis, many(o.ManyFresh))
		}
		if o.Many != nil {
			if _, err := o.Many(ctx, names(o.keys)); err != nil { // sturdyc has other keys here
				return r, fmt.Errorf("%s: %w", o.Name, err)
			}
			memory = append(memory, many(o.Many))
		}
		if o.Name == rivals.Tiercache {
			one := many(func(ctx context.Context, keys []string) (int, error) {
				found := make(map[string]int64, len(keys))
				for _, key := range keys {
					id, err := o.Get(ctx, key)
					if err != nil {
						return 0, err
					}
					found[key] = id
				}
				return len(found), nil
			})
			one.name = singles
			memory = append(memory, one)
		}
	}
	for _, s := range []struct {
		series
		of []contender
	}{
		{series{Name: bulkRedis, Floor: rivals.GoRedis, By: "wall"}, redis},
		{series{Name: bulkMemory, Floor: singles, By: "cpu"}, memory},
	} {
		measured, err := b.measure(ctx, s.series, s.of)
		if err != nil {
			return r, err
		}
		r.Series = append(r.Series, measured)
	}
	return r, nil
}

func bulkRequired(r report) []requirement {
	redis, memory := r.find(bulkRedis), r.find(bulkMemory)
	return []requirement{
		redis.atMost(bulkRedis+": wall of MGET and decode", rivals.Tiercache, rivals.GoRedis, 1.10, byWall),
		memory.atMost(bulkMemory+": CPU of 100 single hits and the map", rivals.Tiercache, singles, 1.3, byCPU),
		redis.clean(rivals.Tiercache),
		memory.clean(rivals.Tiercache),
	}
}
