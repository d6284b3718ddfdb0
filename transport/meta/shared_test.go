package meta

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func sharedFixtures(t testing.TB) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "fixtures")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared fixtures beside the repository: ", err)
	}
	return dir
}

// TestDecode_SharedFixtures: every payload we know of decodes, and every id in
// messages[] or statuses[] of the field messages comes out exactly once.
func TestDecode_SharedFixtures(t *testing.T) {
	dir := sharedFixtures(t)
	for _, kind := range []string{"whatsapp", "instagram"} {
		files, _ := filepath.Glob(filepath.Join(dir, kind, "*.json"))
		for _, path := range files {
			t.Run(kind+"/"+filepath.Base(path), func(t *testing.T) {
				body, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				list, err := Decode("app", body)
				if err != nil {
					t.Fatal(err)
				}
				var want, got []string
				if kind == "whatsapp" {
					want = whatsappIDs(t, body)
				} else {
					want = instagramIDs(t, body)
				}
				for _, in := range list {
					if in.Problem != "" {
						t.Errorf("problem %q", in.Problem)
					}
					switch in.Kind {
					case chat.InboundMessage, chat.InboundStatus, chat.InboundEcho:
						got = append(got, string(in.Remote)+" "+in.Text)
					case chat.InboundUpdate:
						if in.Raw == nil || in.Digest == "" && in.Remote == "" {
							t.Errorf("update %q has no JSON or no identity", in.Type)
						}
					}
				}
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		}
	}
}

// whatsappIDs finds, by another way than the decoder, what must come out.
func whatsappIDs(t *testing.T, body []byte) (ids []string) {
	t.Helper()
	var n struct {
		Entry []struct {
			Changes []struct {
				Field string
				Value *struct {
					Messages, Statuses []map[string]any
					Echoes             []map[string]any `json:"message_echoes"`
				}
			}
		}
	}
	if err := json.Unmarshal(body, &n); err != nil {
		return nil // account-level values of other shapes hold no messages
	}
	for _, e := range n.Entry {
		for _, c := range e.Changes {
			if c.Value == nil || c.Field != "messages" && c.Field != "smb_message_echoes" {
				continue
			}
			for _, m := range slices.Concat(c.Value.Messages, c.Value.Statuses, c.Value.Echoes) {
				text := ""
				for _, path := range [][]string{{"text", "body"}, {"image", "caption"}, {"video", "caption"}, {"document", "caption"},
					{"button", "text"}, {"interactive", "button_reply", "title"}, {"interactive", "list_reply", "title"},
					{"order", "text"}, {"system", "body"}, {"edit", "message", "text", "body"}, {"edit", "message", "image", "caption"}} {
					if s, ok := dig(m, path...).(string); ok && text == "" {
						text = s
					}
				}
				ids = append(ids, fmt.Sprint(m["id"], " ", text))
			}
		}
	}
	return ids
}

func instagramIDs(t *testing.T, body []byte) (ids []string) {
	t.Helper()
	var root any
	if err := json.Unmarshal(body, &root); err != nil {
		t.Fatal(err)
	}
	envelopes, ok := root.([]any)
	if !ok {
		envelopes = []any{root}
	}
	item := func(i any) {
		if dig(i, "message", "is_deleted") == true {
			return
		}
		for _, kind := range []string{"message", "postback"} {
			if mid, ok := dig(i, kind, "mid").(string); ok {
				text, _ := dig(i, kind, "text").(string)
				if title, ok := dig(i, kind, "title").(string); ok {
					text = title
				}
				ids = append(ids, mid+" "+text)
			} else if dig(i, kind) != nil {
				t.Logf("%s without mid", kind)
			}
		}
	}
	list := func(v any) []any { l, _ := v.([]any); return l }
	for _, env := range envelopes {
		for _, e := range list(dig(env, "entry")) {
			for _, i := range list(dig(e, "messaging")) {
				item(i)
			}
			for _, c := range list(dig(e, "changes")) {
				if dig(c, "field") == "messages" {
					item(dig(c, "value"))
				}
			}
		}
	}
	return ids
}

func dig(v any, path ...string) any {
	for _, k := range path {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}
