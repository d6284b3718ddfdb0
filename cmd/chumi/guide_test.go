package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// guideBlock is a block of commands in a guide and, below it, lines of what they print.
var guideBlock = regexp.MustCompile("(?s)```sh\n(.*?)```\n(?:```\n(.*?)```)?")

// TestGuide_APICommandsRun runs docs/api.md from its top to its end against chumi dev, and
// looks in what each block prints for what the guide says it does.
func TestGuide_APICommandsRun(t *testing.T) {
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not on PATH", tool)
		}
	}
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := guideBlock.FindAllStringSubmatch(string(guide), -1)
	if len(blocks) < 7 {
		t.Fatalf("the guide has %d blocks of commands", len(blocks))
	}
	var out strings.Builder
	e := start(t, &out, "dev", "--data-dir", t.TempDir(), "--set", "assistant.quiet_period=10ms")
	key := regexp.MustCompile(`API key +(\S+)`).FindStringSubmatch(out.String())
	if key == nil {
		t.Fatalf("chumi dev shows no key:\n%s", out.String())
	}
	const mark = "=== the next block ==="
	var script strings.Builder
	for _, b := range blocks {
		script.WriteString(b[1] + "\necho; echo '" + mark + "'\n")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Stdin = strings.NewReader(script.String())
	cmd.Env = append(os.Environ(), "API=http://"+e.api, "KEY="+key[1])
	cmd.Stderr = io.Discard
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("the commands of the guide ended with %v after\n%s", err, printed)
	}
	parts := strings.Split(string(printed), mark)
	for i, b := range blocks {
		for want := range strings.Lines(b[2]) {
			if want = strings.TrimSpace(want); !strings.Contains(parts[i], want) {
				t.Errorf("%s\nprints\n%s\nwithout %s", b[1], clip(parts[i]), want)
			}
		}
	}
}
