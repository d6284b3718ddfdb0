package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
)

// elsewhere is where acme can go: the app of its channels, and a tenant beside it.
const elsewhere = `
apps:
  - {id: acme-app, app_secret: secret-of-acme, verify_token: token-of-acme}
  - {id: bolt-app, app_secret: secret-of-bolt, verify_token: token-of-bolt}
tenants:
  - {id: bolt, name: Bolt}
channels:
  - {id: bolt-wa, tenant: bolt, app: bolt-app, kind: whatsapp, phone_number_id: "106000000000002", waba_id: "102000000000002", access_token: tb1}
api_keys:
  - {tenant: bolt, secret: key-of-bolt, scopes: ["*"]}
`

// moveKey makes the key file of an archive.
func moveKey(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "move.key")
	if err := os.WriteFile(file, []byte(hex.EncodeToString(bytes.Repeat([]byte{5}, 32))), 0o400); err != nil {
		t.Fatal(err)
	}
	return file
}

// heldHeader is what the API says of whether the tenant of a key must not act.
func (e *engine) heldHeader(key string) string {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+e.api+"/v1/conversations", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != 200 {
		e.t.Errorf("conversations with %s: %d %v", key, resp.StatusCode, err)
	}
	return resp.Header.Get("Chumi-Held")
}

