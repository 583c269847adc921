package main

import (
	"cmp"
	"context"

	"github.com/tiercache/tiercache/benchmarks/peers/rivals"
)

var redisCallers = []int{1, 64, 512}

func redisSeries(callers int) string { return "Redis hit, " + plural(callers, "goroutine") }

func redisHit(ctx context.Context, b *bench) (r report, err error) {
	var c closer
	defer c.close(&err)
	// Each goroutine has keys of its own, so that no two share one read.
	all, err := b.open(ctx, &c, quickly(b, 512, 4096), kilobyte, func(o rivals.Opener) bool {
		return !again(o)
	})
	if err != nil {
		return r, err
	}
	for _, callers := range redisCallers {
		var contenders []contender
		var cannot []string
		for _, o := range all {
			if o.Fresh == nil {
				cannot = append(cannot, o.Name)
				continue
			}
			contenders = append(contenders, contender{
				name: o.Name, workers: callers, strays: o.notRedis,
				run: apart(ctx, o.Fresh, o.keys, callers),
			})
		}
		s, err := b.measure(ctx, series{Name: redisSeries(callers), Floor: rivals.GoRedis, By: "wall", lone: callers == 1}, contenders)
		if err != nil {
			return r, err
		}
		s.without(cannot...)
		r.Series = append(r.Series, s)
	}
	return r, nil
}

// apart gives each worker its share of the items.
func apart(ctx context.Context, get func(context.Context, string) (int64, error), all []item, workers int) func(worker, n int) (int64, error) {
	share := len(all) / workers
	return func(worker, n int) (wrong int64, first error) {
		own := all[worker*share : (worker+1)*share]
		for i := range n {
			one := &own[i%share]
			if id, err := get(ctx, one.key); err != nil || id != one.id {
				wrong, first = wrong+1, cmp.Or(first, one.check(id, err))
			}
		}
		return wrong, first
	}
}

func redisRequired(r report) []requirement {
	one, many := r.find(redisSeries(1)), r.find(redisSeries(512))
	return append([]requirement{
		one.atMost(one.Name+": wall of GET and decode", rivals.Tiercache, rivals.GoRedis, 1.10, byWall),
		many.atMost(many.Name+": wall of GET and decode", rivals.Tiercache, rivals.GoRedis, 0.5, byWall),
	}, r.clean(rivals.Tiercache)...)
}
