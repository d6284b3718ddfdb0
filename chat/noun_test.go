package chat_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestDocNouns_AreTold: two kinds of documents under one letter would be listed, and
// read, as one another.
func TestDocNouns_AreTold(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	noun := regexp.MustCompile(`(Doc\w+)\s+DocNoun = '(.)'`)
	named := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range noun.FindAllStringSubmatch(string(text), -1) {
			name, letter := m[1], m[2]
			if other, taken := named[letter]; taken {
				t.Errorf("%s and %s are both %q", name, other, letter)
			}
			named[letter] = name
		}
	}
	if len(named) < 10 {
		t.Errorf("only %d kinds of documents were found", len(named))
	}
}
