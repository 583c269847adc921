package remote

import (
	"embed"

	"github.com/redis/go-redis/v9"
)

// The scripts are the only writers of leases, values, markers and tags. Each file
// states its before and after.
//
//go:embed scripts/*.lua
var sources embed.FS

func script(name string) *redis.Script {
	text, err := sources.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic("bug: remote: " + err.Error())
	}
	return redis.NewScript(string(text))
}

var (
	probeScript   = script("probe")
	acquireScript = script("acquire")
	seizeScript   = script("seize")
	fillScript    = script("fill")
	releaseScript = script("release")
	renewScript   = script("renew")

	unlinkScript = script("unlink")
	expireScript = script("expire")
	extendScript = script("extend")

	markScript   = script("mark")
	unmarkScript = script("unmark")

	tickScript    = script("tick")
	clockScript   = script("clock")
	tagScript     = script("tag")
	tagNewScript  = script("tagnew")
	tagBornScript = script("tagborn")
)
