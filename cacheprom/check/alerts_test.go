package check

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const at = `job="shop",instance="a:80"`

// cases have, for each alert, an hour of series that fires it, one that does not, and
// what its summary says. Series have a value each minute.
var cases = map[string]struct{ bad, good, says string }{
	"TiercacheHitRateLow": {
		bad:  `tiercache_hits_total{` + at + `,cache="users",tier="memory"} 0+300x60` + "\n" + `tiercache_operations_total{` + at + `,cache="users"} 0+600x60`,
		good: `tiercache_hits_total{` + at + `,cache="users",tier="memory"} 0+500x60` + "\n" + `tiercache_operations_total{` + at + `,cache="users"} 0+600x60`,
		says: "Cache users of shop answers 50% of its reads.",
	},
	"TiercacheCircuitOpen": {
		bad:  `tiercache_redis_circuit_state{` + at + `,master="r:1",state="open"} 1x60` + "\n" + `tiercache_redis_circuit_state{` + at + `,master="r:1",state="closed"} 0x60`,
		good: `tiercache_redis_circuit_state{` + at + `,master="r:1",state="open"} 0x60` + "\n" + `tiercache_redis_circuit_state{` + at + `,master="r:1",state="closed"} 1x60`,
		says: "a:80 does not use the Redis at r:1.",
	},
	"TiercacheReadOnly": {
		bad:  `tiercache_redis_circuit_state{` + at + `,master="r:1",state="read-only"} 1x60`,
		good: `tiercache_redis_circuit_state{` + at + `,master="r:1",state="open"} 1x60`,
		says: "The Redis at r:1 takes no writes from a:80.",
	},
	"TiercacheDeaf": {
		bad:  `tiercache_redis_hearing_fresh{` + at + `,master="r:1"} 0x60` + "\n" + `tiercache_redis_circuit_state{` + at + `,master="r:1",state="closed"} 1x60`,
		good: `tiercache_redis_hearing_fresh{` + at + `,master="r:1"} 0x60` + "\n" + `tiercache_redis_circuit_state{` + at + `,master="r:1",state="closed"} 0x60`,
		says: "a:80 does not hear what others change at r:1: its memory is not used.",
	},
	"TiercacheHearingUnsteady": {
		bad:  `tiercache_redis_hearing_losses_total{` + at + `,master="r:1"} 0+1x60`,
		good: `tiercache_redis_hearing_losses_total{` + at + `,master="r:1"} 0x30 1x30`,
		says: "a:80 has lost hearing of r:1 15 times in 15 minutes.",
	},
	"TiercacheInvalidationsQueued": {
		bad:  `tiercache_queued_invalidations{` + at + `} 3x60`,
		good: `tiercache_queued_invalidations{` + at + `} 3 0x60`,
		says: "3 invalidations of a:80 wait for Redis.",
	},
	"TiercacheInvalidationErrors": {
		bad:  `tiercache_invalidation_errors_total{` + at + `} 0+1x60`,
		good: `tiercache_invalidation_errors_total{` + at + `} 7x60`,
		says: "Invalidations of a:80 fail in a Redis that answers.",
	},
	"TiercacheLoadErrors": {
		bad:  `tiercache_load_errors_total{` + at + `,cache="users"} 0+10x60` + "\n" + `tiercache_loads_total{` + at + `,cache="users"} 0+100x60`,
		good: `tiercache_load_errors_total{` + at + `,cache="users"} 0+1x60` + "\n" + `tiercache_loads_total{` + at + `,cache="users"} 0+100x60`,
		says: "10% of the loads of cache users fail.",
	},
	"TiercacheEvictionStorm": {
		bad:  `tiercache_evictions_total{` + at + `,cache="users"} 0+50x60` + "\n" + `tiercache_operations_total{` + at + `,cache="users"} 0+100x60`,
		good: `tiercache_evictions_total{` + at + `,cache="users"} 0+5x60` + "\n" + `tiercache_operations_total{` + at + `,cache="users"} 0+100x60`,
		says: "a:80 evicts an entry at 50% of its reads.",
	},
	"TiercacheRedisSlow": {
		bad:  `tiercache_redis_hit_duration_seconds_bucket{` + at + `,cache="users",le="0.033"} 0x60` + "\n" + `tiercache_redis_hit_duration_seconds_bucket{` + at + `,cache="users",le="0.067"} 0+9x60` + "\n" + `tiercache_redis_hit_duration_seconds_bucket{` + at + `,cache="users",le="+Inf"} 0+9x60`,
		good: `tiercache_redis_hit_duration_seconds_bucket{` + at + `,cache="users",le="0.001"} 0+9x60` + "\n" + `tiercache_redis_hit_duration_seconds_bucket{` + at + `,cache="users",le="+Inf"} 0+9x60`,
		says: "Of the reads that Redis answers a:80, one in a hundred takes 66.66ms.",
	},
	"TiercachePoolExhausted": {
		bad:  `tiercache_redis_pool_timeouts_total{` + at + `,master="r:1"} 0+1x60`,
		good: `tiercache_redis_pool_timeouts_total{` + at + `,master="r:1"} 9x60`,
		says: "a:80 waits in vain for connections to r:1.",
	},
	"TiercacheWarmFails": {
		bad:  `tiercache_warm_failures_total{` + at + `} 0+1x60` + "\n" + `tiercache_warm_loads_total{` + at + `} 0+1x60`,
		good: `tiercache_warm_failures_total{` + at + `} 0x60` + "\n" + `tiercache_warm_loads_total{` + at + `} 0+1x60`,
		says: "50% of the keys that shop warms fail.",
	},
}

func TestEachAlertFiresWhenItShouldAndOnlyThen(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, r := range alerts(t) {
		c, ok := cases[r.Alert]
		require.True(t, ok, "%s has no case", r.Alert)
		seen++
		assert.NotZero(t, r.For, r.Alert)
		assert.NotEmpty(t, r.Annotations["action"], r.Alert)
		assert.Contains(t, []string{"warning", "critical"}, r.Labels["severity"], r.Alert)
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
		require.NoError(t, err)
		fired := func(text string) []*rules.Alert {
			rule := rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), 0, labels.FromMap(r.Labels), labels.FromMap(r.Annotations),
				labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
			return evaluated(t, rule, text)
		}
		bad := fired(c.bad)
		if assert.NotEmpty(t, bad, r.Alert) {
			assert.Equal(t, c.says, bad[0].Annotations.Get("summary"))
		}
		assert.Empty(t, fired(c.good), r.Alert)
	}
	assert.Len(t, cases, seen, "a case has no alert")
}

// evaluated are the alerts of an hour that fire at its end.
func evaluated(t *testing.T, rule *rules.AlertingRule, text string) (firing []*rules.Alert) {
	t.Helper()
	store := promqltest.LoadedStorage(t, "load 1m\n  "+strings.ReplaceAll(text, "\n", "\n  "))
	engine := promqltest.NewTestEngine(t, false, 0, 1e6)
	for minute := range 60 {
		_, err := rule.Eval(context.Background(), 0, timestamp.Time(int64(minute)*60_000), rules.EngineQueryFunc(engine, store), &url.URL{}, 0)
		require.NoError(t, err)
	}
	for _, a := range rule.ActiveAlerts() {
		if a.State == rules.StateFiring {
			firing = append(firing, a)
		}
	}
	return firing
}
