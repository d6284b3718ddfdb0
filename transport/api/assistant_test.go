package api_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/api"
)

// desk keeps the assistants of one tenant, by the rules of Step.
type desk struct {
	mu   sync.Mutex
	docs []chat.Doc
	// talk is the events of the conversation asked.
	talk []chat.Event
}

func (d *desk) Heads(_ context.Context, t chat.TenantID) (heads []chat.AssistantHead, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	heads = []chat.AssistantHead{}
	for _, doc := range d.docs {
		if h, found := chat.HeadOf([]chat.Doc{doc}, chat.AssistantID(doc.ID)); found && t == "acme" {
			heads = append(heads, h)
		}
	}
	return heads, nil
}

func (d *desk) Version(_ chat.TenantID, ref chat.AssistantRef) (a chat.Assistant, tag string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, doc := range d.docs {
		if doc.Noun == chat.DocVersion && doc.ID == string(ref) {
			return a, chat.DocTag(doc.Value), json.Unmarshal(doc.Value, &a)
		}
	}
	return a, "", chat.E("desk", chat.KindNotFound, "", nil)
}

func (d *desk) do(f chat.Fact) (chat.Verdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	decision := chat.Step(&chat.Conversation{Tenant: "acme"}, chat.Input{Now: noon, Settings: &chat.Settings{}, Known: chat.Known{Docs: d.docs}, Fact: f})
	for _, doc := range decision.Docs {
		d.docs = append(slices.DeleteFunc(d.docs, func(o chat.Doc) bool { return o.Noun == doc.Noun && o.ID == doc.ID }), doc)
	}
	return decision.Verdict, nil
}

func (d *desk) Draft(_ context.Context, _ chat.TenantID, f chat.DraftAssistant) (chat.Verdict, error) {
	if wrong := chat.CheckAssistant(&f.Draft); wrong != nil {
		return chat.Verdict{Kind: chat.VerdictRefused, Limit: wrong}, nil
	}
	return d.do(f)
}

func (d *desk) Publish(_ context.Context, _ chat.TenantID, f chat.PublishAssistant) (chat.Verdict, error) {
	return d.do(f)
}

func (d *desk) RollBack(_ context.Context, _ chat.TenantID, f chat.RollBackAssistant) (chat.Verdict, error) {
	return d.do(f)
}

func (d *desk) Place(_ context.Context, _ chat.TenantID, f chat.PlaceAssistant) (chat.Verdict, error) {
	return d.do(f)
}

// everything is an assistant with all members set.
const everything = `{"note":"first","instructions":"Answer.","tone":"Warm.","business":"A bakery.","scope":"Cakes.",
"forbidden_topics":["politics"],"languages":["de","en"],"disclosure":"I am a program.",
"hours":{"zone":"Europe/Berlin","open":[{"days":["mon","tue"],"from":"09:00","to":"18:00"},{"days":["sat"],"from":"22:00","to":"26:00"}]},
"away":"Closed.","apology":"Sorry.","models":[{"provider":"own","model":"m"}],
"tools":[{"name":"handoff"},{"name":"orders","approval":true,"max_per_conversation":3}],"link_domains":["example.com"],
"limits":{"steps":4,"tool_calls":5,"output_tokens":300,"prompt_tokens":4000,"cost":"0.05","time_seconds":60},
"vision":true,"voice":true,"plain":true,"channels":{"acme-wa":{"tone":"Short."},"acme-ig":{"off":true}}}`

