package memory

import "sync/atomic"

// Account is what the items of one owner come to. Those of all owners come to what
// the cache has. Safe for concurrent use.
type Account struct{ items, bytes, evictions atomic.Int64 }

// Sums are what an Account comes to.
type Sums struct {
	Items     int64 // those past their deadline and not yet freed included
	Bytes     int64 // their cost
	Evictions int64 // items that had to go to make room for others
}

// NewAccount returns one that Config.Account may name. It is empty once the cache is
// closed, but for its evictions.
func (c *Cache[M]) NewAccount() *Account {
	a := new(Account)
	c.settling.Lock()
	defer c.settling.Unlock()
	c.accounts = append(c.accounts, a)
	return a
}

// Sums of an account of this cache, nil for all there is. Bytes of all are at most the
// budget given to New but for items that the policy has not been told of. Deleted,
// overwritten, refused and expired items are no evictions.
func (c *Cache[M]) Sums(a *Account) Sums {
	c.Settle()
	if a == nil {
		a = &c.all
	}
	return a.Sums()
}

// Sums are those of when the policy was told last, and of what came since.
func (a *Account) Sums() Sums {
	return Sums{Items: a.items.Load(), Bytes: a.bytes.Load(), Evictions: a.evictions.Load()}
}

// Len returns the number of items.
func (c *Cache[M]) Len() int { return int(c.Sums(nil).Items) }

// Bytes returns what they cost together.
func (c *Cache[M]) Bytes() int64 { return c.Sums(nil).Bytes }

// Evictions returns how many items had to go to make room for others.
func (c *Cache[M]) Evictions() int64 { return c.Sums(nil).Evictions }

func (a *Account) empty() {
	a.items.Store(0)
	a.bytes.Store(0)
}

// account counts an item in or out of what is stored; nil: there is none.
func (c *Cache[M]) account(it *Item[M], sign int64) {
	if it == nil {
		return
	}
	cost := sign * c.cost(it)
	c.all.items.Add(sign)
	c.all.bytes.Add(cost)
	if c.accountOf != nil {
		a := c.accountOf(&it.Meta)
		a.items.Add(sign)
		a.bytes.Add(cost)
	}
}

func (c *Cache[M]) evicted(it *Item[M]) {
	c.all.evictions.Add(1)
	if c.accountOf != nil {
		c.accountOf(&it.Meta).evictions.Add(1)
	}
}
