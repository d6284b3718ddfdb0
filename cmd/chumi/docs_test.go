package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandLine is a command of this program as a text names it: in a block of commands,
// or in backticks.
var commandLine = regexp.MustCompile("(?m)(?:^(?:    +|\t)@?|^bin/|[`|({] *|&& |=\\$\\()(?:bin/|\\./bin/|\\$\\(BIN\\)/)?chumi ((?:[a-z-]+ ?)+[^`\n;|&#)]*)")

// TestDocs_CommandsExist holds every command line in what ships for readers against the
// commands and flags that there are: none is run.
func TestDocs_CommandsExist(t *testing.T) {
	root := filepath.Join("..", "..")
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "bench/*.md", "deploy/*.md", "deploy/*/*.md", "Makefile"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(file) == "CHANGELOG.md" {
			continue // of its time
		}
		for _, m := range commandLine.FindAllStringSubmatch(string(text), -1) {
			words := strings.Fields(m[1])
			if why := unknownCommand(t, words); why != "" {
				t.Errorf("%s: chumi %s: %s", strings.TrimPrefix(file, root+"/"), m[1], why)
			}
			seen++
		}
	}
	if seen < 60 {
		t.Errorf("only %d command lines were found", seen)
	}
}

// unknownCommand says which word of a command line means nothing; empty when all do. A
// line that a sentence goes on after ends where the sentence does.
func unknownCommand(t *testing.T, words []string) string {
	t.Helper()
	c := &cli{stdout: io.Discard, stderr: io.Discard}
	cmd := c.root()
	cmd.InitDefaultCompletionCmd()
	used := 0
	for _, word := range words {
		next := below(cmd, word)
		if next == nil {
			break
		}
		cmd, used = next, used+1
	}
	if used == 0 {
		return "there is no such command"
	}
	if next := words[used:]; len(next) > 0 && cmd.HasAvailableSubCommands() && !cmd.Runnable() && regexp.MustCompile(`^[a-z][a-z-]+$`).MatchString(next[0]) {
		return "no such command: " + next[0]
	}
	cmd.InitDefaultHelpFlag()
	for _, word := range words[used:] {
		name, _, _ := strings.Cut(strings.TrimRight(strings.TrimLeft(word, "["), "].,:"), "=")
		if !strings.HasPrefix(name, "--") || len(name) == 2 {
			continue
		}
		if name = name[2:]; cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
			return "no such flag: --" + name
		}
	}
	return ""
}

// below is the command below cmd that a word names, nil for none.
func below(cmd *cobra.Command, word string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == word || c.HasAlias(word) {
			return c
		}
	}
	return nil
}
