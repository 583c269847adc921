package main

import (
	"cmp"
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
	all, err := b.open(ctx, &c, bulkKeys, kilobyte, func(o rivals.Opener) bool { return !again(o) })
	if err != nil {
		return r, err
	}
	var redis, memory []contender
	var notRedis, notMemory []string
	for _, o := range all {
		many := func(strays func() int64, f func(context.Context, []string) (int, error)) contender {
			keys := names(o.keys)
			return contender{name: o.Name, workers: 1, strays: strays, run: func(_, n int) (wrong int64, first error) {
				for range n {
					if _, err := f(ctx, keys); err != nil {
						wrong, first = wrong+1, cmp.Or(first, err)
					}
				}
				return wrong, first
			}}
		}
		if o.ManyFresh != nil {
			redis = append(redis, many(o.notRedis, o.ManyFresh))
		} else {
			notRedis = append(notRedis, o.Name)
		}
		if o.Many == nil {
			notMemory = append(notMemory, o.Name)
		} else {
			// sturdyc has other keys here, and must load them.
			if _, err := o.Many(ctx, names(o.keys)); err != nil {
				return r, fmt.Errorf("%s: %w", o.Name, err)
			}
			memory = append(memory, many(o.notMemory, o.Many))
		}
		if o.Name == rivals.Tiercache {
			one := many(o.notMemory, func(ctx context.Context, keys []string) (int, error) {
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
		of     []contender
		cannot []string
	}{
		{series{Name: bulkRedis, Floor: rivals.GoRedis, By: "wall"}, redis, notRedis},
		{series{Name: bulkMemory, Floor: singles, By: "cpu"}, memory, notMemory},
	} {
		measured, err := b.measure(ctx, s.series, s.of)
		if err != nil {
			return r, err
		}
		measured.without(s.cannot...)
		r.Series = append(r.Series, measured)
	}
	return r, nil
}

func bulkRequired(r report) []requirement {
	redis, memory := r.find(bulkRedis), r.find(bulkMemory)
	return append([]requirement{
		redis.atMost(bulkRedis+": wall of MGET and decode", rivals.Tiercache, rivals.GoRedis, 1.10, byWall),
		memory.atMost(bulkMemory+": CPU of 100 single hits and the map", rivals.Tiercache, singles, 1.3, byCPU),
	}, r.clean(rivals.Tiercache)...)
}
