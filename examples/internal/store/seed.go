package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Span is how far back the seeded inquiries reach.
const Span = 3 * 365 * 24 * time.Hour

// Seed describes a database to make. The same Seed makes the same rows.
type Seed struct {
	Users, Inquiries int
	Number           uint64    // of the random generator
	Now              time.Time // the inquiries end here; to the second
	PasswordHash     string    // of every seeded user
	Progress         func(done, total int)
}

// version changes with the schema and with how rows are made.
const version = 1

// File is where a service keeps the database of a seed. The name tells its
// version and size, so that a small one and the full one stand side by side,
// and one of another version is not used.
func File(dir string, sd Seed) string {
	return filepath.Join(dir, fmt.Sprintf("demo-v%d-%d-%d-%d.db", version, sd.Users, sd.Inquiries, sd.Number))
}

// Build writes the database to path. It is built beside path and renamed into
// place when complete, so that an interrupted seed is never mistaken for a
// database; what an earlier interruption left is overwritten. An existing
// database at path is replaced.
func (sd Seed) Build(ctx context.Context, path string) (err error) {
	if sd.Users < minUsers || sd.Inquiries < 1 {
		return fmt.Errorf("store: seed of %d users and %d inquiries: at least %d and 1 are needed", sd.Users, sd.Inquiries, minUsers)
	}
	if sd.Progress == nil {
		sd.Progress = func(int, int) {}
	}
	sd.Now = sd.Now.UTC().Truncate(time.Second)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("store: seed: %w", err)
	}
	half := path + ".seeding"
	if err := remove(half); err != nil {
		return fmt.Errorf("store: seed: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("store: seed: %w", err), remove(half))
		}
	}()
	if err := sd.fill(ctx, half); err != nil {
		return err
	}
	if err := flush(half); err != nil {
		return err
	}
	// The WAL of a database that is being replaced must not be replayed into
	// the new one.
	if err := remove(path); err != nil {
		return err
	}
	if err := os.Rename(half, path); err != nil {
		return err
	}
	return flush(filepath.Dir(path))
}

func remove(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm", path + "-journal"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (sd Seed) fill(ctx context.Context, path string) (err error) {
	// Neither journal nor syncs: the file is worth nothing until it is renamed.
	db := sql.OpenDB(connector{dsn(path, "journal_mode(off)", "synchronous(off)", "cache_size(-65536)", "temp_store(memory)"), &counter{}})
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()

	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	// The indexes are about half of the work; they count as rows of it.
	rows := sd.Users + sd.Inquiries
	perIndex := rows / len(indexes)
	total := rows + perIndex*len(indexes)
	rng := rand.New(rand.NewPCG(sd.Number, 0x7469657263616368))

	people := sd.people()
	if err := bulk(ctx, db, "users", 6, sd.Users, func(i int, row []any) { people.user(i, row, rng) },
		func(done int) { sd.Progress(done, total) }); err != nil {
		return err
	}
	if err := bulk(ctx, db, "inquiries", 12, sd.Inquiries, func(i int, row []any) { people.inquiry(i, row, rng) },
		func(done int) { sd.Progress(sd.Users+done, total) }); err != nil {
		return err
	}
	for i, index := range indexes {
		if _, err := db.ExecContext(ctx, index); err != nil {
			return err
		}
		sd.Progress(rows+(i+1)*perIndex, total)
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO meta VALUES ('seeded_at', ?)`, strconv.FormatInt(sd.Now.Unix(), 10)); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `PRAGMA analysis_limit = 1000; ANALYZE`)
	if err == nil {
		sd.Progress(total, total)
	}
	return err
}

// bulk inserts n rows, many per statement and many statements per transaction.
func bulk(ctx context.Context, db *sql.DB, table string, columns, n int, fill func(i int, row []any), progress func(done int)) error {
	const batch, perTx = 200, 100
	insert := func(rows int) string {
		one := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + ")"
		return "INSERT INTO " + table + " VALUES " + strings.TrimSuffix(strings.Repeat(one+",", rows), ",")
	}
	args := make([]any, batch*columns)
	for done := 0; done < n; {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		stmt, err := tx.PrepareContext(ctx, insert(min(batch, n)))
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		for k := 0; k < perTx && done < n; k++ {
			rows := min(batch, n-done)
			for i := range rows {
				fill(done+i, args[i*columns:(i+1)*columns])
			}
			if rows < min(batch, n) { // the last, short batch
				_, err = tx.ExecContext(ctx, insert(rows), args[:rows*columns]...)
			} else {
				_, err = stmt.ExecContext(ctx, args[:rows*columns]...)
			}
			if err != nil {
				return errors.Join(err, tx.Rollback())
			}
			done += rows
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		progress(done)
	}
	return nil
}
