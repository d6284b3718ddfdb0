package console

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

func TestAsset_ServesThePage(t *testing.T) {
	body, typ, ok := Asset("/")
	if !ok || typ != "text/html; charset=utf-8" || !strings.Contains(string(body), "simulated") {
		t.Fatalf("%v %s", ok, typ)
	}
	for _, path := range []string{"/nothing.js", "/../console.go", "/web", "/app", "//", "/%2e%2e/console.go", "/./app.js"} {
		if _, _, ok := Asset(path); ok {
			t.Errorf("%s is served", path)
		}
	}
}

// Every file is reachable, and everything a file refers to is there: the page
// loads nothing else, from nowhere else.
func TestAsset_ThePageIsComplete(t *testing.T) {
	refers := regexp.MustCompile(`(?:src|href)="([^"]+)"|from "\./([^"]+)"`)
	err := fs.WalkDir(web, "web", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, typ, ok := Asset("/" + strings.TrimPrefix(path, "web/"))
		if !ok || typ == "" {
			t.Errorf("%s is not served", path)
		}
		for _, m := range refers.FindAllStringSubmatch(string(body), -1) {
			if _, _, ok := Asset("/" + m[1] + m[2]); !ok {
				t.Errorf("%s refers to %s, which is not there", path, m[1]+m[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What the policy would block, or would let a customer's text become markup,
// is not in the files.
func TestAsset_KeepsToThePolicy(t *testing.T) {
	for name, banned := range map[string]*regexp.Regexp{
		"inline script":  regexp.MustCompile(`<script(?:\s[^>]*)?>[^<]|\son[a-z]+="`),
		"inline style":   regexp.MustCompile(`<style|\sstyle="`),
		"markup by text": regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`),
		"another origin": regexp.MustCompile(`https?://[^w]|https?://www\.[^w]|@import|url\(`),
	} {
		for _, file := range []string{"/", "/app.js", "/api.js", "/phone.js", "/trail.js", "/dom.js", "/console.css"} {
			body, _, ok := Asset(file)
			if !ok {
				t.Fatalf("%s is missing", file)
			}
			if m := banned.Find(body); m != nil {
				t.Errorf("%s: %s: %q", file, name, m)
			}
		}
	}
}

func TestConfig_Shape(t *testing.T) {
	b, err := json.Marshal(Config{APIKey: "k", Channels: []Channel{{"shop-wa", "whatsapp", "Shop", "2001"}},
		Contact: Contact{"Ada", "15550100001", "9001"}})
	const want = `{"api_key":"k","channels":[{"id":"shop-wa","kind":"whatsapp","name":"Shop","account":"2001"}],` +
		`"contact":{"name":"Ada","whatsapp":"15550100001","instagram":"9001"}}`
	if err != nil || string(b) != want {
		t.Errorf("%s", b)
	}
}

func TestLoopbackHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8081": true, "127.0.0.1:8081": true, "[::1]:8081": true, "[::1]": true, "LOCALHOST": true,
		"": false, "example.com": false, "localhost.example.com:80": false, "10.0.0.1:8081": false, "127.0.0.1.example.com": false,
	} {
		if got := LoopbackHost(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
