package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/chumiai/chumi/transport/api"
)

var rewrite = flag.Bool("rewrite", false, "rewrite openapi.json and golden files")

func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSpec_JSONIsTheYAML(t *testing.T) {
	b, err := contract(t).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var line bytes.Buffer
	if err := json.Indent(&line, b, "", " "); err != nil {
		t.Fatal(err)
	}
	line.WriteByte('\n')
	if *rewrite {
		if err := os.WriteFile("openapi.json", line.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, line.Bytes()) {
		t.Error("openapi.json is not openapi.yaml; run go test ./transport/api -rewrite")
	}
}

func TestSpec_NamesTheVersionAndEveryRoute(t *testing.T) {
	doc := contract(t)
	if doc.Info.Version != api.Version {
		t.Errorf("the contract is of %s, the code of %s", doc.Info.Version, api.Version)
	}
	listed := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			listed[method+" "+path] = true
		}
	}
	for _, r := range api.RouteList() {
		if !listed[r] {
			t.Errorf("%s is served and not in openapi.yaml", r)
		}
		delete(listed, r)
	}
	for r := range listed {
		t.Errorf("%s is in openapi.yaml and not served", r)
	}
}

// checked sends a request and holds both sides against the contract. requestOK
// says whether the request itself keeps the contract.
func checked(t *testing.T, s *site, router routers.Router, requestOK bool, method, path, key, body string, header ...string) answer {
	t.Helper()
	req := s.request(t, method, path, key, body, header...)
	route, params, err := router.FindRoute(&http.Request{Method: method, URL: req.URL, Host: req.Host, Header: req.Header})
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true}}
	if err := openapi3filter.ValidateRequest(t.Context(), in); (err == nil) != requestOK {
		t.Errorf("%s %s: the request should keep the contract: %v; %v", method, path, requestOK, err)
	}
	req.Body = io.NopCloser(strings.NewReader(body))
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options}
	if err := openapi3filter.ValidateResponse(t.Context(), out.SetBodyBytes(b)); err != nil {
		t.Errorf("%s %s: the answer %d breaks the contract: %v\n%s", method, path, resp.StatusCode, err, b)
	}
	if resp.Header.Get("Request-Id") == "" || resp.Header.Get("Chumi-Version") != api.Version {
		t.Errorf("%s %s: headers %v", method, path, resp.Header)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func TestContract_EveryRoute(t *testing.T) {
	s := start(t, nil)
	doc := contract(t)
	doc.Servers = nil // the router would look for this host in them
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	conv := "/v1/conversations/" + string(ada)
	for _, tc := range []struct {
		method, path, key, body string
		ok                      bool
		want                    int
		header                  []string
	}{
		{"GET", "/v1/conversations", "acme-key", "", true, 200, nil},
		{"GET", "/v1/conversations?limit=1", "acme-key", "", true, 200, nil},
		{"GET", "/v1/conversations?limit=1&cursor=1", "acme-key", "", true, 200, nil},
		{"GET", "/v1/conversations?cursor=nonsense", "acme-key", "", true, 400, nil},
		{"GET", "/v1/conversations?limit=0", "acme-key", "", false, 400, nil},
		{"GET", "/v1/conversations?limit=many", "acme-key", "", false, 400, nil},
		{"GET", "/v1/conversations", "", "", true, 401, nil},
		{"GET", "/v1/conversations", "wrong", "", true, 401, nil},
		{"GET", "/v1/conversations", "acme-writer", "", true, 403, nil},
		{"GET", "/v1/conversations", "acme-key", "", false, 400, []string{"Chumi-Version", "2020-01-01"}},
		{"GET", "/v1/conversations", "acme-key", "", true, 200, []string{"Chumi-Version", api.Version}},
		{"GET", conv, "acme-reader", "", true, 200, nil},
		{"GET", "/v1/conversations/" + string(other), "acme-key", "", true, 404, nil},
		{"GET", "/v1/conversations/nonsense", "acme-key", "", true, 404, nil},
		{"GET", conv + "/events", "acme-key", "", true, 200, nil},
		{"GET", conv + "/events?after=3&limit=1", "acme-key", "", true, 200, nil},
		{"GET", conv + "/events?after=-1", "acme-key", "", false, 400, nil},
		{"GET", "/v1/conversations/" + string(other) + "/events", "acme-key", "", true, 404, nil},
		{"GET", conv + "?include=participants", "acme-reader", "", true, 200, nil},
		{"GET", conv + "?include=labels", "acme-reader", "", true, 200, nil},
		{"GET", conv + "/summary", "acme-reader", "", true, 200, nil},
		{"GET", "/v1/conversations/" + string(other) + "/summary", "acme-key", "", true, 404, nil},
		{"GET", conv + "?include=everything", "acme-reader", "", false, 400, nil},
		{"POST", conv + "/approvals", "acme-writer", `{"call_id":"2.0","approved":true}`, true, 200, nil},
		{"POST", conv + "/approvals", "acme-writer", `{"call_id":"9.9","approved":false}`, true, 404, nil},
		{"POST", conv + "/approvals", "acme-writer", `{"call_id":"2.0"}`, false, 400, nil},
		{"POST", conv + "/approvals", "acme-reader", `{"call_id":"2.0","approved":true}`, true, 403, nil},
		{"GET", "/v1/training-policy", "acme-key", "", true, 200, nil},
		{"GET", "/v1/training-policy", "acme-reader", "", true, 403, nil},
		{"PUT", "/v1/training-policy", "acme-key", `{"enabled":true,"k":5}`, true, 200, nil},
		{"PUT", "/v1/training-policy", "acme-key", `{"enabled":true,"k":1}`, false, 400, nil},
		{"GET", "/v1/training-exports", "acme-key", "", true, 200, nil},
		{"POST", "/v1/training-exports", "acme-key", `{}`, true, 201, nil},
		{"POST", "/v1/training-exports", "acme-key", `{"preview":true}`, true, 200, nil},
		{"GET", "/v1/training-exports/exp_1/report", "acme-key", "", true, 200, nil},
		{"GET", "/v1/training-exports/exp_2/report", "acme-key", "", true, 404, nil},
		{"GET", "/v1/training-exports/exp_1/rows", "acme-key", "", true, 200, nil},
		{"GET", "/v1/training-exports/exp_3/rows", "acme-key", "", true, 409, nil},
		{"GET", "/v1/contacts/ct_a", "acme-reader", "", true, 200, nil},
		{"GET", "/v1/contacts/ct_a", "acme-writer", "", true, 403, nil},
		{"GET", "/v1/contacts/ct_none", "acme-key", "", true, 404, nil},
		{"GET", "/v1/contacts/ct_a/events?limit=2", "acme-reader", "", true, 200, nil},
		{"GET", "/v1/contacts/ct_a/events?limit=2&cursor=4", "acme-reader", "", true, 200, nil},
		{"GET", "/v1/contacts/ct_a/events?after=x", "acme-reader", "", false, 400, nil},
		{"GET", "/v1/contacts/ct_none/events", "acme-reader", "", true, 404, nil},
		{"POST", "/v1/contacts/ct_a/erase", "acme-key", "", true, 200, nil},
		{"POST", "/v1/contacts/ct_a/erase", "acme-writer", "", true, 403, nil},
		{"POST", "/v1/contacts/ct_none/erase", "acme-key", "", true, 404, nil},
		{"GET", "/v1/contacts/ct_a/erasure", "acme-key", "", true, 200, nil},
		{"GET", "/v1/contacts/ct_old/erasure", "acme-key", "", true, 200, nil},
		{"GET", "/v1/contacts/ct_none/erasure", "acme-key", "", true, 404, nil},
		{"POST", "/v1/contacts/ct_a/merge", "acme-writer", `{"contact_id":"ct_b","proof":"they said so"}`, true, 200, nil},
		{"POST", "/v1/contacts/ct_a/merge", "acme-key", `{"contact_id":"ct_b","proof":"they said so"}`, true, 200, nil},
		{"POST", "/v1/contacts/ct_a/merge", "acme-key", `{"contact_id":"ct_b"}`, true, 200, nil},
		{"POST", "/v1/contacts/ct_a/merge", "acme-key", `{"contact_id":"ct_a"}`, true, 409, nil},
		{"POST", "/v1/contacts/ct_a/merge", "acme-key", `{"contact_id":"ct_none"}`, true, 404, nil},
		{"POST", "/v1/contacts/ct_a/merge", "acme-key", `{"proof":"x"}`, false, 400, nil},
		{"POST", "/v1/contacts/ct_a/merge", "acme-key", `{"contact_id":"ct_b","proof":"` + strings.Repeat("é", 201) + `"}`, false, 400, nil},
		{"POST", "/v1/contacts/ct_a/merge", "acme-reader", `{"contact_id":"ct_b"}`, true, 403, nil},
		{"POST", "/v1/contacts/ct_a/split", "acme-key", `{"contact_id":"ct_b"}`, true, 200, nil},
		{"POST", "/v1/contacts/ct_a/split", "acme-key", `{"contact_id":"ct_b","proof":"x"}`, false, 400, nil},
		{"GET", "/v1/sends", "acme-key", "", true, 200, nil},
		{"GET", "/v1/sends?state=unknown&limit=1", "acme-reader", "", true, 200, nil},
		{"GET", "/v1/sends?state=sent", "acme-key", "", false, 400, nil},
		{"GET", "/v1/sends?limit=1001", "acme-key", "", false, 400, nil},
		{"GET", "/v1/sends?cursor=nonsense", "acme-key", "", true, 400, nil},
		{"GET", "/v1/sends", "acme-writer", "", true, 403, nil},
		{"GET", "/v1/events?limit=3", "acme-key", "", true, 200, nil},
		{"GET", "/v1/events?from=4", "acme-key", "", true, 200, []string{"Accept", "application/json"}},
		{"GET", "/v1/events?from=x", "acme-key", "", false, 400, nil},
		{"GET", "/v1/events", "acme-key", "", false, 400, []string{"Last-Event-ID", "x"}},
		{"POST", conv + "/messages", "acme-key", `{"type":"text","text":"hello"}`, true, 201, nil},
		{"POST", conv + "/messages", "acme-writer", `{"type":"text","text":"hello"}`, true, 201, []string{"Idempotency-Key", "k1"}},
		{"POST", conv + "/messages", "acme-writer", `{"type":"text","text":"hello"}`, true, 201, []string{"Idempotency-Key", "k1"}},
		{"POST", conv + "/messages", "acme-writer", `{"type":"image","image":{"blob":"` + picture + `"}}`, true, 403, nil},
		{"POST", conv + "/messages", "acme-writer", `{"type":"text","text":"other"}`, true, 409, []string{"Idempotency-Key", "k1"}},
		{"POST", conv + "/messages", "acme-reader", `{"type":"text","text":"hello"}`, true, 403, nil},
		{"POST", conv + "/messages", "acme-key", `{"type":"text","text":""}`, false, 400, nil},
		{"POST", conv + "/messages", "acme-key", `{"type":"text"}`, false, 400, nil},
		{"POST", conv + "/messages", "acme-key", `{"type":"image","text":"x"}`, false, 400, nil},
		{"POST", conv + "/messages", "acme-key", `{"type":"text","text":7}`, false, 400, nil},
		{"POST", conv + "/messages", "acme-key", `{"type":"text","text":"x","to":"y"}`, false, 400, nil},
		{"POST", conv + "/messages", "acme-key", `{"type":"text","text":"` + strings.Repeat("é", 4096) + `"}`, true, 201, nil},
		{"POST", conv + "/messages", "acme-key", `{"type":"text","text":"` + strings.Repeat("é", 4097) + `"}`, false, 400, nil},
		{"POST", "/v1/conversations/" + string(other) + "/messages", "acme-key", `{"type":"text","text":"x"}`, true, 404, nil},
		{"GET", "/v1/templates", "acme-reader", "", true, 200, nil},
		{"GET", "/v1/templates?name=hours&status=APPROVED", "acme-key", "", true, 200, nil},
		{"GET", "/v1/templates", "acme-writer", "", true, 403, nil},
		{"POST", conv + "/read", "acme-key", "", true, 202, nil},
		{"POST", conv + "/read", "acme-reader", "{}", true, 403, nil},
		{"POST", conv + "/read", "acme-key", `{"x":1}`, false, 400, nil},
		{"POST", "/v1/conversations/" + string(other) + "/read", "acme-key", "", true, 404, nil},
		{"POST", "/v1/media?filename=menu.pdf", "acme-key", "a menu", true, 201, []string{"Content-Type", "application/pdf", "Idempotency-Key", "m1"}},
		{"POST", "/v1/media?filename=menu.pdf", "acme-writer", "a menu", true, 201, []string{"Content-Type", "application/pdf", "Idempotency-Key", "m1"}},
		{"POST", "/v1/media", "acme-key", "another", true, 409, []string{"Content-Type", "application/pdf", "Idempotency-Key", "m1"}},
		{"POST", "/v1/media", "acme-reader", "a menu", true, 403, []string{"Content-Type", "application/pdf"}},
		{"POST", "/v1/media", "acme-key", "", false, 400, []string{"Content-Type", "application/pdf"}},
		{"GET", "/v1/media/" + picture, "acme-reader", "", true, 200, nil},
		{"GET", "/v1/media/" + picture, "acme-writer", "", true, 403, nil},
		{"GET", "/v1/media/" + rivals, "acme-key", "", true, 404, nil},
		{"GET", "/v1/media/nonsense?index=1", "acme-reader", "", true, 404, nil},
		{"GET", "/v1/media/" + picture + "?index=x", "acme-reader", "", false, 400, nil},
		{"POST", conv + "/takeover", "acme-key", "", true, 200, nil},
		{"POST", conv + "/takeover", "acme-key", "{}", true, 200, nil},
		{"POST", conv + "/takeover", "acme-key", `{"x":1}`, false, 400, nil},
		{"POST", conv + "/handback", "acme-key", "", true, 200, nil},
		{"POST", "/v1/conversations/" + string(other) + "/takeover", "acme-key", "", true, 404, nil},
		{"POST", "/v1/conversations/" + string(other) + "/handback", "acme-key", "", true, 404, nil},
	} {
		if got := checked(t, s, router, tc.ok, tc.method, tc.path, tc.key, tc.body, tc.header...); got.status != tc.want {
			t.Errorf("%s %s as %q %.60s: %d, want %d\n%s", tc.method, tc.path, tc.key, tc.body, got.status, tc.want, got.body)
		}
	}
}

// Every event kind, as full as it gets, is an Event of the contract.
func TestContract_EveryEventKind(t *testing.T) {
	schema := contract(t).Components.Schemas["Event"].Value
	for _, e := range sampleEvents() {
		line := api.AppendEvent(nil, &e)
		var v any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Errorf("%s: %v\n%s", e.Kind, err, line)
			continue
		}
		if err := schema.VisitJSON(v, openapi3.MultiErrors()); err != nil {
			t.Errorf("%s: %v\n%s", e.Kind, err, line)
		}
	}
}

// Every error code an answer can carry has its line in docs/errors.md.
func TestContract_EveryCodeIsDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range api.ErrorCodes() {
		if !bytes.Contains(docs, []byte(fmt.Sprintf("<a id=%q></a>", code))) {
			t.Errorf("docs/errors.md lacks %s", code)
		}
	}
}
