package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/keys"
)

// User is what the examples keep.
type User struct {
	ID, Email, Name string
}

// users is the slow source of truth of the examples.
var users = map[string]User{
	"42": {ID: "42", Email: "ann@example.com", Name: "Ann"},
}

// userByID asks the source, and says so.
func userByID(id string) func(context.Context) (User, error) {
	return func(context.Context) (User, error) {
		fmt.Println("asking the database for user", id)
		u, ok := users[id]
		if !ok {
			return User{}, tiercache.ErrNotFound
		}
		return u, nil
	}
}

// openUsers is what a program does when it starts. With a Redis it would be
// tiercache.Config{Redis: client, Prefix: "shop:"}.
func openUsers() (*tiercache.Tiers, *tiercache.Cache[User]) {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	cache, err := tiercache.New(tiers, tiercache.Options[User]{Name: "users", TTL: 5 * time.Minute})
	if err != nil {
		panic(err)
	}
	return tiers, cache
}

func Example() {
	ctx := context.Background()

	tiers, err := tiercache.Open(tiercache.Config{}) // memory only; or {Redis: client, Prefix: "shop:"}
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	cache, err := tiercache.New(tiers, tiercache.Options[User]{Name: "users", TTL: 5 * time.Minute})
	if err != nil {
		panic(err)
	}

	for range 3 {
		u, err := cache.GetOrLoad(ctx, keys.User("42"), userByID("42"))
		fmt.Println(u.Name, err)
	}
	// Output:
	// asking the database for user 42
	// Ann <nil>
	// Ann <nil>
	// Ann <nil>
}

func ExampleCache_Get() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_, ok, err := cache.Get(ctx, "user:42")
	fmt.Println(ok, err)

	_ = cache.Set(ctx, "user:42", User{Name: "Ann"})
	u, ok, err := cache.Get(ctx, "user:42")
	fmt.Println(u.Name, ok, err)
	// Output:
	// false <nil>
	// Ann true <nil>
}

// Set is for a value that the caller knows to be the newest: what the database
// has just returned from the update itself, say. Where that is not certain,
// Delete is right.
func ExampleCache_Set() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_ = cache.Set(ctx, "user:42", User{Name: "Ann B."}, tiercache.WithTTL(time.Minute))
	u, _ := cache.GetOrLoad(ctx, "user:42", userByID("42"))
	fmt.Println(u.Name)
	// Output:
	// Ann B.
}

// After the commit, every key under which the changed thing is found.
func ExampleCache_Delete() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_, _ = cache.GetOrLoad(ctx, keys.User("42"), userByID("42"))
	err := cache.Delete(ctx, keys.User("42"), keys.UserByEmail("ann@example.com"))
	fmt.Println(err)
	_, _ = cache.GetOrLoad(ctx, keys.User("42"), userByID("42"))
	// Output:
	// asking the database for user 42
	// <nil>
	// asking the database for user 42
}

func ExampleCache_InvalidatePattern() {
	ctx := context.Background()
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	lists, err := tiercache.New(tiers, tiercache.Options[[]string]{Name: "inquiries", TTL: 2 * time.Minute})
	if err != nil {
		panic(err)
	}

	open := keys.Filters{"status": {"open"}}
	_ = lists.Set(ctx, keys.Inquiries("USER", "42", open), []string{"#1"})
	_ = lists.Set(ctx, keys.Inquiries("USER", "42", nil), []string{"#1", "#2"})
	_ = lists.Set(ctx, keys.Inquiries("USER", "43", nil), []string{"#3"})

	// User 42 has written: all of his lists, whatever their filters, no others.
	_, err = lists.InvalidatePattern(ctx, keys.InquiriesOf("USER", "42"))
	fmt.Println(err)
	for _, key := range []string{keys.Inquiries("USER", "42", open), keys.Inquiries("USER", "42", nil), keys.Inquiries("USER", "43", nil)} {
		_, ok, _ := lists.Get(ctx, key)
		fmt.Println(key, ok)
	}
	// Output:
	// <nil>
	// inquiries:USER:42:status=open false
	// inquiries:USER:42:all false
	// inquiries:USER:43:all true
}

