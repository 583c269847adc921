package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/Yiling-J/theine-go"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/maypok86/otter/v2"

	"github.com/tiercache/tiercache"
)

// Value is what all caches hold a pointer to.
type Value struct {
	id uint32
	_  [60]byte
}

const valueBytes = 64

// universe is the data source: key and value of every id.
type universe struct {
	keys   []string
	values []*Value
}

// keyOf returns the key of an id. All are of the same length.
func keyOf(id uint32) string { return fmt.Sprintf("item:%08d", id) }

func newUniverse(n int) universe {
	u := universe{make([]string, n), make([]*Value, n)}
	for i := range n {
		u.keys[i], u.values[i] = keyOf(uint32(i)), &Value{id: uint32(i)}
	}
	return u
}

// cache is a contender with something in front of it that loads. It is for one
// goroutine.
type cache interface {
	// read returns the value of an id, and whether it was there. If not it is
	// loaded and stored.
	read(id uint32) (v *Value, hit bool, err error)
	// settle returns when the policy knows of what was stored.
	settle()
	// lost is which share of the accesses the policy was not told of, negative if
	// that cannot be seen.
	lost() float64
	close() error
}

// Contender is a cache to be compared.
type Contender struct {
	Name string
	open func(u universe, capacity int) (cache, error)
}

const (
	Ours      = "tiercache"
	Ristretto = "ristretto"
	Otter     = "otter"
	Theine    = "theine"
)

// Contenders returns all of them, ours first.
func Contenders() []Contender {
	return []Contender{
		{Ours, openOurs},
		{Ristretto, openRistretto},
		{Otter, openOtter},
		{Theine, openTheine},
		{OnRistretto, openTier(nil)},
		{OnOtter, openTier(newOtterPolicy)},
	}
}

// ours is a tiercache of memory only.
type ours struct {
	u      universe
	tiers  *tiercache.Tiers
	cache  *tiercache.Cache[*Value]
	id     uint32 // what load is to load
	loaded bool
	load   func(context.Context) (*Value, error)
}

const forever = 1000 * time.Hour

func newOurs(u universe, bytes int64) (*ours, error) {
	tiers, err := tiercache.Open(tiercache.Config{MemoryBytes: bytes})
	if err != nil {
		return nil, err
	}
	c, err := tiercache.New(tiers, tiercache.Options[*Value]{
		Name: "c", TTL: forever, Cost: func(*Value) int64 { return valueBytes },
	})
	if err != nil {
		return nil, err
	}
	o := &ours{u: u, tiers: tiers, cache: c}
	o.load = func(context.Context) (*Value, error) {
		o.loaded = true
		return o.u.values[o.id], nil
	}
	return o, nil
}

// bytesPerItem is what tiercache counts for an item of these keys and values.
func bytesPerItem() (int64, error) {
	const some = 100
	o, err := newOurs(newUniverse(some), 1<<20)
	if err != nil {
		return 0, err
	}
	for id := range uint32(some) {
		if _, _, err := o.read(id); err != nil {
			return 0, err
		}
	}
	s := o.tiers.Stats()
	if s.MemoryEntries != some || s.MemoryBytes%some != 0 {
		return 0, fmt.Errorf("%d entries of %d bytes, want %d of equal size", s.MemoryEntries, s.MemoryBytes, some)
	}
	return s.MemoryBytes / some, o.close()
}

func openOurs(u universe, capacity int) (cache, error) {
	each, err := bytesPerItem()
	if err != nil {
		return nil, err
	}
	return newOurs(u, each*int64(capacity))
}

func (o *ours) read(id uint32) (*Value, bool, error) {
	o.id, o.loaded = id, false
	v, err := o.cache.GetOrLoad(context.Background(), o.u.keys[id], o.load)
	return v, !o.loaded, err
}

func (o *ours) settle()       { o.tiers.Stats() } // brings the account up to date
func (o *ours) lost() float64 { return -1 }
func (o *ours) close() error  { return o.tiers.Close() }

type bare struct {
	u universe
	r *ristretto.Cache[string, *Value]
}

func newRistretto(u universe, capacity int, metrics bool) (*bare, error) {
	r, err := ristretto.NewCache(&ristretto.Config[string, *Value]{
		NumCounters: 10 * int64(capacity), MaxCost: int64(capacity), BufferItems: 64,
		IgnoreInternalCost: true, Metrics: metrics,
	})
	return &bare{u, r}, err
}

func openRistretto(u universe, capacity int) (cache, error) { return newRistretto(u, capacity, true) }

func (b *bare) read(id uint32) (*Value, bool, error) {
	v, hit := b.r.Get(b.u.keys[id])
	if !hit {
		v = b.u.values[id]
		b.r.Set(b.u.keys[id], v, 1)
	}
	return v, hit, nil
}

func (b *bare) settle() { b.r.Wait() }

func (b *bare) lost() float64 {
	kept, dropped := b.r.Metrics.GetsKept(), b.r.Metrics.GetsDropped()
	return float64(dropped) / max(1, float64(kept+dropped))
}

func (b *bare) close() error {
	b.r.Close()
	return nil
}

type otterCache struct {
	u universe
	o *otter.Cache[string, *Value]
}

func openOtter(u universe, capacity int) (cache, error) {
	o, err := otter.New(&otter.Options[string, *Value]{MaximumSize: capacity})
	return otterCache{u, o}, err
}

func (c otterCache) read(id uint32) (*Value, bool, error) {
	v, hit := c.o.GetIfPresent(c.u.keys[id])
	if !hit {
		v = c.u.values[id]
		c.o.Set(c.u.keys[id], v)
	}
	return v, hit, nil
}

func (c otterCache) settle()       { c.o.CleanUp() }
func (c otterCache) lost() float64 { return -1 }

func (c otterCache) close() error {
	c.o.StopAllGoroutines()
	return nil
}

type theineCache struct {
	u universe
	t *theine.Cache[string, *Value]
}

func openTheine(u universe, capacity int) (cache, error) {
	t, err := theine.NewBuilder[string, *Value](int64(capacity)).Build()
	return theineCache{u, t}, err
}

func (c theineCache) read(id uint32) (*Value, bool, error) {
	v, hit := c.t.Get(c.u.keys[id])
	if !hit {
		v = c.u.values[id]
		c.t.Set(c.u.keys[id], v, 1)
	}
	return v, hit, nil
}

func (c theineCache) settle()       { c.t.Wait() }
func (c theineCache) lost() float64 { return -1 }

func (c theineCache) close() error {
	c.t.Close()
	return nil
}
