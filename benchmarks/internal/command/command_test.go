package command

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFiguresAreWrittenWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	require.NoError(t, WriteJSON("", func() {}), "nowhere: they need not even be figures")
	name := filepath.Join(t.TempDir(), "figures.json")
	require.NoError(t, WriteJSON(name, map[string]int{"n": 1}))
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "{\n  \"n\": 1\n}\n", string(raw))
	assert.Error(t, WriteJSON(filepath.Join(name, "below"), 1))
}

func TestWhatIsNoFlagIsRefused(t *testing.T) {
	t.Parallel()
	f := Flags("x", t.Output())
	n := f.Int("n", 0, "")
	require.NoError(t, Parse(f, []string{"-n", "3"}))
	assert.Equal(t, 3, *n)
	assert.EqualError(t, Parse(f, []string{"more"}), `unexpected argument "more"`)
	assert.Error(t, Parse(f, []string{"-m"}))
}
