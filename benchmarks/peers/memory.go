package main

import (
	"cmp"
	"context"
	"math/rand/v2"
	"runtime"

	"github.com/tiercache/tiercache/benchmarks/peers/rivals"
)

// harness is the loop alone, around a call that does nothing. All contenders
// have it in their figures, the floor too.
const harness = "harness"

// kilobyte is the JSON of a value, where nothing else is said.
const kilobyte = 1000

// zipf draws 64 Ki indexes below n, a few of them often, always the same ones.
func zipf(n int) []uint32 {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, uint64(n-1))
	order := make([]uint32, 1<<16)
	for i := range order {
		order[i] = uint32(z.Uint64())
	}
	return order
}

// gets asks for the items in the order, each worker from a place of its own, and
// checks each answer.
func gets(ctx context.Context, get func(context.Context, string) (int64, error), all []item, order []uint32) func(worker, n int) (int64, error) {
	mask := len(order) - 1
	return func(worker, n int) (wrong int64, first error) {
		from := worker * 7919
		for i := range n {
			one := &all[order[(from+i)&mask]]
			if id, err := get(ctx, one.key); err != nil || id != one.id {
				wrong, first = wrong+1, cmp.Or(first, one.check(id, err))
			}
		}
		return wrong, first
	}
}

// nothing answers as the harness expects of the item 0.
func nothing(context.Context, string) (int64, error) { return 0, nil }

func memorySeries(keys, mode string) string { return "memory hit, " + keys + ", " + mode }

func memoryHit(ctx context.Context, b *bench) (r report, err error) {
	var c closer
	defer c.close(&err)
	all, err := b.open(ctx, &c, quickly(b, 256, 4096), kilobyte, func(o rivals.Opener) bool { return o.Memory })
	if err != nil {
		return r, err
	}
	for _, keys := range []struct {
		name  string
		order []uint32
	}{{"hot", make([]uint32, 2)}, {"Zipf", zipf(len(all[0].keys))}} {
		for _, mode := range []struct {
			name    string
			workers int
		}{{"serial", 1}, {"parallel", runtime.GOMAXPROCS(0)}} {
			contenders := []contender{{name: harness, workers: mode.workers, run: gets(ctx, nothing, make([]item, len(all[0].keys)), keys.order)}}
			for _, o := range all {
				contenders = append(contenders, contender{
					name: o.Name, workers: mode.workers, strays: o.notMemory,
					run: gets(ctx, o.hit(), o.keys, keys.order),
				})
			}
			s, err := b.measure(ctx, series{Name: memorySeries(keys.name, mode.name), Floor: rivals.RistrettoTTL, By: "cpu", brief: true}, contenders)
			if err != nil {
				return r, err
			}
			r.Series = append(r.Series, s)
		}
	}
	return r, nil
}

func memoryRequired(r report) []requirement {
	var all []requirement
	for _, s := range r.Series {
		all = append(all,
			s.atMost(s.Name+": CPU of a bare ristretto Get with TTL", rivals.Tiercache, rivals.RistrettoTTL, 1, byCPU),
			s.atMost(s.Name+": CPU of otter's loading Get", rivals.Tiercache, rivals.OtterLoading, 1, byCPU),
			s.atLeast(s.Name+": times faster than go-redis/cache", rivals.Tiercache, rivals.GoRedisCache, 12, byCPU))
		all = append(all, s.allocs(rivals.Tiercache)...)
	}
	return append(all, r.clean(rivals.Tiercache)...)
}
