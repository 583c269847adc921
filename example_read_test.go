package tiercache_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tiercache/tiercache"
)

// The loader is called when neither memory nor Redis has the value, and not again.
func ExampleCache_GetOrLoad() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	for range 2 {
		u, err := cache.GetOrLoad(ctx, "user:42", func(ctx context.Context) (User, error) {
			fmt.Println("asking the database")
			return User{ID: "42", Name: "Ann"}, nil
		})
		fmt.Println(u.Name, err)
	}
	// Output:
	// asking the database
	// Ann <nil>
	// Ann <nil>
}

// A loader that panics hurts nobody: who waited gets an error, and the next call loads.
func ExamplePanicError() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_, err := cache.GetOrLoad(ctx, "user:42", func(context.Context) (User, error) { panic("nil map") })
	var p *tiercache.PanicError
	fmt.Println(errors.As(err, &p), p.Value, len(p.Stack) > 0)
	u, err := cache.GetOrLoad(ctx, "user:42", userByID("42"))
	fmt.Println(u.Name, err)
	// Output:
	// true nil map true
	// asking the database for user 42
	// Ann <nil>
}

// Lookup tells what is there, and never loads.
func ExampleCache_Lookup() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_, ok, err := cache.Lookup(ctx, "user:42")
	fmt.Println(ok, err)
	_ = cache.Set(ctx, "user:42", User{Name: "Ann"})
	e, ok, err := cache.Lookup(ctx, "user:42")
	fmt.Println(e.Value.Name, e.Tier, e.Stale, e.Age < time.Minute, ok, err)
	// Output:
	// false <nil>
	// Ann memory false true true <nil>
}

func ExampleCache_GetMany() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_ = cache.SetMany(ctx, map[string]User{"user:42": {Name: "Ann"}, "user:43": {Name: "Ben"}})
	found, err := cache.GetMany(ctx, []string{"user:42", "user:43", "user:44"})
	fmt.Println(len(found), found["user:42"].Name, found["user:43"].Name, err)
	// Output:
	// 2 Ann Ben <nil>
}

func ExampleCache_SetMany() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	err := cache.SetMany(ctx, map[string]User{"user:42": {Name: "Ann"}, "user:43": {Name: "Ben"}},
		tiercache.WithTTL(time.Minute))
	fmt.Println(err)
	u, ok, err := cache.Get(ctx, "user:43")
	fmt.Println(u.Name, ok, err)
	// Output:
	// <nil>
	// Ben true <nil>
}

// What failed is told by key. The others have their values.
func ExampleKeyErrors() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	found, err := cache.GetOrLoadMany(ctx, []string{"user:42", "user:43"},
		func(context.Context, []string) (map[string]User, error) {
			return map[string]User{"user:42": {Name: "Ann"}},
				tiercache.KeyErrors{"user:43": errors.New("the second shard is down")}
		})
	fmt.Println(found["user:42"].Name)
	var failed tiercache.KeyErrors
	if errors.As(err, &failed) {
		fmt.Println(failed["user:43"])
	}
	// Output:
	// Ann
	// the second shard is down
}

// The TTL of one call, in the place of the cache's.
func ExampleWithTTL() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_ = cache.Set(ctx, "user:42", User{Name: "Ann"})
	_ = cache.Set(ctx, "user:43", User{Name: "Ben"}, tiercache.WithTTL(10*time.Millisecond))
	time.Sleep(20 * time.Millisecond)
	left, err := cache.GetMany(ctx, []string{"user:42", "user:43"})
	fmt.Println(len(left), left["user:42"].Name, err)
	// Output:
	// 1 Ann <nil>
}

// Fresh goes past memory: to Redis, or without one to the source.
func ExampleFresh() {
	ctx := context.Background()
	tiers, cache := openUsers() // without Redis
	defer tiers.Close()

	_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"))
	_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"), tiercache.Fresh())
	// Output:
	// asking the database for user 42
	// asking the database for user 42
}

