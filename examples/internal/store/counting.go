package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"

	"modernc.org/sqlite"
)

// Counters are the statements that reached the database since it was opened,
// counted at the driver, where nothing can bypass the count. BEGIN, COMMIT and
// preparing are not counted.
type Counters struct {
	Queries int64 `json:"queries"` // statements that return rows
	Execs   int64 `json:"execs"`
}

type counter struct{ queries, execs atomic.Int64 }

// connector opens SQLite connections that count their statements.
type connector struct {
	dsn   string
	count *counter
}

func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	inner, err := (&sqlite.Driver{}).Open(c.dsn)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(sqliteConn)
	if !ok {
		return nil, errors.Join(errors.New("store: bug: the SQLite driver lacks an interface the wrapper needs"), inner.Close())
	}
	return countingConn{full, c.count}, nil
}

// sqliteConn is everything database/sql may ask of the driver's connection.
// Embedding it keeps what is not counted as it is; leaving one out would
// silently put database/sql on a slower path.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type countingConn struct {
	sqliteConn
	count *counter
}

func (c countingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.count.execs.Add(1)
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.count.queries.Add(1)
	return c.sqliteConn.QueryContext(ctx, query, args)
}

func (c countingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	inner, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(sqliteStmt)
	if !ok {
		return nil, errors.Join(errors.New("store: bug: the SQLite driver's statement lacks an interface the wrapper needs"), inner.Close())
	}
	return countingStmt{full, c.count}, nil
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type countingStmt struct {
	sqliteStmt
	count *counter
}

func (s countingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.count.execs.Add(1)
	return s.sqliteStmt.ExecContext(ctx, args)
}

func (s countingStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.count.queries.Add(1)
	return s.sqliteStmt.QueryContext(ctx, args)
}
