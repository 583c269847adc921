package tiercache_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// comesBack stores v by Set and by a load, and wants it from there, and as Previous of
// its own type.
func comesBack[T any](t *testing.T, name string, v T) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
			cache := newCache(t, open(t, config()), tiercache.Options[T]{Name: "c"})
			require.NoError(t, cache.Set(bg, "set", v))
			_, err := cache.GetOrLoad(bg, "loaded", func(context.Context) (T, error) { return v, nil })
			require.NoError(t, err)
			for _, key := range []string{"set", "loaded"} {
				got, ok, err := cache.Get(bg, key)
				require.NoError(t, err)
				require.True(t, ok)
				assert.Equal(t, v, got)
				got, err = cache.GetOrLoad(bg, key, func(context.Context) (T, error) { return v, nil }, tiercache.Fresh())
				require.NoError(t, err)
				assert.Equal(t, v, got)
			}
			_, err = cache.Refresh(bg, "set", func(ctx context.Context) (T, error) {
				old, ok := tiercache.Previous[T](ctx)
				assert.True(t, ok)
				assert.Equal(t, v, old.Value)
				return v, nil
			})
			require.NoError(t, err)
		})
	})
}

func TestAValueOfAnyKindComesBackAsItWas(t *testing.T) {
	t.Parallel()
	two := 2
	at := &two
	comesBack(t, "struct", thing{V: 1})
	comesBack(t, "pointer", &thing{V: 1})
	comesBack[*thing](t, "nil pointer", nil)
	comesBack(t, "pointer to a pointer", &at)
	comesBack(t, "map", map[string]int{"a": 1})
	comesBack[map[string]int](t, "nil map", nil)
	comesBack[[]int](t, "nil slice", nil)
	comesBack[any](t, "interface", "text")
	comesBack[any](t, "nil interface", nil)
}

// A pointer is stored as it is, and a struct as a pointer to it: by what is stored
// alone the caches of the two could not be told apart.
func TestPreviousIsOfTheCachesOwnTypeOnly(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	pointers := newCache(t, tiers, tiercache.Options[*thing]{Name: "pointers"})
	structs := newCache(t, tiers, tiercache.Options[thing]{Name: "structs"})
	for _, v := range []*thing{nil, {V: 1}} {
		require.NoError(t, pointers.Set(bg, "k", v))
		_, err := pointers.Refresh(bg, "k", func(ctx context.Context) (*thing, error) {
			_, ok := tiercache.Previous[thing](ctx)
			assert.False(t, ok)
			_, ok = tiercache.Previous[any](ctx)
			assert.False(t, ok)
			return v, nil
		})
		require.NoError(t, err)
	}
	require.NoError(t, structs.Set(bg, "k", thing{V: 1}))
	_, err := structs.Refresh(bg, "k", func(ctx context.Context) (thing, error) {
		_, ok := tiercache.Previous[*thing](ctx)
		assert.False(t, ok, "the cache's own copy")
		_, ok = tiercache.Previous[any](ctx)
		assert.False(t, ok)
		return thing{V: 1}, nil
	})
	require.NoError(t, err)
}
