package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sharedFixtures is the folder of recorded webhook payloads, which stands
// beside the repository and is not part of it.
func sharedFixtures(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "fixtures")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("skipped: there are no recorded payloads in ../shared/fixtures beside the repository: ", err)
	}
	return dir
}

// rewriter makes a recorded payload one of the bootstrapped channels' own: the
// first business in it becomes acme's, others bolt's, and message ids become
// unique per file.
type rewriter struct {
	file     int
	accounts map[string]string
	wabas    map[string]string
	// promised lists what must be in the export, in the order it was posted.
	promised []promise
}

// promise is one thing that was posted: a message or echo, which has a remote id; a
// status or read, which has a status too; or an update without a mapping, which is
// known by its tenant, its type and its JSON.
type promise struct{ remote, status, tenant, update, raw string }

// keep promises an update that the engine keeps raw. own is what the entry's
// business became.
func (r *rewriter) keep(own, field string, raw any) {
	tenant := "acme"
	if strings.HasSuffix(own, "2") {
		tenant = "bolt"
	}
	text, err := json.Marshal(raw)
	if err == nil && field != "" {
		r.promised = append(r.promised, promise{tenant: tenant, update: field, raw: string(text)})
	}
}

// canonical is JSON as keep writes it.
func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("the export shows an update that is not JSON: %v", err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (r *rewriter) business(seen map[string]string, id, acme, bolt string) string {
	if _, ok := seen[id]; !ok {
		seen[id] = acme
		if len(seen) > 1 {
			seen[id] = bolt
		}
	}
	return seen[id]
}

func (r *rewriter) unique(id string) string { return fmt.Sprintf("%s.F%03d", id, r.file) }

// whatsapp rewrites a WhatsApp payload in place.
func (r *rewriter) whatsapp(body map[string]any) {
	for _, entry := range list(body["entry"]) {
		own := ""
		if id, ok := entry["id"].(string); ok {
			own = r.business(r.wabas, id, "102000000000001", "102000000000002")
			entry["id"] = own
		}
		for _, change := range list(entry["changes"]) {
			value, _ := change["value"].(map[string]any)
			if metadata, ok := value["metadata"].(map[string]any); ok {
				if id, ok := metadata["phone_number_id"].(string); ok {
					metadata["phone_number_id"] = r.business(r.accounts, id, "106000000000001", "106000000000002")
				}
			}
			r.ids(value)
			switch field, _ := change["field"].(string); field {
			case "messages", "":
			case "smb_message_echoes":
				for _, m := range list(value["message_echoes"]) {
					if id, ok := m["id"].(string); ok {
						r.promised = append(r.promised, promise{remote: id})
					}
				}
				continue
			default:
				if own != "" && len(value) > 0 {
					r.keep(own, field, value)
				}
				continue
			}
			for _, m := range list(value["messages"]) {
				if id, ok := m["id"].(string); ok {
					r.promised = append(r.promised, promise{remote: id})
				}
			}
			for _, s := range list(value["statuses"]) {
				id, _ := s["id"].(string)
				word, _ := s["status"].(string)
				if id != "" {
					r.promised = append(r.promised, promise{remote: id, status: word})
				}
			}
		}
	}
}

// instagram rewrites an Instagram payload in place.
func (r *rewriter) instagram(body map[string]any) {
	for _, entry := range list(body["entry"]) {
		id, _ := entry["id"].(string)
		own := r.business(r.accounts, id, "17841400000000001", "17841400000000002")
		entry["id"] = own
		items := list(entry["messaging"])
		for _, change := range list(entry["changes"]) {
			value, ok := change["value"].(map[string]any)
			if !ok {
				continue
			}
			if value["sender"] != nil {
				items = append(items, value)
			} else if field, _ := change["field"].(string); len(value) > 0 {
				r.keep(own, field, value)
			}
		}
		for _, item := range items {
			for _, side := range []string{"sender", "recipient"} {
				if who, ok := item[side].(map[string]any); ok && who["id"] == id {
					who["id"] = own
				}
			}
			r.ids(item)
			if m, ok := item["message"].(map[string]any); ok {
				if mid, ok := m["mid"].(string); ok && m["is_deleted"] == nil {
					r.promised = append(r.promised, promise{remote: mid})
				}
			}
			if read, ok := item["read"].(map[string]any); ok {
				if mid, ok := read["mid"].(string); ok && mid != "" {
					r.promised = append(r.promised, promise{remote: mid, status: "read"})
				}
			}
		}
	}
}

// ids makes every message id below v unique: wamids wherever they stand, mids
// by their key, and the ids of listed messages and statuses.
func (r *rewriter) ids(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			text, isText := child.(string)
			switch {
			case isText && (key == "mid" || strings.HasPrefix(text, "wamid.")):
				v[key] = r.unique(text)
			case key == "messages" || key == "statuses" || key == "message_echoes":
				for _, item := range list(child) {
					if id, ok := item["id"].(string); ok && !strings.HasPrefix(id, "wamid.") {
						item["id"] = r.unique(id)
					}
				}
				r.ids(child)
			default:
				r.ids(child)
			}
		}
	case []any:
		for _, child := range v {
			r.ids(child)
		}
	}
}

