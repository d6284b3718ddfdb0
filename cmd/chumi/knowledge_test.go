package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

// knowing runs a knowledge command against an engine and returns what it printed.
func (e *engine) knowing(key string, args ...string) (string, int) {
	e.t.Helper()
	var out, errs bytes.Buffer
	code := run(context.Background(), append(append([]string{"knowledge"}, args...), "--url", "http://"+e.api, "--key", key), nil, &out, &errs)
	return out.String() + errs.String(), code
}

// Text, file and website are read, found by their own tenant alone, in their next
// version after they changed, and after a restart; removed they are found no more.
// Vectors come from the model's server. Nothing of them lies plain on the disk.
func TestServe_KnowledgeIsReadAndFound(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/":
			_, _ = w.Write([]byte(`<title>Boat house</title><p>Welcome to the zanzibar jetty.</p><a href="/hire">Hire</a><a href="http://169.254.169.254/">x</a>`))
		case "/hire":
			_, _ = w.Write([]byte(`<title>Hire</title><h2>Canoes</h2><p>A canoe called quetzalcoatl costs nine euros.</p>`))
		default:
			http.NotFound(w, r)
		}
	}))
	defer site.Close()
	at, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(at.Host)
	dir, bootstrap := t.TempDir(), write(t, "bootstrap.yaml", twoTenants)
	_, flags := quickSimulators(t, bootstrap)
	flags = append(flags, "--set", "egress.inside_hosts="+host)
	e := startEngine(t, dir, bootstrap, flags...)

	note := filepath.Join(t.TempDir(), "hours.md")
	save := func(text string) {
		if err := os.WriteFile(note, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("# Hours\nThe harbour office opens at nine, says the xylophone sign.\n\n# Dogs\nDogs may come along.\n")
	added, code := e.knowing("key-of-acme", "add", "--file", note)
	if code != 0 || !strings.Contains(added, "ready") || !strings.Contains(added, "embedded 2 of 2") {
		t.Fatalf("%d: %s", code, added)
	}
	id := strings.Fields(added)[0]
	if out, code := e.knowing("key-of-acme", "add", "--site", site.URL+"/", "--title", "Boats"); code != 0 || !strings.Contains(out, "ready") {
		t.Fatalf("%d: %s", code, out)
	}
	if out, code := e.knowing("key-of-acme", "add", "--site", "https://169.254.169.254/latest/"); code == 0 || !strings.Contains(out, "url_refused") {
		t.Errorf("an address inside: %d: %s", code, out)
	}
	if out, code := e.knowing("key-of-bolt", "add", "--text", "We are open at night.", "--title", "Bolt"); code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	found := func(key, query string) string {
		out, code := e.knowing(key, "search", "--query", query)
		if code != 0 {
			t.Fatalf("%s: %s", query, out)
		}
		return out
	}
	first := func(out string) string { line, _, _ := strings.Cut(out, "\n"); return line }
	check := func(when string) {
		t.Helper()
		if got := first(found("key-of-acme", "xylophone office")); !strings.Contains(got, id+"/0@1") || !strings.Contains(got, "Hours") {
			t.Errorf("%s: %s", when, got)
		}
		if got := first(found("key-of-acme", "quetzalcoatl")); !strings.Contains(got, "/hire") || !strings.Contains(got, "Boats > Hire > Canoes") {
			t.Errorf("%s: %s", when, got)
		}
		for _, canary := range []string{"xylophone", "quetzalcoatl", "zanzibar"} {
			if got := found("key-of-bolt", canary+" open dogs canoe"); strings.Contains(got, canary) || !strings.Contains(got, "night") {
				t.Errorf("%s: bolt finds %s", when, got)
			}
		}
	}
	check("first")
	if status, body := get(t, "http://"+e.api+"/v1/knowledge/"+id, "key-of-bolt"); status != 404 || !strings.Contains(body, "source_not_found") {
		t.Errorf("bolt sees acme's source: %d %s", status, body)
	}
	if status, body := get(t, "http://"+e.api+"/v1/knowledge", "key-of-acme"); status != 200 || strings.Contains(body, `"key"`) || strings.Contains(body, "blob_") {
		t.Errorf("%d %s", status, body)
	}
	e.stop()

	e = startEngine(t, dir, bootstrap, flags...)
	check("after a restart")
	save("# Hours\nThe harbour office opens at nine, says the xylophone sign.\n\n# Dogs\nDogs stay outside, says the marimba sign.\n")
	if out, code := e.knowing("key-of-acme", "add", "--file", note, "--id", id); code != 0 || !strings.Contains(out, "ready") {
		t.Fatalf("%d: %s", code, out)
	}
	if got := first(found("key-of-acme", "marimba dogs")); !strings.Contains(got, id+"/1@2") {
		t.Errorf("the next version: %s", got)
	}
	check("after a change")
	if out, code := e.knowing("key-of-acme", "remove", "--id", id); code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	for _, gone := range []string{"xylophone", "marimba"} {
		if got := found("key-of-acme", gone); strings.Contains(got, gone) {
			t.Errorf("found after it was removed: %s", got)
		}
	}
	e.stop()
	checked(t, dir)
	for _, canary := range []string{"xylophone", "quetzalcoatl", "zanzibar", "marimba", "Boats"} {
		if found := plainAnywhere(t, dir, []byte(canary)); len(found) > 0 {
			t.Errorf("%s lies plain in %v", canary, found)
		}
		if strings.Contains(e.log.String(), canary) {
			t.Errorf("%s is logged", canary)
		}
	}
}

// A key without the scope cannot change knowledge, a source that says nothing is
// refused or fails with its word, and the same Idempotency-Key is one source.
func TestServe_KnowledgeRefusesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	bootstrap := write(t, "bootstrap.yaml", twoTenants+"\n")
	b, err := os.ReadFile(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	reading := strings.Replace(string(b), "api_keys:\n", "api_keys:\n  - {tenant: acme, secret: key-that-reads, scopes: [read]}\n", 1)
	if err := os.WriteFile(bootstrap, []byte(reading), 0o600); err != nil {
		t.Fatal(err)
	}
	_, flags := quickSimulators(t, bootstrap)
	e := startEngine(t, dir, bootstrap, flags...)
	post := func(method, path, key, kind, body string) (int, string) {
		req, err := http.NewRequest(method, "http://"+e.api+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Idempotency-Key", "k-"+body)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var got bytes.Buffer
		_, _ = got.ReadFrom(res.Body)
		return res.StatusCode, got.String()
	}
	const json = "application/json"
	for _, c := range []struct {
		method, path, key, kind, body string
		status                        int
		code                          string
	}{
		{"POST", "/v1/knowledge", "key-that-reads", json, `{"text":"a"}`, 403, ""},
		{"DELETE", "/v1/knowledge/src_a", "key-that-reads", json, ``, 403, ""},
		{"POST", "/v1/knowledge/search", "key-that-reads", json, `{"query":"a"}`, 200, `"data":[]`},
		{"POST", "/v1/knowledge", "key-of-acme", json, `{"title":"x"}`, 400, "parameter_missing"},
		{"POST", "/v1/knowledge", "key-of-acme", json, `{"text":"a","url":"https://example.com"}`, 400, "parameter_missing"},
		{"POST", "/v1/knowledge", "key-of-acme", json, `{"url":"http://example.com/"}`, 400, "url_refused"},
		{"POST", "/v1/knowledge", "key-of-acme", json, `{"text":"a","mime_type":"application/pdf"}`, 400, "parameter_invalid"},
		{"POST", "/v1/knowledge", "key-of-acme", json, fmt.Sprintf(`{"text":"a","title":%q}`, strings.Repeat("x", chat.SourceTitleMax+1)), 400, "parameter_invalid"},
		{"POST", "/v1/knowledge/search", "key-of-acme", json, `{"query":" "}`, 400, "parameter_missing"},
		{"POST", "/v1/knowledge/search", "key-of-acme", json, `{"query":"a","limit":51}`, 400, "parameter_invalid"},
		{"GET", "/v1/knowledge/src_none", "key-of-acme", json, ``, 404, "source_not_found"},
		{"PUT", "/v1/knowledge/src_none", "key-of-acme", json, `{"text":"a"}`, 404, "source_not_found"},
		{"POST", "/v1/knowledge/src_none/reindex", "key-of-acme", json, ``, 404, "source_not_found"},
		{"DELETE", "/v1/knowledge/src_none", "key-of-acme", json, ``, 404, "source_not_found"},
	} {
		status, body := post(c.method, c.path, c.key, c.kind, c.body)
		if status != c.status || !strings.Contains(body, c.code) {
			t.Errorf("%s %s %.40s: %d %s", c.method, c.path, c.body, status, body)
		}
	}
	if out, code := e.knowing("key-of-acme", "add", "--file", write(t, "broken.pdf", "%PDF-1.4 nonsense")); code == 0 || !strings.Contains(out, "file_unreadable") {
		t.Errorf("a broken file: %d: %s", code, out)
	}
	_, one := post("POST", "/v1/knowledge", "key-of-acme", json, `{"text":"same"}`)
	_, two := post("POST", "/v1/knowledge", "key-of-acme", json, `{"text":"same"}`)
	id := func(body string) string { rest, _, _ := strings.Cut(body, `","`); return rest }
	if id(one) != id(two) || !strings.Contains(one, "src_") {
		t.Errorf("%s and %s", one, two)
	}
	e.stop()
	checked(t, dir)
}
