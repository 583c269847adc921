package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/benchmarks/ratio/compare"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAQuickRunWritesTablesAChartAndFigures(t *testing.T) {
	dir := t.TempDir()
	file, out := filepath.Join(dir, "ratio.json"), filepath.Join(dir, "out")
	var stdout, stderr bytes.Buffer
	require.NoError(t, ratio(t.Context(), []string{"-quick", "-json", file, "-out", out}, &stdout, &stderr))
	assert.NotContains(t, stdout.String(), "MISSED", "nothing is judged")

	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var r compare.Result
	require.NoError(t, json.Unmarshal(raw, &r))
	require.NotEmpty(t, r.Rows)

	page, err := os.ReadFile(filepath.Join(out, "ratio.md"))
	require.NoError(t, err)
	picture, err := os.ReadFile(filepath.Join(out, "ratio.svg"))
	require.NoError(t, err)
	for _, c := range compare.Contenders() {
		for _, text := range []string{stdout.String(), string(page), string(picture)} {
			assert.Contains(t, text, c.Name)
		}
	}
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, "the chart is well formed")
	}
}

func TestBadArgumentsAreNamed(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-fast"}, {"zipf"}} {
		err := ratio(t.Context(), args, io.Discard, io.Discard)
		require.ErrorContains(t, err, args[0][1:])
	}
}
