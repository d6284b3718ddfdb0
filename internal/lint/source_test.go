package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// source is one Go file.
type source struct {
	// name is the path from the root, pkg its directory.
	name, pkg string
	text      []byte
	tree      *ast.File
	set       *token.FileSet
}

// sources parses every Go file of the module, whatever its build tags, once.
// Other modules inside the tree are left out.
var sources = sync.OnceValues(func() ([]source, error) {
	var out []source
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(p, rel, d.Name())
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(set, rel, text, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, source{name: rel, pkg: filepath.Dir(rel), text: text, tree: tree, set: set})
		return nil
	})
	return out, err
})

// enter decides whether a directory belongs to the module.
func enter(p, rel, name string) error {
	if rel == "." {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "data" {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func all(t *testing.T) []source {
	t.Helper()
	files, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// production is every file that is not a test.
func production(t *testing.T) []source {
	t.Helper()
	var out []source
	for _, f := range all(t) {
		if !strings.HasSuffix(f.name, "_test.go") {
			out = append(out, f)
		}
	}
	return out
}

// generated reports whether the file says that a tool wrote it.
func (f source) generated() bool { return ast.IsGenerated(f.tree) }

func (f source) imports() []string {
	var out []string
	for _, i := range f.tree.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func (f source) importsPath(path string) bool {
	for _, p := range f.imports() {
		if p == path {
			return true
		}
	}
	return false
}

// interfaces counts the methods of each interface the file declares.
func (f source) interfaces() map[string]int {
	out := map[string]int{}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if it, ok := spec.Type.(*ast.InterfaceType); ok {
				out[spec.Name.Name] = it.Methods.NumFields()
			}
		}
		return true
	})
	return out
}

// selectors calls f for each "x.Name" of the file with its line.
func (f source) selectors(visit func(x, name string, line int)) {
	ast.Inspect(f.tree, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			x := ""
			if id, ok := sel.X.(*ast.Ident); ok {
				x = id.Name
			}
			visit(x, sel.Sel.Name, f.set.Position(sel.Pos()).Line)
		}
		return true
	})
}

// within reports whether the file is in one of the packages or below them.
func (f source) within(pkgs ...string) bool {
	for _, p := range pkgs {
		if f.pkg == p || strings.HasPrefix(f.pkg, p+"/") {
			return true
		}
	}
	return false
}
