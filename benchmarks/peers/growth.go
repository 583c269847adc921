package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/benchmarks/peers/rivals"
)

// errAbsent is of a key that memory was known to have.
var errAbsent = errors.New("absent")

const (
	plainMap = "map"
	// growthLimit is how much more than a plain map's a hit's time may grow.
	growthLimit = 1.3
)

func keysSeries(n int) string    { return "memory hit, " + plural(n, "key") + " at random" }
func callersSeries(n int) string { return "memory hit, " + plural(n, "goroutine") }
func sizeSeries(n int) string    { return fmt.Sprintf("Redis hit, values of %s", size(n)) }

var (
	allKeys    = []int{1_000, 10_000, 100_000, 1_000_000}
	allCallers = []int{1, 2, 4, 8, 16, 32, 64}
	allSizes   = []int{100, 10_000, 1_000_000}
)

func growth(ctx context.Context, b *bench) (r report, err error) {
	keys := quickly(b, allKeys[:2], allKeys)
	if r.Series, err = b.moreKeys(ctx, keys); err != nil {
		return r, err
	}
	for _, f := range []func(context.Context) ([]series, error){b.moreCallers, b.largerValues} {
		more, err := f(ctx)
		if err != nil {
			return r, err
		}
		r.Series = append(r.Series, more...)
	}
	return r, nil
}

// moreKeys has Tiers without a Redis, which a million loads would go through. The
// checks that hearing adds to a hit are the same for any number of keys: without
// them what grows is the larger part. All sizes are measured in the same rounds,
// each beside a map of its own.
func (b *bench) moreKeys(ctx context.Context, sizes []int) (_ []series, err error) {
	var c closer
	defer c.close(&err)
	var contenders []contender
	for _, n := range sizes {
		// As much memory as these keys need, at least the default: what finds the
		// entries that are used little grows with it, as it would in a service.
		tiers, err := tiercache.Open(tiercache.Config{MemoryBytes: max(64<<20, int64(n)<<10)})
		if err != nil {
			return nil, err
		}
		c.add(tiers.Close)
		source := &rivals.Source{Size: 100}
		cache, err := tiercache.New(tiers, tiercache.Options[*rivals.Profile]{Name: keysSeries(n), TTL: 24 * time.Hour})
		if err != nil {
			return nil, err
		}
		all := items(b.user(), n)
		get := func(ctx context.Context, key string) (int64, error) {
			p, err := cache.GetOrLoad(ctx, key, func(ctx context.Context) (*rivals.Profile, error) { return source.Load(ctx, key) })
			if err != nil {
				return 0, err
			}
			return p.ID, nil
		}
		hit := func(ctx context.Context, key string) (int64, error) {
			p, ok, err := cache.Get(ctx, key)
			if !ok {
				return 0, cmp.Or(err, errAbsent)
			}
			return p.ID, nil
		}
		plain := make(map[string]*rivals.Profile, n)
		for _, one := range all {
			if plain[one.key], err = source.Load(ctx, one.key); err != nil {
				return nil, err
			}
		}
		o := &opened{Cache: &rivals.Cache{Get: get}, source: source, keys: all}
		if err := o.warm(ctx); err != nil {
			return nil, fmt.Errorf("%d keys: %w", n, err)
		}
		order := anyOrder(n)
		contenders = append(contenders,
			contender{name: fmt.Sprint(plainMap, " ", n), workers: 1, run: gets(ctx, func(_ context.Context, key string) (int64, error) { return plain[key].ID, nil }, all, order)},
			contender{name: fmt.Sprint(rivals.Tiercache, " ", n), workers: 1, strays: o.notMemory, run: gets(ctx, hit, all, order)})
	}
	joint, err := b.measure(ctx, series{By: "cpu", brief: true}, contenders)
	if err != nil {
		return nil, err
	}
	return split(joint, sizes), nil
}

