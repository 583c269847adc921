package tiercache_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages are all that is written about the library, but for the packages' own comments.
func pages(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, docs)
	beside, err := filepath.Glob("*/README.md")
	require.NoError(t, err)
	return append(append(docs, beside...), "README.md")
}

// Code in the pages that is a whole file compiles; what begins otherwise is a fragment, or
// another library's.
func TestTheCodeInThePagesCompiles(t *testing.T) {
	t.Parallel()
	dir := moduleBeside(t)
	files := 0
	for _, page := range pages(t) {
		if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "\n```go\n") {
			require.NoError(t, err)
			continue
		}
		for i, block := range goBlocks(t, page) {
			if !strings.HasPrefix(block, "package ") {
				continue
			}
			files++
			sub := filepath.Join(dir, fmt.Sprintf("%s%d", strings.TrimSuffix(filepath.Base(page), ".md"), i))
			require.NoError(t, os.Mkdir(sub, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(sub, "page.go"), []byte(block), 0o600))
		}
	}
	require.Greater(t, files, 3)
	out, err := goIn(t, dir, "vet", "./...")
	require.NoError(t, err, "%s", out)
}

var (
	makeCommand = regexp.MustCompile("(?m)(?:`|^)make ([a-z-]+)")
	testCommand = regexp.MustCompile("go test [^`\n]*?-run '([^']+)'([^`\n]*)`")
	pageLink    = regexp.MustCompile(`\]\(([^)#]*)#?([^)]*)\)`)
	heading     = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInAnchor = regexp.MustCompile(`[^a-z0-9_ -]`)
	code        = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	target      = regexp.MustCompile(`(?m)^([a-z-]+):.*## `)
	testName    = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

func TestTheCommandsInThePagesExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	targets := make(map[string]bool)
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	tests := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range makeCommand.FindAllStringSubmatch(string(text), -1) {
			assert.True(t, targets[m[1]], "%s: make %s", page, m[1])
		}
		for _, m := range testCommand.FindAllStringSubmatch(string(text), -1) {
			names := testsOf(t, strings.Fields(m[2]))
			for _, part := range strings.Split(strings.ReplaceAll(m[1], `\|`, "|"), "|") {
				tests++
				assert.Regexp(t, regexp.MustCompile(`(?m)^.*`+part), names, "%s: no test for %q of %s", page, part, m[0])
			}
		}
	}
	require.Greater(t, tests, 10)
}

// testsOf are the names of the tests in packages, one a line.
func testsOf(t *testing.T, packages []string) string {
	t.Helper()
	var names strings.Builder
	for _, p := range packages {
		if strings.HasPrefix(p, "-") {
			continue
		}
		depth := 1
		if strings.HasSuffix(p, "/...") {
			p, depth = strings.TrimSuffix(p, "..."), 3
		}
		for ; depth > 0; depth-- {
			files, err := filepath.Glob(filepath.Join(p, strings.Repeat("*/", depth-1), "*_test.go"))
			require.NoError(t, err)
			for _, f := range files {
				text, err := os.ReadFile(f)
				require.NoError(t, err)
				for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
					names.WriteString(m[1] + "\n")
				}
			}
		}
	}
	return names.String()
}

func TestThePagesLinkToWhatIsThere(t *testing.T) {
	t.Parallel()
	links := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		prose := code.ReplaceAllString(string(text), "")
		for _, m := range pageLink.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			to := page
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(page), m[1])
			}
			_, err := os.Stat(to)
			assert.NoError(t, err, "%s", page)
			if err == nil && m[2] != "" {
				assert.Contains(t, anchors(t, to), m[2], "%s", page)
			}
		}
	}
	require.Greater(t, links, 10)
}

// anchors are what links into a page may name: its headings, as GitHub makes them.
func anchors(t *testing.T, page string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		all = append(all, strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

// doc.go is the manual: whoever reads it has met every name.
func TestTheManualNamesEverythingThatIsExported(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	names := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, decl := range f.Decls {
			for _, name := range exportedBy(decl) {
				names++
				assert.True(t, regexp.MustCompile(`\b`+name+`\b`).Match(manual), "doc.go does not name %s of %s", name, file)
			}
		}
	}
	require.Greater(t, names, 60)
}

// exportedBy are the functions, types, and methods of exported types that a declaration
// declares.
func exportedBy(decl ast.Decl) (names []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		of := ""
		if d.Recv != nil {
			ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && of == "" { // what follows are type parameters
					of = id.Name
				}
				return true
			})
		}
		if (of == "" || ast.IsExported(of)) && d.Name.IsExported() {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
				names = append(names, s.Name.Name)
			}
		}
	}
	return names
}
