// Package lint holds the rules of the house as tests: who may import whom, what
// nobody may call, how large a file may grow, what must be documented. Each
// failure says what to do. Nothing but tests lives here.
package lint

import (
	"bytes"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// linesMax is the ceiling of a hand-written file that is not a test.
const linesMax = 600

func TestFiles_StayUnderTheCeiling(t *testing.T) {
	for _, f := range production(t) {
		if n := bytes.Count(f.text, []byte("\n")); n > linesMax && !f.generated() {
			t.Errorf("%s: %d lines, at most %d; split it along its nouns", f.name, n, linesMax)
		}
	}
}

func TestGeneratedCode_LivesInPbDirectories(t *testing.T) {
	for _, f := range production(t) {
		if f.generated() && !strings.HasSuffix(f.pkg, "pb") {
			t.Errorf("%s: generated code outside a directory ending in pb; move it there", f.name)
		}
	}
}

func TestPackages_HaveADocComment(t *testing.T) {
	doc := map[string]bool{}
	for _, f := range all(t) {
		doc[f.pkg] = doc[f.pkg] || f.tree.Doc != nil || f.generated()
	}
	for pkg, ok := range doc {
		if !ok {
			t.Errorf("package %s has no doc comment; say in one sentence what it is for, in doc.go when it takes more", pkg)
		}
	}
}

func TestExported_HasADocComment(t *testing.T) {
	for _, f := range production(t) {
		if f.generated() {
			continue
		}
		for _, d := range f.tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: %s has no doc comment; say what it does, its errors, and who owns what it takes and returns",
						f.set.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: type %s has no doc comment; say what it is", f.set.Position(ts.Pos()), ts.Name.Name)
					}
				}
			}
		}
	}
}

// exportedReceiver reports whether a function is one, or a method of an
// exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	receiver := d.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	id, ok := receiver.(*ast.Ident)
	return !ok || id.IsExported()
}

// banned is one name that must not be used in some packages.
type banned struct {
	x, name string
	in      []string
	// except lists packages below in where it is allowed.
	except []string
	remedy string
}

var bans = []banned{
	{x: "time", name: "Now", in: []string{"chat", "actors"}, remedy: "time comes in with the input; use the injected Clock"},
	{x: "time", name: "Sleep", in: []string{"chat", "actors"}, remedy: "nothing there waits; use Clock.AfterFunc and a mail"},
	{x: "time", name: "After", in: []string{"chat", "actors"}, remedy: "use Clock.AfterFunc"},
	{x: "time", name: "AfterFunc", in: []string{"chat", "actors"}, remedy: "use Clock.AfterFunc"},
	{x: "time", name: "NewTimer", in: []string{"chat", "actors"}, remedy: "use Clock.AfterFunc"},
	{x: "time", name: "NewTicker", in: []string{"chat", "actors"}, remedy: "use Clock.AfterFunc"},
	{x: "context", name: "Background", in: []string{"chat", "actors"}, remedy: "take the context of the caller or of the system"},
	{x: "context", name: "TO" + "DO", in: []string{"chat", "actors", "persistence", "transport", "bench", "cmd"}, remedy: "take the context of the caller"},
	{x: "fasthttp", name: "RequestCtx", in: []string{"."}, except: []string{"transport/edge", "transport/webhook", "transport/api", "transport/auth", "transport/console", "transport/peer", "cmd/chumi/cluster", "bench"},
		remedy: "a request's memory ends with its handler; copy what you need at the edge"},
	{x: "fmt", name: "Print", in: []string{"."}, remedy: "return it, log it, or write to the writer you were given"},
	{x: "fmt", name: "Printf", in: []string{"."}, remedy: "return it, log it, or write to the writer you were given"},
	{x: "fmt", name: "Println", in: []string{"."}, remedy: "return it, log it, or write to the writer you were given"},
	{name: "Stash", in: []string{"actors"}, remedy: "keep waiting mail in the actor's own bounded queue"},
	{name: "SetReceiveTimeout", in: []string{"actors"}, remedy: "the parent drives passivation"},
	{name: "Bounded", in: []string{"actors"}, remedy: "it blocks senders; use the gated mailbox, which answers Busy"},
	{name: "BoundedDropping", in: []string{"actors"}, remedy: "it drops mail silently; use the gated mailbox, which answers Busy"},
	{name: "WithMetricProviders", in: []string{"actors"}, remedy: "the instruments are in package metrics"},
	{name: "ReenterAfter", in: []string{"actors"}, remedy: "send the result as ordinary mail to (tenant, conversation, id)"},
}

