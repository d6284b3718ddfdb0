package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page of defects names tests, scripts and inputs: each must be in the tree.
func TestDefects_NameWhatIsInTheTree(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/defects.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, f := range all(t) {
		if strings.HasSuffix(f.name, "_test.go") {
			text += string(f.text)
		}
	}
	for _, name := range regexp.MustCompile(`\b(Test|Fuzz)[A-Z][A-Za-z0-9]*(_[A-Za-z0-9]+)?\b`).FindAllString(string(page), -1) {
		if !strings.Contains(text, "func "+name+"(") {
			t.Errorf("docs/defects.md names %s, which is no test: name the one that shows the defect now", name)
		}
	}
	for _, name := range regexp.MustCompile(`\b[a-z]+(/[A-Za-z0-9_.]+)+(\.txt|_test\.go)|persistence/testdata/fuzz/\w+/\w+`).FindAllString(string(page), -1) {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("docs/defects.md names %s, which is not in the tree", name)
		}
	}
}