// A tenant that was exported from a running engine and imported into another, with
// another key, is the same one there, takes webhooks, and sends nothing until it is
// confirmed, while the tenant beside it is answered; then it sends what it owed where it
// comes from.
func TestTenant_MovesToAnotherEngineAndIsHeld(t *testing.T) {
	sims, args := quickSimulators(t, write(t, "b.yaml", twoTenants))
	dir, to, key := t.TempDir(), t.TempDir(), moveKey(t)
	file, later := filepath.Join(t.TempDir(), "acme.archive"), filepath.Join(t.TempDir(), "acme.later")
	const canary = "canary-of-a-customer"
	// Where it comes from no message leaves: every answer is owed.
	e := startEngine(t, dir, write(t, "from.yaml", twoTenants), append(args, "--set", "meta.graph_url=http://127.0.0.1:9")...)
	for i := range 8 {
		if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", fmt.Sprintf("49155601%05d", i), fmt.Sprintf("wamid.MOVED%d", i), canary)); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	gram := fmt.Sprintf(`{"object":"instagram","entry":[{"id":"17841400000000001","time":%[1]d,"messaging":[{"sender":{"id":"9100"},
		"recipient":{"id":"17841400000000001"},"timestamp":%[1]d,"message":{"mid":"mid.MOVED","text":%[2]q}}]}]}`, time.Now().UnixMilli(), canary)
	if status := e.post("acme-app", "secret-of-acme", []byte(gram)); status != 200 {
		t.Fatalf("status %d", status)
	}
	queued, whose := map[string]bool{}, map[string]string{}
	until(t, e.stream("key-of-acme"), func(ev apiEvent) bool {
		if ev.Message != nil && ev.Message.RemoteID != nil {
			whose[*ev.Message.RemoteID] = ev.conversation()
		}
		if ev.Kind == "message_queued" {
			queued[ev.conversation()] = true
		}
		return len(queued) == 9
	})
	if out, code := e.knowing("key-of-acme", "add", "--text", "The xylophone office opens at nine.", "--title", "Hours"); code != 0 {
		t.Fatal(out)
	}
	// A person has this one, who owes nothing yet.
	theirs := whose["mid.MOVED"]
	if status, body := e.request(http.MethodPost, "/v1/conversations/"+theirs+"/takeover", "key-of-acme", "{}"); status != 200 {
		t.Fatalf("takeover: %d %s", status, body)
	}
	said := chumi(t, exitOK, "tenant", "export", "--tenant", "acme", "--out", file, "--key-file", key, "--ops-addr", e.ops)
	if !strings.Contains(said, "wrote "+file) {
		t.Errorf("the export says: %s", said)
	}
	chumi(t, exitFailed, "tenant", "export", "--tenant", "nobody", "--out", file+".no", "--key-file", key, "--ops-addr", e.ops)
	e.stop()
	state := word(t, chumi(t, exitOK, "tenant", "export", "--tenant", "acme", "--out", later, "--key-file", key, "--offline", "--data-dir", dir), "state")
	if names := holds(t, filepath.Dir(later), canary, "ana@acme", "4915560100001"); len(names) > 0 {
		t.Errorf("the archive shows what it holds: %v", names[0])
	}

	// What was under way when the engine stopped is in doubt for a second only.
	e = startEngine(t, to, write(t, "to.yaml", elsewhere), append(args, "--set", "sends.reconcile_after=1s")...)
	if said := chumi(t, exitFailed, "tenant", "import", "--in", later, "--ops-addr", e.ops); !strings.Contains(said, "is sealed with key") {
		t.Errorf("an import with another key says: %s", said)
	}
	sends, asked := len(sims.meta.Sends()), len(sims.model.Calls())
	said = chumi(t, exitOK, "tenant", "import", "--in", later, "--key-file", key, "--ops-addr", e.ops)
	if got := word(t, said, "state"); got != state {
		t.Errorf("the state is %s, where it comes from %s", got, state)
	}
	again := chumi(t, exitOK, "tenant", "export", "--tenant", "acme", "--out", later+".again", "--key-file", key, "--ops-addr", e.ops)
	if got := word(t, again, "state"); got != state {
		t.Errorf("exported again the state is %s, where it comes from %s", got, state)
	}
	if said := chumi(t, exitFailed, "tenant", "import", "--in", later, "--key-file", key, "--ops-addr", e.ops); !strings.Contains(said, "tenant acme exists already") {
		t.Errorf("a second import says: %s", said)
	}

	// It takes in, and the tenant beside it is answered.
	if e.heldHeader("key-of-acme") == "" || e.heldHeader("key-of-bolt") != "" {
		t.Error("the API does not say which tenant is held")
	}
	if _, body := get(t, "http://"+e.ops+"/readyz", ""); !strings.Contains(body, "chumi tenant confirm: acme") {
		t.Errorf("readyz: %s", body)
	}
	if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", "4915560100000", "wamid.HELD", canary)); status != 200 {
		t.Errorf("a held tenant answers a webhook with %d", status)
	}
	e.say(theirs, "key-of-acme", `{"type":"text","text":"from a person"}`)
	beside := e.stream("key-of-bolt")
	for i := range 3 {
		if status := e.post("bolt-app", "secret-of-bolt", waText("106000000000002", "102000000000002", "4915560200001", fmt.Sprintf("wamid.BESIDE%d", i), "hello")); status != 200 {
			t.Fatalf("status %d", status)
		}
		until(t, beside, func(ev apiEvent) bool { return ev.Kind == "message_accepted" })
	}
	for _, s := range sims.meta.Sends()[sends:] {
		if s.Account != "106000000000002" {
			t.Errorf("a held tenant sent %q to %s", s.Text, s.To)
		}
	}
	if n := len(sims.model.Calls()) - asked; n != 3 {
		t.Errorf("the model was called %d times, 3 of them for the tenant beside", n)
	}
	if out, code := e.knowing("key-of-acme", "search", "--query", "xylophone"); code != 0 || !strings.Contains(out, "Hours") {
		t.Errorf("what the tenant knows is not found: %s", out)
	}
	var journal struct{ Data []apiEvent }
	_, body := get(t, "http://"+e.api+"/v1/conversations/"+whose["wamid.MOVED0"]+"/events?limit=100", "key-of-acme")
	if err := json.Unmarshal([]byte(body), &journal); err != nil || len(journal.Data) == 0 || journal.Data[len(journal.Data)-1].Kind != "message_received" {
		t.Errorf("a held tenant went on by itself: %s %v", body, err)
	}

	chumi(t, exitFailed, "tenant", "confirm", "--tenant", "bolt", "--ops-addr", e.ops)
	events := e.stream("key-of-acme")
	confirmed := time.Now()
	chumi(t, exitOK, "tenant", "confirm", "--tenant", "acme", "--ops-addr", e.ops)
	accepted := map[string]bool{}
	until(t, events, func(ev apiEvent) bool {
		if ev.Kind == "message_accepted" {
			accepted[ev.conversation()] = true
		}
		return len(accepted) == 9
	})
	if took := time.Since(confirmed); took > chat.RewakeAfter/2 {
		t.Errorf("what was owed went %s after the tenant was confirmed: it was not resumed", took)
	}
	if e.heldHeader("key-of-acme") != "" {
		t.Error("the API says that a tenant is held that was confirmed")
	}
	e.stop()
	checked(t, to)
	gapFree(t, exported(t, to, "acme"))
}

// Whoever was erased after the archive was made does not come back with it, when the
// list of erasures is named.
func TestTenant_BringsNobodyBackWhoWasErasedSince(t *testing.T) {
	_, args := quickSimulators(t, write(t, "b.yaml", twoTenants))
	key, files, to := moveKey(t), t.TempDir(), t.TempDir()
	file, erasures := filepath.Join(files, "acme.archive"), filepath.Join(files, "erased.json")
	const gone, stays = "canary-of-who-is-erased", "canary-of-who-stays"
	e := startEngine(t, t.TempDir(), write(t, "from.yaml", twoTenants), args...)
	for i, text := range []string{gone, stays} {
		e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", fmt.Sprintf("49155604%05d", i), fmt.Sprintf("wamid.GONE%d", i), text))
	}
	answered(t, e.stream("key-of-acme"), 2)
	chumi(t, exitOK, "tenant", "export", "--tenant", "acme", "--out", file, "--key-file", key, "--ops-addr", e.ops)
	contact, _ := e.contactOf(gone)
	if status, body := e.ask(http.MethodPost, "/v1/contacts/"+contact+"/erase"); status != 200 {
		t.Fatalf("erase: %d %s", status, body)
	}
	if err := os.WriteFile(erasures, []byte(chumi(t, exitOK, "erasures", "--ops-addr", e.ops)), 0o600); err != nil {
		t.Fatal(err)
	}
	e.stop()

	e = startEngine(t, to, write(t, "to.yaml", elsewhere), args...)
	chumi(t, exitFailed, "tenant", "import", "--in", file, "--key-file", key, "--erasures", file, "--ops-addr", e.ops)
	said := chumi(t, exitOK, "tenant", "import", "--in", file, "--key-file", key, "--erasures", erasures, "--ops-addr", e.ops)
	if !strings.Contains(said, "erased again: 1 persons; erasures are known up to") {
		t.Errorf("the import says: %s", said)
	}
	e.stop()
	checked(t, to)
	there := map[string]bool{}
	for _, ev := range exported(t, to, "acme") {
		if ev.Message != nil {
			there[ev.Message.Text] = true
		}
	}
	if there[gone] || !there[stays] {
		t.Errorf("of the archive there is %v", there)
	}
}

// In a cluster the node that leads the tenant's group takes it in, any other says so,
// and every node has the same.
func TestCluster_TakesATenantIn(t *testing.T) {
	const people = 20
	_, args := quickSimulators(t, write(t, "b.yaml", twoTenants))
	key, file := moveKey(t), filepath.Join(t.TempDir(), "acme.archive")
	e := startEngine(t, t.TempDir(), write(t, "from.yaml", twoTenants), args...)
	say := func(to *engine, i int, id string) {
		t.Helper()
		if status := to.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", fmt.Sprintf("49155603%05d", i), id, "hello")); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	for i := range people {
		say(e, i, fmt.Sprint("wamid.IN", i))
	}
	// An attempt under way would be in doubt where it goes.
	answered(t, e.stream("key-of-acme"), people)
	state := word(t, chumi(t, exitOK, "tenant", "export", "--tenant", "acme", "--out", file, "--key-file", key, "--ops-addr", e.ops), "state")
	e.stop()

	c := foundCluster(t, 3, append(args, "--bootstrap", write(t, "to.yaml", elsewhere))...)
	c.start(2)
	c.start(3)
	c.settle(func(s cluster.Status) bool { return len(s.Nodes) == 3 })
	took := 0
	for n := 1; n <= 3 && took == 0; n++ {
		var out, errs bytes.Buffer
		switch code := run(t.Context(), []string{"tenant", "import", "--in", file, "--key-file", key, "--ops-addr", c.nodes[n].ops}, nil, &out, &errs); {
		case code == exitOK:
			took = n
			if got := word(t, out.String(), "state"); got != state {
				t.Errorf("the state is %s, where it comes from %s", got, state)
			}
		case !strings.Contains(errs.String(), "another node leads group"):
			t.Fatalf("node %d: %s", n, errs.String())
		}
	}
	if took == 0 {
		t.Fatal("no node took the tenant in")
	}
	for n := 1; n <= 3; n++ {
		said := chumi(t, exitOK, "tenant", "export", "--tenant", "acme", "--out", fmt.Sprint(file, n), "--key-file", key, "--ops-addr", c.nodes[n].ops)
		if got := word(t, said, "state"); got != state {
			t.Errorf("node %d: the state is %s, where it comes from %s", n, got, state)
		}
		if c.nodes[n].heldHeader("key-of-acme") == "" {
			t.Errorf("node %d does not hold the tenant", n)
		}
	}
	for i := range people {
		say(c.nodes[1+i%3], i, fmt.Sprint("wamid.HELD", i))
	}
	other := c.nodes[1+took%3]
	chumi(t, exitOK, "tenant", "confirm", "--tenant", "acme", "--ops-addr", other.ops)
	answered(t, c.nodes[took].stream("key-of-acme"), 2*people)
}

// answered waits until so many messages were accepted.
func answered(t *testing.T, events <-chan apiEvent, n int) {
	t.Helper()
	until(t, events, func(ev apiEvent) bool {
		if ev.Kind == "message_accepted" {
			n--
		}
		return n == 0
	})
}
