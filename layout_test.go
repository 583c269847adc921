package tiercache_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/tiercache/tiercache"

// layers says what each package may import of this module. Whatever is not
// named here may import nothing of it.
var layers = map[string][]string{
	".": {"internal/batch", "internal/engine", "internal/errs", "internal/journal", "internal/latency", "internal/remote", "internal/restconn", "internal/schema", "internal/warm"},
	"internal/engine": {"internal/ablate", "internal/batch", "internal/clock", "internal/coherence", "internal/envelope", "internal/errs",
		"internal/flight", "internal/glob", "internal/journal", "internal/latency", "internal/memory", "internal/remote", "internal/warm"},
	"internal/remote":    {"internal/clock", "internal/coherence", "internal/envelope"},
	"internal/coherence": {"internal/clock", "internal/envelope"},
	"internal/batch":     {"internal/errs", "internal/flight"},
	"internal/flight":    {"internal/errs"},
	"internal/warm":      {"internal/flight"},
	"internal/journal":   {"internal/glob"},
	"internal/restconn":  {"internal/glob"},
	"cachehttp":          {"", "advice"},
	"advice":             {""},
	"cachetest":          {"", "internal/redistest"},
}

// keepers are the only packages that may import a dependency.
var keepers = map[string][]string{
	"github.com/dgraph-io/ristretto/v2":   {"internal/memory"},
	"golang.org/x/sync/singleflight":      {"internal/flight"},
	"github.com/cespare/xxhash/v2":        {"internal/envelope"},
	"github.com/redis/go-redis/v9":        {".", "internal/coherence", "internal/remote", "internal/redistest", "cachetest"},
	"testing":                             {"internal/redistest", "cachetest"},
	"github.com/alicebob/miniredis/v2":    {"cachetest"},
	"github.com/stretchr/testify/require": nil,
}

func TestPackagesImportOnlyWhatTheirLayerMay(t *testing.T) {
	t.Parallel()
	for dir, imports := range sources(t) {
		for _, imp := range imports {
			if own, ok := strings.CutPrefix(imp, module+"/"); ok {
				assert.Contains(t, layers[dir], own, "%s must not import %s", dir, own)
			}
			if only, guarded := keepers[imp]; guarded {
				assert.Contains(t, only, dir, "%s must not import %s", dir, imp)
			}
			assert.False(t, dir == "keys" && strings.Contains(imp, "."), "keys is standard library only, not %s", imp)
		}
	}
}

// sources are the imports of every package's non-test files.
func sources(t *testing.T) map[string][]string {
	out := make(map[string][]string)
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch name := d.Name(); {
			case p == "examples", p == "tools", p == "benchmarks", p == "s2", p != "." && strings.HasPrefix(name, "."), strings.HasPrefix(name, "_"):
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(p))
		for _, i := range f.Imports {
			imp, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			out[dir] = append(out[dir], imp)
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, out["."])
	return out
}

// mostNames bounds the root package's surface; growth is a decision.
const mostNames = 45

func TestTheRootPackageExportsFewNamesAndEachIsDocumented(t *testing.T) {
	t.Parallel()
	var names []string
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	note := func(name *ast.Ident, doc ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		names = append(names, name.Name)
		for _, d := range doc {
			if d.Text() != "" {
				return
			}
		}
		t.Errorf("%s has no comment", name.Name)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					note(d.Name, d.Doc)
				} else if d.Name.IsExported() && d.Doc.Text() == "" && !strings.Contains(file, "codec") {
					t.Errorf("%s: method %s has no comment", file, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						note(s.Name, s.Doc, d.Doc)
					case *ast.ValueSpec:
						for _, n := range s.Names {
							note(n, s.Doc, s.Comment, d.Doc)
						}
					}
				}
			}
		}
	}
	t.Logf("the root package exports %d names: %s", len(names), strings.Join(names, " "))
	assert.Less(t, len(names), mostNames)
}