func ExampleCache_Clear() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()
	totals, err := tiercache.New(tiers, tiercache.Options[int]{Name: "totals", TTL: time.Minute})
	if err != nil {
		panic(err)
	}

	_ = cache.Set(ctx, "user:42", User{Name: "Ann"})
	_ = totals.Set(ctx, "total:42", 7)
	fmt.Println(cache.Clear(ctx))
	_, ok, _ := cache.Get(ctx, "user:42")
	fmt.Println("user:", ok)
	_, ok, _ = totals.Get(ctx, "total:42")
	fmt.Println("total:", ok)
	// Output:
	// <nil>
	// user: false
	// total: true
}

// One load, found by id and by address.
func ExampleAlso() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_, _ = cache.GetOrLoad(ctx, keys.User("42"), userByID("42"),
		tiercache.Also(keys.UserByEmail("ann@example.com")))
	u, ok, err := cache.Get(ctx, keys.UserByEmail("ann@example.com"))
	fmt.Println(u.Name, ok, err)
	// Output:
	// asking the database for user 42
	// Ann true <nil>
}

// "No such thing" is an answer, and is cached like one, for Options.NegativeTTL.
// Who inserts it invalidates its key.
func ExampleErrNotFound() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	for range 2 {
		_, err := cache.GetOrLoad(ctx, "user:99", userByID("99"))
		fmt.Println(errors.Is(err, tiercache.ErrNotFound))
	}
	_ = cache.Delete(ctx, "user:99")
	_, _ = cache.GetOrLoad(ctx, "user:99", userByID("99"))
	// Output:
	// asking the database for user 99
	// true
	// true
	// asking the database for user 99
}

// Keys and patterns, of any cache, in one call.
func ExampleTiers_Invalidate() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	_ = cache.Set(ctx, keys.User("42"), User{Name: "Ann"})
	_ = cache.Set(ctx, keys.UsersByRole("AGENT"), User{Name: "Ann"})
	report, err := tiers.Invalidate(ctx,
		tiercache.Key(keys.User("42")),
		tiercache.Pattern(keys.UsersByRolePattern()))
	fmt.Println("queued:", report.Queued, err)
	_, ok, _ := cache.Get(ctx, keys.UsersByRole("AGENT"))
	fmt.Println(ok)
	// Output:
	// queued: false <nil>
	// false
}

func ExampleTiers_Stats() {
	ctx := context.Background()
	tiers, cache := openUsers()
	defer tiers.Close()

	for range 4 {
		_, _ = cache.GetOrLoad(ctx, "user:42", userByID("42"))
	}
	_ = cache.Delete(ctx, "user:42")
	s := tiers.Stats()
	fmt.Printf("%d operations, %d hits, %d misses: %.0f %%\n", s.Total.Operations, s.Total.Hits, s.Total.Misses, 100*s.Total.HitRate())
	fmt.Println(s.Caches[0].Name, s.Caches[0].Loads, s.KeyInvalidations)
	// Output:
	// asking the database for user 42
	// 4 operations, 3 hits, 1 misses: 75 %
	// users 1 1
}

// A family of keys of one's own: the template is checked when the program
// starts, and no value can forge another key or widen a pattern.
func Example_keys() {
	ctx := context.Background()
	orders := keys.MustNew("orders:{shop}:{id}")
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	cache, err := tiercache.New(tiers, tiercache.Options[string]{Name: "orders", KeyPrefix: "orders:", TTL: time.Minute})
	if err != nil {
		panic(err)
	}

	_ = cache.Set(ctx, orders.Key("berlin", "1"), "tea")
	_ = cache.Set(ctx, orders.Key("*", "1"), "coffee")
	_, _ = cache.InvalidatePattern(ctx, orders.Pattern("*")) // the shop named "*"
	_, ok, _ := cache.Get(ctx, orders.Key("berlin", "1"))
	fmt.Println("berlin:", ok)
	_, ok, _ = cache.Get(ctx, orders.Key("*", "1"))
	fmt.Println("*:", ok)
	// Output:
	// berlin: true
	// *: false
}

// Callers that change what they get want copies of their own.
func ExampleOptions_clone() {
	ctx := context.Background()
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	cache, err := tiercache.New(tiers, tiercache.Options[[]string]{
		Name:  "lists",
		TTL:   time.Minute,
		Clone: func(s []string) []string { return append([]string(nil), s...) },
	})
	if err != nil {
		panic(err)
	}

	_ = cache.Set(ctx, "list", []string{"a", "b"})
	mine, _, _ := cache.Get(ctx, "list")
	mine[0] = "changed"
	theirs, _, _ := cache.Get(ctx, "list")
	fmt.Println(theirs)
	// Output:
	// [a b]
}
