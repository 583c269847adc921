//go:build consistency

package cachetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachetest"
)

// outage is for how long memory may be served without Redis in the rows that
// allow it, and by when these are judged.
const outage = 2 * time.Second

// rows are run on every topology that has the fault. A row alone:
//
//	go test -tags consistency -run 'Consistency/sentinel/failover$'
var rows = []struct {
	fault   string
	lenient bool // memory may be served for outage
	apart   bool // nodes in processes of their own
}{
	{fault: "none"},
	{fault: "kill-connections"},
	{fault: "pause"},
	{fault: "restart-empty"},
	{fault: "restart-old-snapshot"},
	{fault: "partition"},
	{fault: "partition", lenient: true},
	{fault: "failover"},
	{fault: "outage"},
	{fault: "outage", lenient: true},
	{fault: "pause-node", apart: true},
	{fault: "crash", apart: true},
}

// Each row is one line on standard output, which go test passes on where no
// package is named.
func TestConsistency(t *testing.T) {
	fmt.Printf("%-9s %-22s %9s %7s %7s %5s %9s\n", "topology", "fault", "reads", "I1", "I2", "I3", "oldest")
	for _, name := range []string{"single", "sentinel", "cluster"} {
		t.Run(name, func(t *testing.T) {
			for _, row := range rows {
				label, bound := row.fault, settled
				adjust := strict
				if row.lenient {
					label, bound = row.fault+"-2s", max(settled, outage)
					adjust = func(cfg tiercache.Config) tiercache.Config { return lenient(cfg, outage) }
				}
				if row.fault == "failover" && name == "single" {
					continue
				}
				t.Run(label, func(t *testing.T) {
					line := "did not end"
					defer func() { fmt.Printf("%-9s %-22s %s\n", name, label, line) }()
					top := topologies[name](t)
					cfg := cachetest.ConsistencyConfig{Duration: 12 * time.Second, Bound: bound}
					if row.apart {
						cfg.Processes = &cachetest.Processes{Arg: top.deployment}
						switch row.fault {
						case "pause-node":
							cfg.Faults = []cachetest.Fault{cfg.Processes.Pause(0, 1500*time.Millisecond)}
						case "crash":
							cfg.Faults = []cachetest.Fault{cfg.Processes.Crash(0)}
						}
					} else {
						cfg.Nodes = func(i int) (*tiercache.Tiers, error) { return top.open(i, adjust) }
						if row.fault != "none" {
							f := faultOf(row.fault, top)
							require.NotNil(t, f)
							cfg.Faults = []cachetest.Fault{*f}
						}
					}
					r := cachetest.Consistency(t, cfg)
					line = r.Line()
					assert.Greater(t, r.Reads, int64(1000))
					assert.Positive(t, r.Memory, "memory answered nothing: there was nothing to judge")
					for _, f := range cfg.Faults {
						assert.Positive(t, r.Faults[f.Name], f.Name)
					}
				})
			}
		})
	}
}
