package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// openStore opens the database, and seeds it first if it is not there or older
// than wanted.
func openStore(ctx context.Context, o options, stderr io.Writer) (*store.Store, error) {
	path := store.File(o.data, o.seed)
	if _, err := os.Stat(path); err == nil {
		db, err := store.Open(ctx, path)
		if err != nil {
			return nil, err
		}
		if o.reseed == 0 || time.Since(db.SeededAt()) < o.reseed {
			return db, nil
		}
		if err := db.Close(); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	hash, err := auth.HashPassword(auth.DemoPassword, auth.Iterations)
	if err != nil {
		return nil, err
	}
	o.seed.PasswordHash = hash
	o.seed.Now = time.Now()
	o.seed.Progress = bar(stderr, fmt.Sprintf("seeding %d users and %d inquiries", o.seed.Users, o.seed.Inquiries))
	if err := o.seed.Build(ctx, path); err != nil {
		return nil, err
	}
	return store.Open(ctx, path)
}

// bar draws progress: over itself on a terminal, else a line every quarter.
func bar(w io.Writer, what string) func(done, total int) {
	const width = 30
	terminal := false
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	began, shown := time.Now(), -1
	return func(done, total int) {
		step, end := done*100/total, "\n"
		if terminal && done < total {
			end = ""
		}
		if !terminal {
			step = done * 4 / total * 25
		}
		if step == shown {
			return
		}
		shown = step
		start := ""
		if terminal {
			start = "\r"
		}
		fmt.Fprintf(w, "%s%s [%s%s] %3d %% %4.1f s%s", start, what, strings.Repeat("#", step*width/100),
			strings.Repeat(".", width-step*width/100), step, time.Since(began).Seconds(), end)
	}
}
