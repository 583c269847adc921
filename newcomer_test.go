package tiercache_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a newcomer does first: the README's quick start, pasted into an empty module
// outside the repository, with a replace until there is a release.
func TestTheQuickStartOfTheREADMERunsInAnEmptyModule(t *testing.T) {
	t.Parallel()
	const redis = "localhost:6379" // in the README; here somebody may have a Redis there
	code, ok := strings.CutPrefix(goBlocks(t, "README.md")[0], "package main\n")
	require.True(t, ok, "the first Go code of the README is a whole program")
	require.Equal(t, 1, strings.Count(code, redis))
	code = "package main\n" + strings.Replace(code, redis, miniredis.RunT(t).Addr(), 1)

	dir := moduleBeside(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(code), 0o600))
	out, err := goIn(t, dir, "build", "-o", "newcomer", ".")
	require.NoError(t, err, "%s", out)
	printed, err := exec.CommandContext(t.Context(), filepath.Join(dir, "newcomer")).CombinedOutput()
	require.NoError(t, err, "%s", printed)
	assert.Equal(t, "Ann <nil>\n<nil>\n", string(printed))
}

// moduleBeside makes an empty module that uses this one, and has its checksums, so that
// nothing has to be fetched that this one has not.
func moduleBeside(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	root, err := os.Getwd()
	require.NoError(t, err)
	sums, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600))
	const us = "github.com/tiercache/tiercache"
	for _, args := range [][]string{
		{"mod", "init", "newcomer"},
		{"mod", "edit", "-require=" + us + "@v0.0.0", "-replace=" + us + "=" + root},
	} {
		out, err := goIn(t, dir, args...)
		require.NoError(t, err, "%s", out)
	}
	return dir
}

// goIn runs the go command in dir and returns what it prints. A machine that lacks a
// module and cannot fetch it skips the test.
func goIn(t *testing.T, dir string, args ...string) (out string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err = cmd.Run()
	out = both.String()
	for _, offline := range []string{"dial tcp", "module lookup disabled by GOPROXY=off", "proxyconnect"} {
		if err != nil && strings.Contains(out, offline) {
			t.Skipf("a module is missing here, and cannot be fetched:\n%s", out)
		}
	}
	return out, err
}

// goBlocks are the blocks of Go code in a page, in their order.
func goBlocks(t *testing.T, page string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, part := range strings.Split(string(text), "\n```go\n")[1:] {
		code, _, ended := strings.Cut(part, "\n```")
		require.True(t, ended, "%s: a block of code that does not end", page)
		blocks = append(blocks, code+"\n")
	}
	require.NotEmpty(t, blocks, page)
	return blocks
}
