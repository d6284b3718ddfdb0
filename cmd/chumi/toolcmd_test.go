package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A business writes down a tool, tries it and brings its products, by the commands
// alone; nothing shows the secret.
func TestTool_FromTheCommandLine(t *testing.T) {
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"data":"free on `+r.URL.Query().Get("day")+`, says `+r.Header.Get("X-Api-Key")+`"}`)
	}))
	t.Cleanup(shop.Close)
	at, err := url.Parse(shop.URL)
	if err != nil {
		t.Fatal(err)
	}
	e := startEngine(t, t.TempDir(), write(t, "b.yaml", twoTenants), "--set", "egress.inside_hosts="+at.Host)
	chumi := func(args ...string) (int, string) {
		t.Helper()
		var out strings.Builder
		code := run(t.Context(), append(args, "--url", "http://"+e.api), []string{"CHUMI_KEY=key-of-acme", "CHUMI_TOOL_SECRET=canary&4711"}, &out, &out)
		return code, out.String()
	}
	definition := write(t, "free.yaml", `
name: free
description: Says whether there is room on a day.
kind: http
parameters: {type: object, properties: {day: {type: string}}, required: [day], additionalProperties: false}
http: {method: GET, url: "`+shop.URL+`/free", headers: {X-Api-Key: "{{secret:SHOP}}"}, pick: /data}
`)
	products := write(t, "goods.csv", "id,name,price,currency,stock\nBIKE,City bike,\"1.299,00\",EUR,3\nBELL,Bell,12.50,EUR,\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"tool", "put", "--check", definition}, exitFailed, "host_not_allowed"},
		{[]string{"tool", "allow", "https://a.example"}, exitFailed, "without a scheme"},
		{[]string{"tool", "allow", "127.0.0.1"}, exitOK, "127.0.0.1"},
		{[]string{"tool", "put", definition}, exitOK, "GET " + shop.URL},
		{[]string{"tool", "test", "free", `{"day":"Mon"}`}, exitFailed, "secret_missing"},
		{[]string{"tool", "secret", "SHOP"}, exitOK, ""},
		{[]string{"tool", "test", "free", `{"day":"Mon"}`}, exitOK, "test run, for no customer\nfree on Mon, says [redacted]"},
		{[]string{"tool", "test", "free", `{"night":"Mon"}`}, exitFailed, "arguments_invalid"},
		{[]string{"tool", "test", "free"}, exitUsage, "NAME and ARGUMENTS"},
		{[]string{"tool", "list"}, exitOK, "order_status"},
		{[]string{"tool", "delete", "free"}, exitOK, ""},
		{[]string{"tool", "delete", "free"}, exitFailed, "tool_not_found"},
		{[]string{"catalog", "import", products}, exitOK, "2 written, 0 deleted"},
		{[]string{"catalog", "list"}, exitOK, "1299.00 EUR"},
		{[]string{"tool", "test", "search_catalog", `{"query":"city bkie"}`}, exitOK, "1299.00 EUR"},
		{[]string{"catalog", "import", "--replace", write(t, "one.csv", "id,name,price,currency\nBELL,Bell,12,EUR\n")}, exitOK, "1 written, 1 deleted"},
		{[]string{"catalog", "import", write(t, "bad.csv", "id,name,price,currency\nBELL,Bell,cheap,EUR\n")}, exitFailed, "items[0]"},
	} {
		code, out := chumi(c.args...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%v exited %d, want %d with %q:\n%s", c.args, code, c.code, c.want, out)
		}
		if strings.Contains(out, "4711") {
			t.Errorf("%v shows the secret: %s", c.args, out)
		}
	}
	if strings.Contains(e.log.String(), "4711") {
		t.Error("the log shows the secret")
	}
}
