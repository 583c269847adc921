package main

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tiercache/tiercache"

	"github.com/tiercache/tiercache/examples/internal/store"
)

// What is not worth caching: the cheapest question to the database beside the
// cheapest to Redis.
const bareSamples = 2000

// bareRead is the median time of reading one user by primary key, with a
// prepared statement, inside the process.
func bareRead(ctx context.Context, c config) (median time.Duration, err error) {
	db, err := sql.Open("sqlite", store.File(c.data, c.seed))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	stmt, err := db.PrepareContext(ctx, `SELECT email FROM users WHERE id = ?`)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	return medianOf(func() error {
		var email string
		return stmt.QueryRowContext(ctx, 1+rand.IntN(c.seed.Users)).Scan(&email)
	})
}

// bareGet is the median time of a GET of a small value. The URL is that of the
// server's embedded Redis; if it has none, the environment names the Redis.
func bareGet(ctx context.Context, url, prefix string) (median time.Duration, err error) {
	var client redis.UniversalClient
	if url != "" {
		opts, err := redis.ParseURL(url)
		if err != nil {
			return 0, err
		}
		client = redis.NewClient(opts)
	} else {
		cfg, err := tiercache.FromEnv()
		if err != nil {
			return 0, err
		}
		if client = cfg.Redis; client == nil {
			return 0, errors.New("the server has a Redis that its environment does not name")
		}
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	key := prefix + "bare"
	if err := client.Set(ctx, key, "somebody@example.com", time.Minute).Err(); err != nil {
		return 0, err
	}
	return medianOf(func() error { return client.Get(ctx, key).Err() })
}

func medianOf(ask func() error) (time.Duration, error) {
	times := make([]time.Duration, bareSamples)
	for i := range times {
		began := time.Now()
		if err := ask(); err != nil {
			return 0, err
		}
		times[i] = time.Since(began)
	}
	return percentile(times, 50), nil
}
