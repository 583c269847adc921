package main

import (
	"fmt"
	"io"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// embeddedRedis starts a Redis inside this process, so that both tiers are
// there on a machine without one. It listens on loopback, and a second instance
// started with the REDIS_URL printed joins it.
func embeddedRedis(stdout io.Writer) (client redis.UniversalClient, stop func(), err error) {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true) // without it nothing ever expires
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return nil, nil, fmt.Errorf("embedded redis: %w", err)
	}
	fmt.Fprintf(stdout, "REDIS_URL=redis://%s/0\n", m.Addr())
	return redis.NewClient(&redis.Options{Addr: m.Addr()}), m.Close, nil
}
