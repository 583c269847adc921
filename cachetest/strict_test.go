package cachetest_test

import (
	"time"

	"github.com/tiercache/tiercache"
)

// settled is the StalenessBound of all nodes.
const settled = time.Second

// strict is a Config by which memory is never served deaf.
func strict(cfg tiercache.Config) tiercache.Config { return lenient(cfg, -1) }

// lenient is a Config by which memory is served for d without Redis.
func lenient(cfg tiercache.Config, d time.Duration) tiercache.Config {
	cfg.StalenessBound, cfg.OutageStaleness = settled, d
	return cfg
}