// split makes a series of each size.
func split(joint series, sizes []int) []series {
	var all []series
	for i, n := range sizes {
		s := series{Name: keysSeries(n), Floor: plainMap, By: joint.By, Idle: joint.Idle, Rows: joint.Rows[2*i : 2*i+2]}
		s.Rows[0].Name, s.Rows[1].Name = plainMap, rivals.Tiercache
		s.settle()
		all = append(all, s)
	}
	return all
}

// anyOrder is at least 64 Ki indexes below n, all equally often, always the same.
func anyOrder(n int) []uint32 {
	r := rand.New(rand.NewPCG(3, 4))
	length := 1 << 16
	for length < n {
		length *= 2
	}
	order := make([]uint32, length)
	for i := range order {
		order[i] = uint32(r.IntN(n))
	}
	return order
}

// grown is the median over the rounds of how much more a hit's time has grown,
// from the first series to the last, than the map's.
func grown(first, last series) float64 {
	var all []float64
	a, b, c, d := first.row(plainMap), first.row(rivals.Tiercache), last.row(plainMap), last.row(rivals.Tiercache)
	if a == nil || b == nil || c == nil || d == nil {
		return 0
	}
	for i := range a.samples {
		if v := (d.samples[i].cpu / b.samples[i].cpu) / (c.samples[i].cpu / a.samples[i].cpu); v > 0 {
			all = append(all, v)
		}
	}
	return median(all)
}

func growthRequired(r report) []requirement {
	first, last := r.find(keysSeries(allKeys[0])), r.find(keysSeries(allKeys[len(allKeys)-1]))
	q := requirement{
		What: fmt.Sprintf("CPU of a hit, %s to %s: growth beside a map's", plural(allKeys[0], "key"), plural(allKeys[len(allKeys)-1], "key")),
		Got:  grown(first, last), Limit: growthLimit, Unit: "×",
	}
	if q.Got == 0 {
		q.Missing = "not measured"
	}
	return append([]requirement{q}, r.clean(rivals.Tiercache)...)
}

func (b *bench) moreCallers(ctx context.Context) (all []series, err error) {
	var c closer
	defer c.close(&err)
	caches, err := b.open(ctx, &c, quickly(b, 256, 4096), kilobyte, func(o rivals.Opener) bool {
		return o.Name == rivals.Tiercache || o.Name == rivals.RistrettoTTL || o.Name == rivals.OtterLoading
	})
	if err != nil {
		return nil, err
	}
	order := zipf(len(caches[0].keys))
	for _, n := range quickly(b, []int{1, 64}, allCallers) {
		var contenders []contender
		for _, o := range caches {
			contenders = append(contenders, contender{name: o.Name, workers: n, strays: o.notMemory, run: gets(ctx, o.hit(), o.keys, order)})
		}
		s, err := b.measure(ctx, series{Name: callersSeries(n), Floor: rivals.RistrettoTTL, By: "wall", brief: true}, contenders)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (b *bench) largerValues(ctx context.Context) (all []series, err error) {
	for _, n := range quickly(b, []int{100, 10_000}, allSizes) {
		s, err := b.ofSize(ctx, n)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (b *bench) ofSize(ctx context.Context, n int) (s series, err error) {
	var c closer
	defer c.close(&err)
	caches, err := b.open(ctx, &c, 8, n, func(o rivals.Opener) bool {
		return o.Name == rivals.Tiercache || o.Name == rivals.GoRedis || o.Name == rivals.Rueidis || o.Name == rivals.GoRedisCache
	})
	if err != nil {
		return s, err
	}
	var contenders []contender
	for _, o := range caches {
		contenders = append(contenders, contender{name: o.Name, workers: 1, strays: o.notRedis, run: apart(ctx, o.Fresh, o.keys, 1)})
	}
	return b.measure(ctx, series{Name: sizeSeries(n), Floor: rivals.GoRedis, By: "wall", lone: true}, contenders)
}
