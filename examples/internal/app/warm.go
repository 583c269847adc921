package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/keys"
)

// Warm says when what is loaded before anybody asks for it.
type Warm struct {
	Off   bool
	Every time.Duration // 0: half an hour
	Rate  float64       // profiles in a second at the most; 0: as fast as it goes
}

const (
	warmEvery = 30 * time.Minute
	// What is warmed lives until the next run has replaced it, so that nobody waits in
	// between, and not only for its cache's TTL. What it would show too late is what
	// other programs write, and for half an hour after midnight yesterday's ranges:
	// every change made here voids it.
	warmSlack = 5 * time.Minute
	// Who has asked or answered for so long, and so many of them, will be back.
	activeFor  = 7 * 24 * time.Hour
	activeMost = 500
	// Each profile has two tags of its own, which are made in Redis when it is first
	// stored. Of a large batch a slow Redis makes so many at once that leases run out.
	warmBatch = 25
	// nobody has read for so long: the database is left alone, too.
	warmIdle = time.Hour
)

// warmer loads the profiles of who was active of late, and the analytics.
//
// A profile is warmed under its user's id, which is what requests ask for. The key of
// his e-mail is filled by whoever loads him: nobody waits for that one.
func (c *cached) warmer(w Warm) (*tiercache.Warmer, error) {
	if w.Off {
		return tiercache.NewWarmer(c.tiers)
	}
	if w.Every == 0 {
		w.Every = warmEvery
	}
	life := tiercache.WithTTL(w.Every + warmSlack)
	job := tiercache.Job{Every: w.Every, AtStart: true, StopAfterIdle: warmIdle}

	profiles, workloads := job, job
	profiles.Name, profiles.Rate, profiles.Concurrency, profiles.Batch = "profiles", w.Rate, 1, warmBatch
	if w.Rate > 0 {
		profiles.Batch = min(warmBatch, max(1, int(w.Rate/2))) // a batch is loaded at once
	}
	workloads.Name, workloads.Concurrency = "analytics", 1 // each is a CPU's work for a second
	return tiercache.NewWarmer(c.tiers,
		c.workloads.WarmEach(workloads, workloadKeys, c.workloadOf, life),
		c.profiles.WarmMany(profiles, c.activeKeys, c.profilesOf, life))
}

func workloadKeys(context.Context) ([]string, error) {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(store.Ranges)) {
		all = append(all, keys.Workload(name))
	}
	return all, nil
}

func (c *cached) workloadOf(ctx context.Context, key string) (store.Workload, error) {
	return c.db.Workload(ctx, strings.TrimPrefix(key, workloadPrefix))
}

func (c *cached) activeKeys(ctx context.Context) ([]string, error) {
	ids, err := c.db.Active(ctx, time.Now().Add(-activeFor), activeMost)
	var all []string
	for _, id := range ids {
		all = append(all, profileKey(id))
	}
	return all, err
}

func (c *cached) profilesOf(ctx context.Context, all []string) (map[string]store.Profile, error) {
	ids := make([]int64, len(all))
	for i, key := range all {
		var err error
		if ids[i], err = strconv.ParseInt(strings.TrimPrefix(key, profilePrefix), 10, 64); err != nil {
			return nil, fmt.Errorf("%q is no key of a profile by id: %w", key, err)
		}
	}
	found, err := c.db.Profiles(ctx, ids)
	profiles := make(map[string]store.Profile, len(found))
	for id, p := range found {
		profiles[profileKey(id)] = p
	}
	return profiles, err
}

func profileKey(id int64) string { return keys.User(strconv.FormatInt(id, 10)) }
