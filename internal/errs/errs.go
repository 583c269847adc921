// Package errs holds the errors that several packages return and the root
// package exports.
package errs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	ErrNotMarked   = errors.New("tiercache: the keys could not be marked, so the change was not made")
	ErrNotFound    = errors.New("tiercache: not found")
	ErrNotModified = errors.New("tiercache: not modified")
	ErrClosed      = errors.New("tiercache: closed")
	ErrGoexit      = errors.New("tiercache: a function of yours ended its goroutine (runtime.Goexit) instead of returning")
)

// Panic is a recovered panic of code that the user gave.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string {
	return fmt.Sprintf("tiercache: panic in a loader or codec: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap gives the value of the panic if it was an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// LoadTimeout is the error of a load that was given up.
type LoadTimeout struct {
	Key   string
	After time.Duration
}

func (e *LoadTimeout) Error() string {
	return fmt.Sprintf("tiercache: load of %q took longer than LoadTimeout (%v)", e.Key, e.After)
}

// Unwrap gives context.DeadlineExceeded.
func (e *LoadTimeout) Unwrap() error { return context.DeadlineExceeded }
