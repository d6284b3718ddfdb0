package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/transport/console"
)

func TestHandler_ServesThisMachineOnly(t *testing.T) {
	simulator := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("simulator " + r.URL.Path))
	})
	h, err := console.NewHandler(console.Config{APIKey: "sk_test_1"}, simulator)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, host, path, site string
		status                   int
		body, header             string
	}{
		{"GET", "127.0.0.1:8081", "/", "", 200, "<!doctype html>", "Content-Security-Policy"},
		{"GET", "localhost:8081", "/app.js", "", 200, "import", "Content-Security-Policy"},
		{"GET", "127.0.0.1:8081", "/simulator/api/config", "same-origin", 200, "sk_test_1", "Cache-Control"},
		{"GET", "127.0.0.1:8081", "/simulator/api/ledger", "", 200, "simulator /simulator/api/ledger", ""},
		{"POST", "127.0.0.1:8081", "/simulator/api/messages", "same-origin", 200, "simulator", ""},
		{"POST", "127.0.0.1:8081", "/simulator/api/messages", "cross-site", 403, "", ""},
		{"GET", "rebound.example:8081", "/simulator/api/config", "", 403, "", ""},
		{"GET", "rebound.example:8081", "/", "", 403, "", ""},
		{"POST", "127.0.0.1:8081", "/", "", 405, "", "Allow"},
		{"GET", "127.0.0.1:8081", "/nothing.html", "", 404, "", ""},
		{"GET", "127.0.0.1:8081", "/../console.go", "", 404, "", ""},
	} {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(c.method)
		ctx.Request.SetRequestURI(c.path)
		ctx.Request.Header.SetHost(c.host)
		if c.site != "" {
			ctx.Request.Header.Set("Sec-Fetch-Site", c.site)
		}
		h.Serve(&ctx)
		name := c.method + " " + c.host + c.path + " " + c.site
		if got := ctx.Response.StatusCode(); got != c.status {
			t.Errorf("%s: status %d, want %d", name, got, c.status)
		}
		if !strings.Contains(string(ctx.Response.Body()), c.body) {
			t.Errorf("%s: body lacks %q", name, c.body)
		}
		if c.status != 200 && strings.Contains(string(ctx.Response.Body()), "sk_test_1") {
			t.Errorf("%s: a refusal hands out the key", name)
		}
		if c.header != "" && len(ctx.Response.Header.Peek(c.header)) == 0 {
			t.Errorf("%s: no %s header", name, c.header)
		}
	}
}
