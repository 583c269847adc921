package tiercache

import (
	"errors"

	"github.com/tiercache/tiercache/internal/errs"
)

var (
	// ErrNotFound is for a loader to return, wrapped or not, when the source has
	// no such thing. It is cached for Options.NegativeTTL, and GetOrLoad returns
	// it for as long. A loader may return another error of that meaning, see
	// Options.NotFound; callers compare with the one that their loader returns:
	// errors.Is finds it in the load's own answer and in the cached one.
	ErrNotFound = errs.ErrNotFound

	// ErrNotModified is for a loader to return, wrapped or not, when the value that
	// Previous gave it is still the newest: it lives on in every tier, and is not
	// written again. Without a Previous it is an error like any other.
	ErrNotModified = errs.ErrNotModified

	// ErrClosed is returned by everything that is used after Tiers.Close, and by
	// what Close interrupted.
	ErrClosed = errs.ErrClosed

	// ErrNotMarked is what Tiers.Mutate's error wraps when Redis could not be told
	// before the change: the function was not run.
	ErrNotMarked = errs.ErrNotMarked

	// ErrGoexit is returned when a loader, or another function of yours, ended its goroutine with
	// runtime.Goexit, as t.FailNow does, instead of returning.
	ErrGoexit = errs.ErrGoexit
)

// PanicError is returned, to every caller that waited for it, when a loader or
// codec panicked. Value is what it panicked with, Stack where; it unwraps to
// Value if that is an error. The next call loads again.
type PanicError = errs.Panic

// LoadTimeoutError is returned when a load took longer than
// Options.LoadTimeout. It unwraps to context.DeadlineExceeded.
type LoadTimeoutError = errs.LoadTimeout

var errNoLoader = errors.New("tiercache: the loader is nil")
