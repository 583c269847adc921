package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// Store is an open database: a pool of readers, one per CPU, and one writer,
// because SQLite has one writer at a time and queueing in Go is fairer than
// SQLITE_BUSY. Safe for concurrent use.
type Store struct {
	reads, writes *sql.DB
	count         counter

	agents   []int64 // their ids; agents never change after seeding
	turn     atomic.Uint64
	seededAt time.Time
}

// Open opens the seeded database at path. It fails if there is none: Seed makes one.
func Open(ctx context.Context, path string) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("store: no database, seed it first: %w", err)
	}
	s := &Store{}
	readers := max(2, runtime.GOMAXPROCS(0))
	s.reads = sql.OpenDB(connector{dsn(path, "busy_timeout(5000)", "journal_mode(wal)", "query_only(1)", "cache_size(-65536)", "temp_store(memory)"), &s.count})
	s.reads.SetMaxOpenConns(readers)
	s.reads.SetMaxIdleConns(readers)
	// _txlock=immediate: a transaction that reads and then writes would
	// otherwise fail with SQLITE_BUSY_SNAPSHOT beside another process's writer.
	s.writes = sql.OpenDB(connector{dsn(path, "busy_timeout(5000)", "journal_mode(wal)", "synchronous(normal)", "foreign_keys(1)") + "&_txlock=immediate", &s.count})
	s.writes.SetMaxOpenConns(1)

	if err := s.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %s is not a seeded database: %w", path, err), s.Close())
	}
	return s, nil
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func (s *Store) check(ctx context.Context) error {
	var at string
	if err := s.reads.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = 'seeded_at'`).Scan(&at); err != nil {
		return err
	}
	unix, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return err
	}
	s.seededAt = time.Unix(unix, 0).UTC()
	err = s.each(ctx, `SELECT id FROM users WHERE role = ? ORDER BY id`, []any{RoleAgent}, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		s.agents = append(s.agents, id)
		return err
	})
	if err == nil && len(s.agents) == 0 {
		return errors.New("it has no agents")
	}
	// Each process has turns of its own, which begin anywhere.
	s.turn.Store(rand.Uint64() >> 1)
	return err
}

// SeededAt is the moment the seeded inquiries end.
func (s *Store) SeededAt() time.Time { return s.seededAt }

// Counters returns the statements counted at the driver so far.
func (s *Store) Counters() Counters {
	return Counters{Queries: s.count.queries.Load(), Execs: s.count.execs.Load()}
}

// Close closes every connection.
func (s *Store) Close() error { return errors.Join(s.reads.Close(), s.writes.Close()) }

// change runs fn in a transaction on the writer.
func (s *Store) change(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.writes.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}

// each calls fn for every row of a query.
func (s *Store) each(ctx context.Context, query string, args []any, fn func(scan func(...any) error) error) error {
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("store: query: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return fmt.Errorf("store: query: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("store: query: %w", err)
	}
	return nil
}

func seconds(unix sql.NullInt64) *time.Time {
	if !unix.Valid {
		return nil
	}
	t := time.Unix(unix.Int64, 0).UTC()
	return &t
}
