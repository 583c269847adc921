package host

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCleanupsRunLastFirstAndAfterAFatal(t *testing.T) {
	t.Parallel()
	var order []int
	var dir string
	err := Run(t.Context(), "one", func(h testing.TB) {
		dir = h.TempDir()
		assert.DirExists(t, dir)
		h.Cleanup(func() { order = append(order, 1) })
		h.Cleanup(func() { order = append(order, 2); h.Fatal("in a cleanup") })
		h.Fatalf("number %d", 7)
		order = append(order, 0)
	})
	assert.Equal(t, []int{2, 1}, order)
	require.ErrorContains(t, err, "one: number 7")
	require.ErrorContains(t, err, "in a cleanup")
	_, err = os.Stat(dir)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestASkipIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	require.NoError(t, Run(t.Context(), "fine", func(h testing.TB) { h.Logf("%d", 1) }))
	err := Run(t.Context(), "two", func(h testing.TB) { h.Skipf("no %s", "server") })
	require.ErrorIs(t, err, ErrSkipped)
	require.ErrorContains(t, err, "no server")
}

func TestItsContextEndsBeforeTheCleanups(t *testing.T) {
	t.Parallel()
	var atCleanup error
	require.NoError(t, Run(context.Background(), "three", func(h testing.TB) {
		require.NoError(t, h.Context().Err())
		h.Cleanup(func() { atCleanup = h.Context().Err() })
	}))
	assert.ErrorIs(t, atCleanup, context.Canceled)
}