func TestContract_Assistants(t *testing.T) {
	s := start(t, nil)
	doc := contract(t)
	doc.Servers = nil
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	const main, none = "/v1/assistants/main", "/v1/assistants/none"
	tag := ""
	for _, tc := range []struct {
		method, path, key, body string
		ok                      bool
		want                    int
		holds                   string
		header                  []string
	}{
		{"GET", "/v1/assistants", "acme-reader", "", true, 200, `{"data":[]}`, nil},
		{"GET", main, "acme-reader", "", true, 404, "assistant_not_found", nil},
		{"POST", main + "/publish", "acme-key", "", true, 404, "assistant_not_found", nil},
		{"POST", main + "/versions", "acme-writer", everything, true, 403, "scope_missing", nil},
		{"POST", main + "/versions", "acme-manager", everything, true, 201, `"state":"draft"`, nil},
		{"POST", main + "/versions", "acme-manager", everything, true, 200, `"version":1`, nil},
		{"POST", main + "/versions", "acme-key", `{"tone":"x"}`, false, 400, `"instructions"`, nil},
		{"POST", main + "/versions", "acme-key", `{"instructions":"x","tonne":"y"}`, true, 400, "parameter_unknown", nil},
		{"POST", main + "/versions", "acme-key", `{"instructions":"x","languages":["german"]}`, true, 400, "languages[0]", nil},
		{"POST", main + "/versions", "acme-key", `{"instructions":"x","limits":{"cost":"5 EUR"}}`, true, 400, "limits.cost", nil},
		{"POST", main + "/versions", "acme-key", `{"instructions":"x","limits":{"time_seconds":601}}`, false, 400, "limits.time_seconds", nil},
		{"POST", main + "/versions", "acme-key", `{"instructions":"x","hours":{"zone":"UTC","open":[{"days":["Monday"],"from":"09:00","to":"10:00"}]}}`, false, 400, "hours.open[0].days", nil},
		{"POST", main + "/versions", "acme-key", `{"instructions":"x","hours":{"zone":"UTC","open":[{"days":["mon"],"from":"9 am","to":"10:00"}]}}`, false, 400, "hours.open[0].from", nil},
		{"POST", main + "/versions", "acme-key", `{"instructions":"x","hours":{"zone":"UTC","open":[{"days":["mon"],"from":"09:00","to":"08:00"}]}}`, true, 400, "hours.open", nil},
		{"POST", main + "/publish", "acme-writer", "", true, 403, "scope_missing", nil},
		{"POST", main + "/publish", "acme-manager", `{"version":7}`, true, 404, "version_not_found", nil},
		{"POST", main + "/publish", "acme-manager", `{"version":-1}`, false, 400, `"version"`, nil},
		{"POST", main + "/publish", "acme-manager", `{"note":"go"}`, true, 200, `"published":1`, nil},
		{"POST", main + "/publish", "acme-manager", `{"version":1}`, true, 200, `"published":1`, nil},
		{"POST", main + "/publish", "acme-manager", "", true, 409, "no_draft", nil},
		{"POST", main + "/versions", "acme-key", `{"instructions":"Two.","tone":"Warm."}`, true, 201, `"version":2`, nil},
		{"GET", main, "acme-reader", "", true, 200, `"draft_version":{"id":"main","version":2`, nil},
		{"GET", main + "/versions", "acme-reader", "", true, 200, `"next_cursor":null`, nil},
		{"GET", main + "/versions?limit=1", "acme-reader", "", true, 200, `"next_cursor":"1"`, nil},
		{"GET", main + "/versions?limit=1&cursor=1", "acme-reader", "", true, 200, `"state":"published"`, nil},
		{"GET", main + "/versions?cursor=9", "acme-reader", "", true, 400, "cursor_invalid", nil},
		{"GET", none + "/versions", "acme-reader", "", true, 404, "assistant_not_found", nil},
		{"GET", main + "/diff", "acme-reader", "", true, 200, `{"field":"instructions","before":"Answer.","after":"Two."}`, nil},
		{"GET", main + "/diff?from=1&to=9", "acme-reader", "", true, 404, "version_not_found", nil},
		{"GET", main + "/preview?version=1&channel=acme-wa", "acme-reader", "", true, 200, `# How to speak\nShort.`, nil},
		{"GET", main + "/preview?version=1&channel=acme-ig", "acme-reader", "", true, 200, `"answers":false`, nil},
		{"GET", main + "/preview", "acme-reader", "", true, 200, `"assistant":"main@2"`, nil},
		{"GET", none + "/preview", "acme-reader", "", true, 404, "assistant_not_found", nil},
		{"POST", main + "/rollback", "acme-manager", `{"version":2}`, true, 409, "never_published", nil},
		{"POST", main + "/publish", "acme-manager", "", true, 412, "version_conflict", []string{"If-Match", `"stale"`}},
		{"POST", main + "/publish", "acme-manager", "", true, 200, `"published":2`, []string{"If-Match", "etag"}},
		{"POST", main + "/versions", "acme-key", `{"instructions":"Three."}`, true, 412, "version_conflict", []string{"If-Match", `"stale"`}},
		{"POST", main + "/rollback", "acme-manager", `{"from":1}`, true, 412, "version_conflict", nil},
		{"POST", main + "/rollback", "acme-manager", `{"from":2,"note":"worse"}`, true, 200, `"published":1`, nil},
		{"POST", main + "/rollback", "acme-manager", `{"version":0}`, true, 200, `"published":0`, nil},
		{"POST", main + "/rollback", "acme-writer", "", true, 403, "scope_missing", nil},
		{"PUT", main + "/channels", "acme-manager", `{"channels":["acme-wa"]}`, true, 409, "default_assistant", nil},
		{"POST", "/v1/assistants/sales/versions", "acme-key", `{"instructions":"Sell."}`, true, 201, `"id":"sales"`, nil},
		{"PUT", "/v1/assistants/sales/channels", "acme-manager", `{"channels":["acme-wa"]}`, true, 200, `"channels":["acme-wa"]`, nil},
		{"PUT", "/v1/assistants/sales/channels", "acme-manager", `{}`, false, 400, `"channels"`, nil},
		{"PUT", "/v1/assistants/sales/channels", "acme-writer", `{"channels":[]}`, true, 403, "scope_missing", nil},
		{"GET", "/v1/assistants", "acme-writer", "", true, 403, "scope_missing", nil},
	} {
		if len(tc.header) == 2 && tc.header[1] == "etag" {
			tc.header = []string{"If-Match", `"` + tag + `"`}
		}
		a := checked(t, s, router, tc.ok, tc.method, tc.path, tc.key, tc.body, tc.header...)
		if a.status != tc.want || !strings.Contains(a.body, tc.holds) {
			t.Errorf("%s %s %s: %d, want %d with %s\n%s", tc.method, tc.path, tc.body, a.status, tc.want, tc.holds, a.body)
		}
		if e := a.header.Get("ETag"); e != "" {
			tag = strings.Trim(e, `"`)
		}
	}
}

// TestAssistant_IsShownAsItIsWritten: what the API shows can be written back.
func TestAssistant_IsShownAsItIsWritten(t *testing.T) {
	s := start(t, nil)
	s.do(t, "POST", "/v1/assistants/main/versions", "acme-key", everything)
	var shown struct {
		Draft map[string]any `json:"draft_version"`
	}
	a := s.do(t, "GET", "/v1/assistants/main", "acme-key", "")
	if err := json.Unmarshal([]byte(a.body), &shown); err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"id", "version", "state", "created_at", "author", "etag"} {
		delete(shown.Draft, own)
	}
	again, err := json.Marshal(shown.Draft)
	if err != nil {
		t.Fatal(err)
	}
	first, err := api.ReadAssistant([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	second, err := api.ReadAssistant(again)
	if err != nil {
		t.Fatal(err)
	}
	if !first.SameContent(&second) || second.Limits.Cost != 50_000_000 || len(second.Hours.Open) != 3 {
		t.Errorf("written %+v\nshown %+v", first, second)
	}
	if a := s.do(t, "POST", "/v1/assistants/main/versions", "acme-key", string(again)); a.status != 200 {
		t.Errorf("writing what is shown changes something: %d %s", a.status, a.body)
	}
}
