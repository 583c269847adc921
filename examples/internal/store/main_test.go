package store

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var small = Seed{Users: 2_000, Inquiries: 20_000, Number: 1, PasswordHash: "none"}

// open seeds a database of the test's own and opens it.
func open(t *testing.T, sd Seed) *Store {
	t.Helper()
	if sd.Now.IsZero() {
		sd.Now = time.Now()
	}
	path := filepath.Join(t.TempDir(), "test.db")
	require.NoError(t, sd.Build(context.Background(), path))
	s, err := Open(context.Background(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
