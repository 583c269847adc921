package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/benchmarks/peers/rivals"
)

// group is one kind of measurement, with what it requires of tiercache. A new one
// is a line in groups.
type group struct {
	name, what   string
	run          func(context.Context, *bench) (report, error)
	requirements func(report) []requirement
}

var groups = []group{
	{"memory", "a hit in memory", memoryHit, memoryRequired},
	{"redis", "a hit in Redis", redisHit, redisRequired},
	{"bulk", "100 keys at once", bulk, bulkRequired},
	{"stampede", "1,000 goroutines ask for one cold key", stampede, stampedeRequired},
	{"growth", "more keys, more goroutines, larger values", growth, growthRequired},
}

// bench is how and where is measured.
type bench struct {
	addr   string // of a redis-server that nothing else uses
	pid    int    // its
	rounds int
	window time.Duration // of one contender in one round
	quick  bool          // few keys and few rounds; shows that it works
	users  int           // of its Redis: each has keys that nobody else has
}

// report is what a group found.
type report struct {
	Group        string        `json:"group"`
	What         string        `json:"what"`
	Series       []series      `json:"series"`
	Requirements []requirement `json:"requirements"`
}

// find returns the series with the name, which a group has given it.
func (r report) find(name string) series {
	for _, s := range r.Series {
		if s.Name == name {
			return s
		}
	}
	return series{Name: name}
}

// quickly is a where figures do not count, else b.
func quickly[T any](b *bench, quick, full T) T {
	if b.quick {
		return quick
	}
	return full
}

// user is a new one.
func (b *bench) user() int {
	b.users++
	return b.users
}

// opened is a contender's cache, with the keys that are its alone.
type opened struct {
	rivals.Opener
	*rivals.Cache
	source *rivals.Source
	keys   []item
}

// item is a key and what its value must say.
type item struct {
	key string
	id  int64
}

// notMemory counts answers of Get that did not come from memory, or not from
// where they were stored if the cache has no memory.
func (o *opened) notMemory() int64 {
	if o.NotMemory != nil {
		return o.NotMemory()
	}
	return o.source.Loads.Load()
}

// hit is how what memory has is asked for.
func (o *opened) hit() func(context.Context, string) (int64, error) {
	if o.Hit != nil {
		return o.Hit
	}
	return o.Get
}

// notRedis is notMemory of Fresh and Redis.
func (o *opened) notRedis() int64 {
	if o.NotRedis != nil {
		return o.NotRedis()
	}
	return o.source.Loads.Load()
}

// again tells ours with another call, which differs in memory only.
func again(o rivals.Opener) bool {
	return o.Name == rivals.TiercacheByValue || o.Name == rivals.TiercacheCapturing
}

func items(user, n int) []item {
	all := make([]item, n)
	for i := range all {
		all[i] = item{rivals.Key(user, int64(i)), int64(i)}
	}
	return all
}

func names(all []item) []string {
	keys := make([]string, len(all))
	for i, one := range all {
		keys[i] = one.key
	}
	return keys
}

// closer ends what was opened, the last first.
type closer []func() error

func (c *closer) add(f func() error) { *c = append(*c, f) }

func (c *closer) close(err *error) {
	for i := len(*c) - 1; i >= 0; i-- {
		if e := (*c)[i](); e != nil && *err == nil {
			*err = e
		}
	}
}

// open opens the chosen of all rivals, and stores keys in each.
func (b *bench) open(ctx context.Context, c *closer, keys, size int, chosen func(rivals.Opener) bool) ([]*opened, error) {
	var all []*opened
	for _, o := range rivals.All {
		if !chosen(o) {
			continue
		}
		one := &opened{Opener: o, source: &rivals.Source{Size: size}, keys: items(b.user(), keys)}
		var err error
		if one.Cache, err = o.Open(rivals.Env{Addr: b.addr, Source: one.source}); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Name, err)
		}
		c.add(one.Close)
		if err := one.warm(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Name, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// settleWithin is how long what was stored may take to be found.
const settleWithin = 30 * time.Second

// warm asks for each key until all are answered from where they were stored: by
// memory if the cache has one. Each answer is checked.
func (o *opened) warm(ctx context.Context) error {
	pass := func(workers int) error {
		_, _, err := contender{workers: workers, run: apart(ctx, o.Get, o.keys, workers)}.drive(len(o.keys))
		return err
	}
	if err := pass(min(8, len(o.keys))); err != nil { // they wait for a server, mostly
		return err
	}
	for deadline := time.Now().Add(settleWithin); ; {
		before := o.notMemory()
		if err := pass(1); err != nil {
			return err
		}
		if o.notMemory() == before {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v %d keys are still not answered from where they were stored", settleWithin, len(o.keys))
		}
	}
}

func (i item) check(id int64, err error) error {
	if err != nil {
		return err
	}
	if id != i.id {
		return fmt.Errorf("asked for %q and got the profile %d", i.key, id)
	}
	return nil
}
