package main

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/cachehttp"
	"github.com/tiercache/tiercache/examples/internal/child"
)

const (
	steadyTime = 6 * time.Second
	awayTime   = 5 * time.Second
	backLimit  = 20 * time.Second
	refillTime = 5 * time.Second
	beforeTime = 3 * time.Second
	firstTime  = time.Second
	hitPoints  = 5.0 // percent: as far may the first second's hit rate be below the one before
	jobName    = "profiles"
	jobLimit   = 25 * time.Second
)

// killRedis kills Redis in the middle of the traffic, for a while.
func (f *fleet) killRedis(ctx context.Context) error {
	reads, writes := f.traffic.reads.Load(), f.traffic.writes.Load()
	gone := away{from: time.Now()}
	f.traffic.history.setAway(gone)
	f.redis.kill()
	f.say("Redis is killed, for %v", awayTime)
	if err := pause(ctx, awayTime); err != nil {
		return err
	}
	f.say("  meanwhile %d reads and %d writes, %d of all failed", f.traffic.reads.Load()-reads, f.traffic.writes.Load()-writes, f.traffic.failed.Load())
	if err := f.redis.start(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := f.allUseRedis(ctx); err != nil {
		return err
	}
	gone.to = time.Now()
	f.traffic.history.setAway(gone)
	f.say("  Redis is started again, empty; after %.1f s all instances use it, and nothing waits for it", gone.to.Sub(began).Seconds())
	return pause(ctx, refillTime)
}

func (f *fleet) allUseRedis(ctx context.Context) error {
	return until(ctx, backLimit, "all instances use Redis", func() bool {
		for _, n := range f.nodes {
			if !n.usesRedis(ctx) {
				return false
			}
		}
		return true
	})
}

// restart is what a rolling restart does to one instance.
func (f *fleet) restart(ctx context.Context) error {
	n := f.nodes[1]
	before, err := n.hits(ctx, nil, beforeTime)
	if err != nil {
		return err
	}
	n.gate.Lock()
	err = n.end((*child.Server).Stop)
	if err == nil {
		err = n.start(ctx)
	}
	if err != nil {
		n.gate.Unlock()
		return err
	}
	first, err := n.hits(ctx, n.gate.Unlock, firstTime)
	if err != nil {
		return err
	}
	f.say("%s is restarted: memory answered %.1f %% of its %d look-ups before, and %.1f %% of %d in its first second",
		n.name(), before.percent(), before.all, first.percent(), first.all)
	f.judge(first.all > 0 && first.percent() >= before.percent()-hitPoints,
		"the restarted instance's hit rate of memory is %.1f %% in its first second, %.1f %% before: within %.0f points", first.percent(), before.percent(), hitPoints)
	return nil
}

// killOwner kills the instance that runs a job, in the middle of it.
func (f *fleet) killOwner(ctx context.Context) error {
	var owner *node
	var at cachehttp.Job
	err := until(ctx, jobLimit, "an instance is in the middle of job "+jobName, func() bool {
		for _, n := range f.nodes {
			j, err := n.job(ctx, jobName)
			if err == nil && j.Running && j.Done > 0 && j.Done < j.Total/2 {
				owner, at = n, j
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	runs := map[*node]int64{}
	for _, n := range f.nodes {
		if n != owner {
			j, err := n.job(ctx, jobName)
			if err != nil {
				return err
			}
			runs[n] = j.Runs
		}
	}
	owner.gate.Lock()
	err = owner.end((*child.Server).Kill)
	killed := time.Now()
	owner.gate.Unlock()
	if err != nil {
		return err
	}
	f.say("%s is killed while it warms, after %d of %d profiles", owner.name(), at.Done, at.Total)

	var heir *node
	var done cachehttp.Job
	var after time.Duration // until another has begun
	err = until(ctx, jobLimit, "another instance finishes the job", func() bool {
		for n, before := range runs {
			j, err := n.job(ctx, jobName)
			if err != nil {
				continue
			}
			if j.Running && heir == nil {
				heir, after = n, time.Since(killed)
			}
			if j.Runs > before {
				heir, done = n, j
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	f.say("  %s starts it over %.1f s later, and ends it: %d of %d", heir.name(), after.Seconds(), done.Done, done.Total)
	f.judge(done.Done == done.Total && done.Total > 0 && done.Failed == 0, "another instance finished the killed one's job: %d of %d profiles, %d failed", done.Done, done.Total, done.Failed)
	return nil
}
