package tiercache

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/internal/batch"
	"github.com/tiercache/tiercache/internal/engine"
)

const (
	defaultWindow = time.Millisecond
	defaultLimit  = 100
)

// BatchOptions of a BatchLoader. The zero value of each is its default; a negative one
// is an error.
type BatchOptions struct {
	// Window is how long the first key of a batch waits for others. Default: 1 ms.
	Window time.Duration

	// Limit is how many keys are loaded at once, at the most: a batch that has as many
	// does not wait. Default: 100.
	Limit int
}

// BatchLoader gathers loads of single keys, which come from anywhere in the process,
// into loads of many. Safe for concurrent use; there is nothing to close.
type BatchLoader[T any] struct {
	g *batch.Gatherer[T]
}

// NewBatchLoader makes a BatchLoader. Its load is that of GetOrLoadMany: what its map
// lacks is ErrNotFound, its error is that of every key in the call, but for a KeyErrors
// beside a map. A panic is a *PanicError for each, and a Goexit ErrGoexit. load's
// context has the values of the one that the first key of the batch came with, and ends
// when all have left.
func NewBatchLoader[T any](load func(context.Context, []string) (map[string]T, error), opts BatchOptions) (*BatchLoader[T], error) {
	switch {
	case load == nil:
		return nil, errNoLoader
	case opts.Window < 0:
		return nil, fmt.Errorf("tiercache: BatchOptions.Window is negative: %v", opts.Window)
	case opts.Limit < 0:
		return nil, fmt.Errorf("tiercache: BatchOptions.Limit is negative: %d", opts.Limit)
	}
	if opts.Window == 0 {
		opts.Window = defaultWindow
	}
	if opts.Limit == 0 {
		opts.Limit = defaultLimit
	}
	return &BatchLoader[T]{batch.NewGatherer(load, opts.Window, opts.Limit)}, nil
}

// Load is the loader of one key, for GetOrLoad say. What it gives is loaded together
// with the other keys that are wanted within the window, once for all who want the
// same. It returns when its context ends.
func (b *BatchLoader[T]) Load(key string) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		return b.g.Load(ctx, engine.WithoutPrevious(ctx), key)
	}
}