func TestBannedNames(t *testing.T) {
	for _, f := range production(t) {
		f.selectors(func(x, name string, line int) {
			for _, b := range bans {
				if name != b.name || b.x != "" && x != b.x || len(b.except) > 0 && f.within(b.except...) {
					continue
				}
				if b.in[0] == "." || f.within(b.in...) {
					t.Errorf("%s:%d: %s is not used here: %s", f.name, line, strings.TrimPrefix(x+"."+name, "."), b.remedy)
				}
			}
		})
	}
}

// TestActors_PoisonNeverStop: Stop drops the mail that is already queued.
func TestActors_PoisonNeverStop(t *testing.T) {
	for _, f := range production(t) {
		if !f.within("actors") || !f.importsPath(actor) {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "Stop" || sel.Sel.Name == "StopFuture") {
				t.Errorf("%s: stops an actor over the head of its queued mail; use Poison", f.set.Position(call.Pos()))
			}
			return true
		})
	}
}

func TestCode_LeavesNothingOpen(t *testing.T) {
	open := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	for _, f := range all(t) {
		for i, line := range strings.Split(string(f.text), "\n") {
			if open.MatchString(line) {
				t.Errorf("%s:%d: left open; do it or write an issue", f.name, i+1)
			}
		}
	}
}

func TestDecisions_HaveTheHeader(t *testing.T) {
	records, err := filepath.Glob(filepath.Join(root, "docs/decisions/*.md"))
	if err != nil || len(records) == 0 {
		t.Fatalf("no records in docs/decisions (%v)", err)
	}
	name := regexp.MustCompile(`^[0-9]{8}_[a-z0-9_]+\.md$`)
	want := []string{"\nStatus: ", "\nDate: ", "\nIssue: ", "\n## Context\n", "\n## Decision\n", "\n## Rejected\n", "\n## Consequences\n"}
	for _, r := range records {
		if !name.MatchString(filepath.Base(r)) {
			t.Errorf("%s: name it YYYYMMDD_title.md", filepath.Base(r))
		}
		text, err := os.ReadFile(r)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, w := range want {
			i := strings.Index(string(text)[at:], w)
			if i < 0 {
				t.Errorf("%s: lacks %q, or it stands in another order", filepath.Base(r), strings.TrimSpace(w))
				break
			}
			at += i
		}
	}
}

// TestComparison_NamesItsSources: what docs/comparison.md says of others is dated, and
// every row and item about one of them links to a page that says it.
func TestComparison_NamesItsSources(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/comparison.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, about, _ := strings.Cut(string(text), "\n|---")
	table, about, ok := strings.Cut(about, "## Where chumi is worse")
	_, items, also := strings.Cut(about, "## Where chumi is better")
	if !ok || !also || !regexp.MustCompile(`As of 20[0-9]{2}-[0-9]{2}-[0-9]{2}`).Match(text) {
		t.Fatal("docs/comparison.md has no date, or lacks one of its parts")
	}
	claims := 0
	for line := range strings.Lines(table + items) {
		if name, _, _ := strings.Cut(strings.TrimLeft(line, "|- *"), " "); (line[0] == '|' || line[0] == '-') && name != "chumi" && name[0] >= 'A' {
			if claims++; !strings.Contains(line, "](https://") {
				t.Errorf("docs/comparison.md says this without a link: %s", line)
			}
		}
	}
	if claims < 12 {
		t.Errorf("only %d rows and items about others were found", claims)
	}
}

// TestDocs_LinksLead checks that every relative link of a page leads to a file.
func TestDocs_LinksLead(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "bench/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, p := range pages {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(p), m[1])); err != nil {
				t.Errorf("%s: link to %s leads nowhere", strings.TrimPrefix(p, root+"/"), m[1])
			}
		}
	}
}

// TestReadme_TestsExist checks that each `go test` command of the README and of
// docs/proof.md names packages and tests that there are: one that matches nothing passes.
func TestReadme_TestsExist(t *testing.T) {
	var text []byte
	for _, name := range []string{"README.md", "docs/proof.md"} {
		page, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, page...)
	}
	commands := regexp.MustCompile("go test ((?:\\./[a-z/]+ )+)-run '?([A-Za-z_|\\\\]+)'?`").FindAllStringSubmatch(string(text), -1)
	if len(commands) == 0 {
		t.Fatal("the README shows no test")
	}
	for _, c := range commands {
		for _, pkg := range strings.Fields(c[1]) {
			for _, name := range strings.Split(strings.ReplaceAll(c[2], `\|`, "|"), "|") {
				if !hasTest(t, strings.TrimPrefix(pkg, "./"), name) {
					t.Errorf("%s has no test that matches %s", pkg, name)
				}
			}
		}
	}
}

func hasTest(t *testing.T, pkg, word string) bool {
	t.Helper()
	for _, f := range all(t) {
		if f.pkg != pkg || !strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		for _, d := range f.tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") && strings.Contains(fn.Name.Name, word) {
				return true
			}
		}
	}
	return false
}
