package compare

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/tiercache/tiercache/internal/memory"
)

// Names of the memory tier alone, without what GetOrLoad does around it.
const (
	OnRistretto = "memory tier on ristretto"
	OnOtter     = "memory tier on otter"
)

// tier is the memory tier that tiercache has, on a policy.
type tier struct {
	u     universe
	c     *memory.Cache[*Value]
	reads *memory.Reads
}

func openTier(policy memory.Make) func(u universe, capacity int) (cache, error) {
	return func(u universe, capacity int) (cache, error) {
		probe, err := newTier(u, math.MaxInt32, nil)
		if err != nil {
			return nil, err
		}
		probe.c.Set(probe.item(0))
		each := probe.c.Bytes()
		if err := probe.close(); err != nil {
			return nil, err
		}
		return newTier(u, each*int64(capacity), policy)
	}
}

func newTier(u universe, bytes int64, policy memory.Make) (*tier, error) {
	base := time.Now()
	c, err := memory.New(memory.Config[*Value]{
		MaxBytes: bytes, Now: func() int64 { return int64(time.Since(base)) }, Policy: policy,
	})
	if err != nil {
		return nil, err
	}
	return &tier{u: u, c: c, reads: c.NewReads()}, nil
}

func (t *tier) item(id uint32) *memory.Item[*Value] {
	key := t.u.keys[id]
	return &memory.Item[*Value]{Hash: memory.Hash(key), Key: key, Size: valueBytes, Meta: t.u.values[id]}
}

func (t *tier) read(id uint32) (*Value, bool, error) {
	key := t.u.keys[id]
	hash := memory.Hash(key)
	if it := t.c.Get(hash, key); it != nil {
		t.reads.Note(hash)
		return it.Meta, true, nil
	}
	it := t.item(id)
	if !t.c.Set(it) {
		return nil, false, fmt.Errorf("the item of %s does not fit", key)
	}
	return it.Meta, false, nil
}

func (t *tier) settle()       { t.c.Len() }
func (t *tier) lost() float64 { return -1 }

func (t *tier) close() error {
	t.c.Close()
	return nil
}

// otterPolicy is otter as the policy of the memory tier. Its entries are costs, and it
// works on the goroutine that tells it something.
type otterPolicy struct {
	o    *otter.Cache[uint64, int64]
	left []memory.Left
}

func newOtterPolicy(maxBytes, _ int64) (memory.Policy, error) {
	p := new(otterPolicy)
	var err error
	p.o, err = otter.New(&otter.Options[uint64, int64]{
		MaximumWeight: uint64(maxBytes),
		Weigher:       func(_ uint64, cost int64) uint32 { return uint32(min(cost, math.MaxUint32)) },
		OnAtomicDeletion: func(e otter.DeletionEvent[uint64, int64]) {
			if e.WasEvicted() {
				p.left = append(p.left, memory.Left{Hash: e.Key, Evicted: true})
			}
		},
		Executor: func(f func()) { f() },
	})
	return p, err
}

func (p *otterPolicy) Apply(batch []memory.Change) []memory.Left {
	p.left = p.left[:0]
	for _, c := range batch {
		if c.Cost == 0 {
			p.o.Invalidate(c.Hash)
		} else {
			p.o.Set(c.Hash, c.Cost)
		}
	}
	p.o.CleanUp()
	return slices.DeleteFunc(p.left, func(l memory.Left) bool { _, has := p.o.GetEntryQuietly(l.Hash); return has })
}

func (p *otterPolicy) Touch(hashes []uint64) {
	for _, h := range hashes {
		p.o.GetIfPresent(h)
	}
}

func (p *otterPolicy) Close() { p.o.StopAllGoroutines() }
