package flight

import (
	"runtime/debug"

	"github.com/tiercache/tiercache/internal/errs"
)

// Go runs fn, which may be anybody's code, on a goroutine of its own and calls
// done there with its results. A panic becomes *errs.Panic and runtime.Goexit
// errs.ErrGoexit.
func Go[T any](fn func() (T, error), done func(T, error)) {
	go func() {
		var (
			v        T
			err      error
			returned bool
		)
		// The deferred call is the only place that runs after all three ends.
		defer func() {
			if !returned {
				err = recovered(recover())
			}
			done(v, err)
		}()
		v, err = fn()
		returned = true
	}()
}

// recovered turns what recover gave in a function that did not return into an
// error. Only Goexit gives nil: panic(nil) is a *runtime.PanicNilError.
func recovered(r any) error {
	if r == nil {
		return errs.ErrGoexit
	}
	return &errs.Panic{Value: r, Stack: debug.Stack()}
}

// Recovering runs fn here and makes a panic an *errs.Panic.
func Recovering(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = recovered(r)
		}
	}()
	return fn()
}
