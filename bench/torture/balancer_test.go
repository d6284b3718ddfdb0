package torture

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

func TestBalancer_AsksOneNodeOnceAndPassesItsAnswerOn(t *testing.T) {
	w := child.NewWorld(2)
	var mu sync.Mutex
	var seen []exchange
	b := newBalancer(w, func(x exchange) {
		mu.Lock()
		seen = append(seen, x)
		mu.Unlock()
	})
	base, err := b.start("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	asked := map[string]int{}
	serve := func(name string, status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[name+" "+r.URL.Path+" "+r.Header.Get("X-Hub-Signature-256")]++
			mu.Unlock()
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	post := func(body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/hooks/bench", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", "sha256=ab")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := post("{}"); got != http.StatusServiceUnavailable || len(seen) != 0 {
		t.Errorf("without nodes: %d, %v", got, seen)
	}
	b.use([]backend{{1, serve("one", 200)}, {2, serve("two", 503)}, {3, "127.0.0.1:1"}})
	b.pin("49151", 2)
	if got := post(w.Channels[2].Account() + " from 49151"); got != 503 {
		t.Errorf("pinned to node 2: %d", got)
	}
	b.pin("49151", 3)
	if got := post("from 49151"); got != http.StatusBadGateway {
		t.Errorf("a node that is down: %d", got)
	}
	b.pin("49151", 1)
	if got := post("from 49151"); got != 200 {
		t.Errorf("pinned to node 1: %d", got)
	}
	b.pin("49151", 0)
	got := map[int]bool{}
	for until := time.Now().Add(5 * time.Second); len(got) < 3 && time.Now().Before(until); {
		got[post("from 49151")] = true
	}
	if len(got) != 3 {
		t.Errorf("not every node is asked: answers %v", got)
	}
	if x := seen[0]; x.node != 2 || x.tenant != "t001" || x.status != 503 || x.ended.Before(x.began) {
		t.Errorf("exchange %+v", x)
	}
	if seen[1].status != 0 || seen[1].tenant != "" {
		t.Errorf("exchange without an answer %+v", seen[1])
	}
	if asked["one /hooks/bench sha256=ab"] == 0 {
		t.Errorf("path or signature is lost: %v", asked)
	}
}