func list(v any) []map[string]any {
	var out []map[string]any
	items, _ := v.([]any)
	for _, i := range items {
		if m, ok := i.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// TestServe_SharedFixtures posts every recorded payload, signed, and finds each
// message, echo, status, read and update without a mapping once in the export, in
// the order it was posted.
func TestServe_SharedFixtures(t *testing.T) {
	root := sharedFixtures(t)
	_, args := outside(t)
	dir := t.TempDir()
	// One app for both tenants, so that one POST may be for both.
	oneApp := strings.ReplaceAll(twoTenants, "app: bolt-app", "app: acme-app")
	e := startEngine(t, dir, write(t, "b.yaml", oneApp), append(args, "--set", "assistant.quiet_period=10m")...)
	promises := map[string][]promise{}
	posted := 0
	for _, kind := range []string{"whatsapp", "instagram"} {
		files, err := filepath.Glob(filepath.Join(root, kind, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no fixtures of %s: %v", kind, err)
		}
		for _, file := range files {
			posted++
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := &rewriter{file: posted, accounts: map[string]string{}, wabas: map[string]string{}}
			var body any
			if err := json.Unmarshal(text, &body); err != nil {
				t.Fatal(err)
			}
			for _, b := range append(list([]any{body}), list(body)...) {
				if kind == "whatsapp" {
					r.whatsapp(b)
				} else {
					r.instagram(b)
				}
			}
			if text, err = json.Marshal(body); err != nil {
				t.Fatal(err)
			}
			for range 2 { // Meta repeats itself

				if status := e.post("acme-app", "secret-of-acme", text); status != 200 {
					t.Errorf("%s: status %d", filepath.Base(file), status)
				}
			}
			promises[kind+"/"+filepath.Base(file)] = r.promised
		}
	}
	e.stop()
	checked(t, dir)
	var events []apiEvent
	for _, tenant := range []string{"acme", "bolt"} {
		got := exported(t, dir, tenant)
		gapFree(t, got)
		events = append(events, got...)
	}
	found := map[promise][]apiEvent{}
	for _, ev := range events {
		p := promise{}
		switch {
		case ev.Status != nil && ev.Status.RemoteID != nil:
			p = promise{remote: *ev.Status.RemoteID, status: ev.Status.Status}
		case ev.Message != nil && ev.Message.RemoteID != nil:
			p.remote = *ev.Message.RemoteID
		case ev.Update != nil && ev.Update.RemoteID != nil:
			p.remote = *ev.Update.RemoteID
		case ev.Kind == "update_received" && len(ev.Update.Raw) > 0:
			p = promise{tenant: ev.TenantID, update: ev.Update.Type, raw: canonical(t, ev.Update.Raw)}
		default:
			continue
		}
		found[p] = append(found[p], ev)
	}
	total, kept := 0, map[string]int{}
	for file, list := range promises {
		last := map[string]uint64{}
		seen := map[promise]bool{}
		for _, p := range list {
			if seen[p] {
				continue
			}
			seen[p] = true
			total++
			if p.update != "" {
				kept[p.update]++
			}
			got := found[p]
			if len(got) != 1 {
				t.Errorf("%s: %+v is in the export %d times, want once", file, p, len(got))
				continue
			}
			at := got[0].TenantID + got[0].conversation()
			if got[0].Pos <= last[at] {
				t.Errorf("%s: %+v is out of order", file, p)
			}
			last[at] = got[0].Pos
		}
	}
	// The recordings have these: a promise that is never made proves nothing.
	for _, field := range []string{"account_update", "message_template_status_update", "phone_number_quality_update", "comments"} {
		if kept[field] == 0 {
			t.Errorf("no payload has an update of type %s", field)
		}
	}
	t.Logf("%d payloads, %d promises, %d events, updates kept: %v", posted, total, len(events), kept)
}
