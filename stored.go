package tiercache

import "reflect"

// The engine knows values as any. What is itself a pointer is stored as it is; other
// values as a pointer to them, for to decode into and to copy from. So a hit follows
// one pointer to what the caller wants, and not two.

// direct tells whether a T is stored as it is.
func direct[T any]() bool {
	kind := reflect.TypeFor[T]().Kind()
	return kind == reflect.Pointer || kind == reflect.Map
}

// valueOf is what was stored. The pointer is tried first: if T is an interface, the
// pointer is a T too. What a cache of another type stored must not come here: a *T may
// be a T of this cache, or all of another's value, nil too.
func valueOf[T any](stored any) T {
	if p, ok := stored.(*T); ok {
		return *p
	}
	v, ok := stored.(T)
	if !ok {
		panic("bug: tiercache: a stored value of another type")
	}
	return v
}

// stored is what p points to as it is stored, which may be p.
func (c *Cache[T]) stored(p *T) any {
	if c.direct {
		return any(*p)
	}
	return p
}
