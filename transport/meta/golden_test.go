package meta

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metatest"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

func readGolden(t testing.TB, path string) (head string, cases []metatest.Case) {
	t.Helper()
	return metatest.Read(t, path)
}

func goldenFiles(t testing.TB) []string {
	t.Helper()
	return metatest.Files(t, "testdata")
}

func TestDecode_Golden(t *testing.T) {
	for _, path := range goldenFiles(t) {
		head, cases := readGolden(t, path)
		var out strings.Builder
		out.WriteString(head)
		for _, c := range cases {
			t.Run(filepath.Base(path)+"/"+c.Name, func(t *testing.T) {
				got := show(Decode("app", c.Body()))
				if got != c.Want && !*update {
					t.Errorf("%s\ngot:\n%s\nwant:\n%s", c.Payload, got, c.Want)
				}
				fmt.Fprintf(&out, "\n== %s\n%s\n----\n%s\n", c.Title(), c.Payload, got)
			})
		}
		if *update {
			if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// show prints inbounds, only the fields that are set, one line each; JSON that
// was kept stands on a line of its own.
func show(list []chat.Inbound, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	if len(list) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for i := range list {
		b.WriteString(showOne(&list[i]))
	}
	return strings.TrimSpace(b.String())
}

func showOne(in *chat.Inbound) string {
	var b strings.Builder
	kinds := map[chat.InboundKind]string{chat.InboundMessage: "message", chat.InboundStatus: "status",
		chat.InboundEcho: "echo", chat.InboundRead: "read", chat.InboundUpdate: "update",
		chat.InboundImport: "import"}
	b.WriteString(kinds[in.Kind])
	put := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", key, value)
		}
	}
	quote := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%q", key, value)
		}
	}
	put("type", in.Type)
	put("remote", string(in.Remote))
	put("revision", in.Revision)
	if in.ChannelKind != 0 {
		put("on", in.ChannelKind.String()+":"+in.Account)
	}
	put("waba", in.WABA)
	kind := map[chat.AddressKind]string{chat.WaID: "wa", chat.BSUID: "bsuid", chat.ParentBSUID: "parent",
		chat.IGSID: "igsid", chat.Username: "username", chat.Phone: "phone", chat.GroupAddress: "group"}
	var who []string
	for _, a := range in.Customer {
		who = append(who, kind[a.Kind]+":"+a.Value)
	}
	put("customer", strings.Join(who, ","))
	quote("name", in.Name)
	quote("text", in.Text)
	put("reply", string(in.ReplyTo))
	put("group", in.Group)
	if !in.Time.IsZero() {
		put("time", in.Time.Format(time.RFC3339Nano))
	}
	quote("callback", in.Callback)
	if in.Code != 0 {
		fmt.Fprintf(&b, " code=%d", in.Code)
	}
	quote("detail", in.Detail)
	put("participant", in.Participant)
	put("digest", in.Digest)
	quote("problem", in.Problem)
	if in.Ours {
		b.WriteString(" ours")
	}
	b.WriteByte('\n')
	if in.Content != nil {
		content, err := json.Marshal(in.Content)
		if err != nil {
			content = []byte(err.Error())
		}
		fmt.Fprintf(&b, "  content %s\n", content)
	}
	if in.Raw != nil {
		fmt.Fprintf(&b, "  %s\n", in.Raw)
	}
	return b.String()
}

// compact is what Raw must be: the JSON as received without white space.
func compact(t testing.TB, b []byte) string {
	t.Helper()
	var buf bytes.Buffer
	if err := json.Compact(&buf, b); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
