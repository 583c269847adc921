package cachetest_test

import (
	"time"

	"github.com/tiercache/tiercache"
)

// settled is when every node has seen the end of what another invalidated.
const settled = 6 * time.Second

// strict is a Config by which memory is never served deaf.
func strict(cfg tiercache.Config) tiercache.Config { return cfg }

// lenient is a Config by which memory is served for d without Redis.
func lenient(cfg tiercache.Config, d time.Duration) tiercache.Config { return cfg }