// The database's own error for "no such row" is an absence too, and is cached as one.
func ExampleOptions_notFound() {
	ctx := context.Background()
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	names, err := tiercache.New(tiers, tiercache.Options[string]{
		Name: "names", TTL: time.Minute, NegativeTTL: 10 * time.Second,
		NotFound: func(err error) bool { return errors.Is(err, sql.ErrNoRows) },
	})
	if err != nil {
		panic(err)
	}

	for range 2 {
		_, err := names.GetOrLoad(ctx, "name:99", func(context.Context) (string, error) {
			fmt.Println("asking the database")
			return "", fmt.Errorf("name of 99: %w", sql.ErrNoRows)
		})
		fmt.Println(errors.Is(err, sql.ErrNoRows))
	}
	// Output:
	// asking the database
	// true
	// true
}

func ExampleTiers_Health() {
	tiers, _ := openUsers()
	defer tiers.Close()

	h := tiers.Health() // asks nobody, so it may be called often
	fmt.Println(h.Mode, h.Connected, h.Queued, len(h.Masters))
	// Output:
	// memory false 0 0
}

func ExampleFromEnv() {
	os.Setenv("REDIS_URL", "redis://localhost:6379/0") // where the program is deployed
	defer os.Unsetenv("REDIS_URL")

	cfg, err := tiercache.FromEnv()
	if err != nil {
		panic(err)
	}
	cfg.Prefix = "shop:"
	fmt.Println(cfg.Redis != nil)

	os.Setenv("REDIS_URL", "http://localhost")
	_, err = tiercache.FromEnv()
	fmt.Println(err)
	// Output:
	// true
	// tiercache: REDIS_URL: does not begin with redis://, rediss:// or unix://
}

// Each key by itself, where the source has no query for many.
func ExampleCache_WarmEach() {
	ctx, cancel := context.WithCancel(context.Background())
	tiers, cache := openUsers()
	defer tiers.Close()

	warmer, err := tiercache.NewWarmer(tiers, cache.WarmEach(
		tiercache.Job{Name: "users", Every: -1}, // only when it is asked to
		func(context.Context) ([]string, error) { return []string{"user:42"}, nil },
		func(ctx context.Context, key string) (User, error) { return userByID(key[len("user:"):])(ctx) }))
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- warmer.Run(ctx) }()

	fmt.Println(warmer.Trigger(ctx, "users"))
	_, ok, err := cache.Get(ctx, "user:42")
	fmt.Println(ok, err)
	cancel()
	<-ended
	// Output:
	// asking the database for user 42
	// <nil>
	// true <nil>
}

// A cache's statistics are its own; those of Tiers have them all.
func ExampleCache_Stats() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"))
	_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"))
	s := cache.Stats()
	fmt.Println(s.Name, s.Operations, s.MemoryHits, s.Loads)
	for _, c := range tiers.Stats().Caches {
		fmt.Println(c.Name, c.HitRate())
	}
	// Output:
	// asking the database for user 42
	// users 2 1 1
	// users 0.5
}

// What happened between two readings.
func ExampleStats_Sub() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"))
	earlier := tiers.Stats()
	for range 3 {
		_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"))
	}
	s := tiers.Stats().Sub(earlier)
	fmt.Println(s.Total.Operations, s.Total.HitRate(), s.Total.Loads)
	// Output:
	// asking the database for user 42
	// 3 1 0
}

// Who invalidates, and how widely.
func ExampleTiers_Recent() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_ = cache.Delete(ctx, "user:42", "user:email:ann@example.com")
	_, _ = tiers.Invalidate(ctx, tiercache.Tag("team:blue"))
	for _, i := range tiers.Recent() { // the newest first
		fmt.Println(i.Kind, i.Target, i.Count, i.Heard)
	}
	// Output:
	// tag team:blue 1 false
	// key user:42 2 false
}
