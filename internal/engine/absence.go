package engine

import (
	"errors"

	"github.com/tiercache/tiercache/internal/errs"
)

// ofMany tells whether a loader's error is about many keys. Then it does not say of the
// one that was loaded that it does not exist, nor that it has not changed.
func ofMany(err error) bool {
	_, is := errors.AsType[errs.Keys](err)
	return is
}

// isAbsent tells whether a loader's error says that there is no such thing.
func (c *Cache) isAbsent(err error) bool {
	if ofMany(err) {
		return false
	}
	return errors.Is(err, errs.ErrNotFound) || c.spec.NotFound != nil && c.spec.NotFound(err)
}

// absence is the error of a cached absence. It stands for the error that the
// loader gave when it was cached, so what recognises that one recognises it.
type absence struct{ c *Cache }

func (a absence) Error() string { return errs.ErrNotFound.Error() }

func (a absence) Is(target error) bool {
	return target == errs.ErrNotFound || a.c.spec.NotFound != nil && a.c.spec.NotFound(target)
}

// Absence is the error of a cached absence.
func (c *Cache) Absence() error { return absence{c} }
