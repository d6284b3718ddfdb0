// Package metatest reads the recorded webhook payloads in transport/meta/testdata,
// for tests of what becomes of them further in. Imported by tests only.
package metatest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// frames wrap payloads so that a case shows only what matters.
var frames = map[string]string{
	"raw": "%s",
	"wa-message": `{"object":"whatsapp_business_account","entry":[{"id":"9001","changes":[{"value":{"messaging_product":"whatsapp",
		"metadata":{"display_phone_number":"4915550001","phone_number_id":"7001"},
		"contacts":[{"profile":{"name":"Ada"},"wa_id":"491701"}],"messages":[%s]},"field":"messages"}]}]}`,
	"wa-status": `{"object":"whatsapp_business_account","entry":[{"id":"9001","changes":[{"value":{"messaging_product":"whatsapp",
		"metadata":{"display_phone_number":"4915550001","phone_number_id":"7001"},"statuses":[%s]},"field":"messages"}]}]}`,
	"wa-value": `{"object":"whatsapp_business_account","entry":[{"id":"9001","time":1760000000,"changes":[{"value":{"messaging_product":"whatsapp",
		"metadata":{"display_phone_number":"4915550001","phone_number_id":"7001"},%s},"field":"messages"}]}]}`,
	"wa-change": `{"object":"whatsapp_business_account","entry":[{"id":"9001","time":1760000000,"changes":[%s]}]}`,
	"ig-item":   `{"object":"instagram","entry":[{"id":"5001","time":1760000000000,"messaging":[%s]}]}`,
	"ig-entry":  `{"object":"instagram","entry":[{"id":"5001","time":1760000000000,%s}]}`,
}

// Frame wraps a payload.
func Frame(name, payload string) []byte { return fmt.Appendf(nil, frames[name], payload) }

// Case is one recorded payload. A golden file holds cases:
//
//	== name | frame | row; row
//	{payload}
//	----
//	expected
//
// The rows, if any, are those of Meta's tables that it is a case of. Text before the
// first case is comment.
type Case struct {
	Name, Frame, Payload, Want string
	Rows                       []string
}

// Body is the payload in its frame, as Meta would post it.
func (c Case) Body() []byte { return Frame(c.Frame, c.Payload) }

// Title is the first line of the case.
func (c Case) Title() string {
	title := c.Name + " | " + c.Frame
	if len(c.Rows) > 0 {
		title += " | " + strings.Join(c.Rows, "; ")
	}
	return title
}

// Files lists the golden files below testdata, which is that of transport/meta as
// seen from the test.
func Files(t testing.TB, testdata string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testdata, "*", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", testdata, err)
	}
	return files
}

// Read reads one golden file: its comment and its cases.
func Read(t testing.TB, path string) (head string, cases []Case) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("\n"+string(b), "\n== ")
	for _, p := range parts[1:] {
		title, rest, _ := strings.Cut(p, "\n")
		name, frame, _ := strings.Cut(title, " | ")
		frame, rows, _ := strings.Cut(frame, " | ")
		payload, want, _ := strings.Cut(rest+"\n", "\n----\n")
		if _, ok := frames[frame]; !ok {
			t.Fatalf("%s: case %q has unknown frame %q", path, name, frame)
		}
		cases = append(cases, Case{name, frame, strings.TrimSpace(payload), strings.TrimSpace(want), splitRows(rows)})
	}
	return strings.TrimPrefix(parts[0], "\n"), cases
}

func splitRows(title string) (rows []string) {
	for _, r := range strings.Split(title, ";") {
		if r = strings.TrimSpace(r); r != "" {
			rows = append(rows, r)
		}
	}
	return rows
}
