package remote

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// The scripts are the only writers of leases and values beside SET in Seize.
// Each file states its before and after.
var (
	//go:embed scripts/acquire.lua
	acquireSource string
	//go:embed scripts/fill.lua
	fillSource string
	//go:embed scripts/release.lua
	releaseSource string
	//go:embed scripts/renew.lua
	renewSource string
	//go:embed scripts/unlink.lua
	unlinkSource string
	//go:embed scripts/expire.lua
	expireSource string

	acquireScript = redis.NewScript(acquireSource)
	fillScript    = redis.NewScript(fillSource)
	releaseScript = redis.NewScript(releaseSource)
	renewScript   = redis.NewScript(renewSource)
	unlinkScript  = redis.NewScript(unlinkSource)
	expireScript  = redis.NewScript(expireSource)
)
