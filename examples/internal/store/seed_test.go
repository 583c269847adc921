package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rows is a digest of every row of a table.
func rows(t *testing.T, s *Store, table string) string {
	t.Helper()
	all, err := s.reads.Query(`SELECT * FROM ` + table + ` ORDER BY id`)
	require.NoError(t, err)
	defer all.Close()
	columns, err := all.Columns()
	require.NoError(t, err)
	digest := sha256.New()
	for all.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		require.NoError(t, all.Scan(into...))
		fmt.Fprintln(digest, row...)
	}
	require.NoError(t, all.Err())
	return fmt.Sprintf("%x", digest.Sum(nil))
}

func TestTheSameSeedMakesTheSameRows(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sd := Seed{Users: 300, Inquiries: 3_001, Number: 7, Now: now, PasswordHash: "none"}
	one, two := open(t, sd), open(t, sd)
	other := sd
	other.Number = 8
	three := open(t, other)
	for _, table := range []string{"users", "inquiries"} {
		assert.Equal(t, rows(t, one, table), rows(t, two, table), table)
		assert.NotEqual(t, rows(t, one, table), rows(t, three, table), table)
	}
	assert.Equal(t, now, one.SeededAt())
}

func TestASeedHasAllItsRowsAndReportsItsProgressToTheEnd(t *testing.T) {
	t.Parallel()
	sd := small
	var last, total int
	sd.Progress = func(done, of int) {
		assert.GreaterOrEqual(t, done, last)
		last, total = done, of
	}
	s := open(t, sd)
	assert.Equal(t, total, last)
	assert.Positive(t, total)
	var users, inquiries int
	require.NoError(t, s.reads.QueryRow(`SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM inquiries)`).Scan(&users, &inquiries))
	assert.Equal(t, sd.Users, users)
	assert.Equal(t, sd.Inquiries, inquiries)
}

func TestAccountsAreWhereTheSeedSaysTheyAre(t *testing.T) {
	t.Parallel()
	s := open(t, small)
	for _, role := range Roles {
		id, email, ok := small.Account(role, 2)
		require.True(t, ok)
		u, _, err := s.Credentials(context.Background(), email)
		require.NoError(t, err)
		assert.Equal(t, id, u.ID)
		assert.Equal(t, role, u.Role)
	}
	_, _, ok := small.Account(RoleSuperuser, 3)
	assert.False(t, ok)
}

func TestAnInterruptedSeedLeavesNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	ctx, cancel := context.WithCancel(context.Background())
	sd := small
	sd.Progress = func(done, total int) {
		if done > total/4 {
			cancel()
		}
	}
	require.ErrorIs(t, sd.Build(ctx, path), context.Canceled)
	_, err := Open(context.Background(), path)
	require.ErrorIs(t, err, os.ErrNotExist)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestWhatAKilledSeedLeftIsNotUsed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	require.NoError(t, os.WriteFile(path+".seeding", []byte("half a database"), 0o600))
	_, err := Open(context.Background(), path)
	require.ErrorIs(t, err, os.ErrNotExist)
	sd := small
	require.NoError(t, sd.Build(context.Background(), path))
	s, err := Open(context.Background(), path)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestAFileThatIsNoSeededDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"empty": "", "garbage": "this is not a database, however long it goes on"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "test.db")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			_, err := Open(context.Background(), path)
			require.ErrorContains(t, err, "is not a seeded database")
		})
	}
}

func TestASeedTooSmallForItsRolesIsRefused(t *testing.T) {
	t.Parallel()
	err := Seed{Users: 3, Inquiries: 1}.Build(context.Background(), filepath.Join(t.TempDir(), "test.db"))
	require.Error(t, err)
	require.False(t, errors.Is(err, os.ErrNotExist))
}
