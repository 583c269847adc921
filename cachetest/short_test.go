package cachetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachetest"
	"github.com/tiercache/tiercache/internal/redistest"
)

// The long form is behind the build tag "consistency".
func TestASingleRedisServesNothingStale(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"none", "kill-connections", "restart-empty"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			admin := server.Client()
			cfg := cachetest.ConsistencyConfig{
				Nodes: func(int) (*tiercache.Tiers, error) {
					// Budgets that do not run out on a machine that is busy with other tests.
					cfg := tiercache.Config{Redis: admin, Prefix: "c:", ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
					return tiercache.Open(strict(cfg))
				},
				Duration:   4 * time.Second,
				Bound:      settled,
				WriteEvery: 40 * time.Millisecond,
			}
			fault := cachetest.Fault{Name: name, Rest: 3 * time.Second} // longer than a node holds off after it
			switch name {
			case "kill-connections":
				fault.Inject = func(ctx context.Context) {
					admin.ClientKillByFilter(ctx, "TYPE", "normal")
					admin.ClientKillByFilter(ctx, "TYPE", "pubsub")
				}
			case "restart-empty":
				fault.Inject = func(context.Context) { server.Restart() }
			}
			if fault.Inject != nil {
				cfg.Faults = []cachetest.Fault{fault}
			}
			r := cachetest.Consistency(t, cfg)
			assert.Greater(t, r.Reads, int64(100))
			assert.Positive(t, r.Memory, "memory answered nothing: there was nothing to judge")
			assert.Equal(t, fault.Inject != nil, r.Faults[name] > 0)
		})
	}
}
