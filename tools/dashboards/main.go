package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// file is the name of the dashboard's file.
func (b *board) file() string { return strings.TrimPrefix(b.uid, "chumi-") + ".json" }

func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range boards {
		text, err := boards[i].text()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, boards[i].file()), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
