// Package host lets a program use what is written for tests: a testing.TB that
// is no test.
package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// ErrSkipped is wrapped by Run's error when something said that it cannot be
// had here, redis-server say.
var ErrSkipped = errors.New("skipped")

// Run calls f with a testing.TB and then what f gave to its Cleanup, last first.
// It returns what was said to Error, Fatal or Skip. What f logs is not shown.
// The TB has all that package redistest needs; a method it lacks panics.
func Run(ctx context.Context, name string, f func(t testing.TB)) error {
	h := &program{name: name}
	h.ctx, h.cancel = context.WithCancel(ctx)
	h.guarded(func() { f(h) })
	h.cancel()
	for n := len(h.cleanups); n > 0; n = len(h.cleanups) {
		last := h.cleanups[n-1]
		h.cleanups = h.cleanups[:n-1]
		h.guarded(last)
	}
	if h.dir != "" {
		if err := os.RemoveAll(h.dir); err != nil {
			h.Error(err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(h.errs...)
}

// guarded runs f where Fatal may end the goroutine.
func (h *program) guarded(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

type program struct {
	testing.TB // nil: only what is overridden exists

	name   string
	ctx    context.Context
	cancel context.CancelFunc

	// Used by the goroutine that runs f or a cleanup, one at a time.
	cleanups []func()
	dir      string
	dirs     int

	mu   sync.Mutex // guards errs
	errs []error
}

func (h *program) Helper()                  {}
func (h *program) Name() string             { return h.name }
func (h *program) Context() context.Context { return h.ctx }
func (h *program) Log(...any)               {}
func (h *program) Logf(string, ...any)      {}
func (h *program) Cleanup(f func())         { h.cleanups = append(h.cleanups, f) }

func (h *program) TempDir() string {
	var err error
	if h.dir == "" {
		if h.dir, err = os.MkdirTemp("", "benchmarks"); err != nil {
			h.Fatal(err)
		}
	}
	h.dirs++
	dir := fmt.Sprintf("%s/%d", h.dir, h.dirs)
	if err := os.Mkdir(dir, 0o700); err != nil {
		h.Fatal(err)
	}
	return dir
}

func (h *program) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs = append(h.errs, fmt.Errorf("%s: %w", h.name, err))
}

func (h *program) Failed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.errs) > 0
}

func (h *program) Error(args ...any)                 { h.note(errors.New(line(args))) }
func (h *program) Errorf(format string, args ...any) { h.note(fmt.Errorf(format, args...)) }
func (h *program) Fatal(args ...any)                 { h.Error(args...); runtime.Goexit() }
func (h *program) Fatalf(format string, args ...any) { h.Errorf(format, args...); runtime.Goexit() }
func (h *program) FailNow()                          { h.Fatal("failed") }

func (h *program) Skip(args ...any) {
	h.note(fmt.Errorf("%w: %s", ErrSkipped, line(args)))
	runtime.Goexit()
}

func (h *program) Skipf(format string, args ...any) { h.Skip(fmt.Sprintf(format, args...)) }

func line(args []any) string { return strings.TrimSuffix(fmt.Sprintln(args...), "\n") }
