package compare

import (
	"context"
	"fmt"
	"runtime"

	"github.com/Yiling-J/theine-go"
	"github.com/maypok86/otter/v2"
)

// Footprint is what an entry takes of the heap, its key and its value of 64 bytes
// included, and what is as large with one entry as with all.
type Footprint struct {
	Cache   string
	Entries int64   // still there at the end
	Bytes   float64 // for each
	Account float64 // what the cache itself says; 0: it does not
}

// holder is a cache being filled. Its set takes a key and a value that nobody
// else refers to.
type holder struct {
	set   func(key string, v *Value) error
	count func() int64
	bytes func() int64 // by its own account; nil: it has none
	close func() error
}

const settleEvery = 1000 // sets, where a cache may drop them otherwise

// footprints measures one cache after the other.
func footprints(ctx context.Context, o Options) ([]Footprint, error) {
	var out []Footprint
	for _, h := range []struct {
		name string
		open func(entries int) (holder, error)
	}{
		{Ours, holdOurs}, {Ristretto, holdRistretto}, {Otter, holdOtter}, {Theine, holdTheine}, {"a map", holdMap},
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		o.Progress(fmt.Sprintf("%d entries in %s", o.Entries, h.name))
		f, err := footprint(h.name, o.Entries, h.open)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.name, err)
		}
		out = append(out, f)
	}
	return out, nil
}

func footprint(name string, entries int, open func(int) (holder, error)) (Footprint, error) {
	before := heap()
	h, err := open(entries)
	if err != nil {
		return Footprint{}, err
	}
	for id := range uint32(entries) {
		if err := h.set(keyOf(id), &Value{id: id}); err != nil {
			return Footprint{}, err
		}
	}
	n := h.count()
	f := Footprint{Cache: name, Entries: n, Bytes: float64(heap()-before) / float64(n)}
	if h.bytes != nil {
		f.Account = float64(h.bytes()) / float64(n)
	}
	return f, h.close()
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one moved from pools to their victims
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func holdOurs(entries int) (holder, error) {
	each, err := bytesPerItem()
	if err != nil {
		return holder{}, err
	}
	o, err := newOurs(universe{}, each*int64(entries))
	if err != nil {
		return holder{}, err
	}
	ctx := context.Background()
	return holder{
		set:   func(key string, v *Value) error { return o.cache.Set(ctx, key, v) },
		count: func() int64 { return o.tiers.Stats().MemoryEntries },
		bytes: func() int64 { return o.tiers.Stats().MemoryBytes },
		close: o.close,
	}, nil
}

func holdRistretto(entries int) (holder, error) {
	b, err := newRistretto(universe{}, entries, false)
	if err != nil {
		return holder{}, err
	}
	sets := 0
	return holder{
		set: func(key string, v *Value) error {
			b.r.Set(key, v, 1)
			if sets++; sets%settleEvery == 0 {
				b.r.Wait()
			}
			return nil
		},
		count: func() int64 { b.r.Wait(); return int64(entries) - b.r.RemainingCost() },
		close: b.close,
	}, nil
}

func holdOtter(entries int) (holder, error) {
	o, err := otter.New(&otter.Options[string, *Value]{MaximumSize: entries})
	if err != nil {
		return holder{}, err
	}
	return holder{
		set:   func(key string, v *Value) error { o.Set(key, v); return nil },
		count: func() int64 { o.CleanUp(); return int64(o.EstimatedSize()) },
		close: otterCache{o: o}.close,
	}, nil
}

func holdTheine(entries int) (holder, error) {
	t, err := theine.NewBuilder[string, *Value](int64(entries)).Build()
	if err != nil {
		return holder{}, err
	}
	return holder{
		set:   func(key string, v *Value) error { t.Set(key, v, 1); return nil },
		count: func() int64 { t.Wait(); return int64(t.Len()) },
		close: theineCache{t: t}.close,
	}, nil
}

func holdMap(int) (holder, error) {
	m := make(map[string]*Value)
	return holder{
		set:   func(key string, v *Value) error { m[key] = v; return nil },
		count: func() int64 { return int64(len(m)) },
		close: func() error { clear(m); return nil },
	}, nil
}
