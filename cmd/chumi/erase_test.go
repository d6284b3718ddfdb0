package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/cmd/chumi/cluster"
)

// ask makes a request with acme's key.
func (e *engine) ask(method, path string) (int, []byte) {
	e.t.Helper()
	req, err := http.NewRequest(method, "http://"+e.api+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key-of-acme")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, body
}

// contactOf is the contact of the conversation in which a text was received.
func (e *engine) contactOf(text string) (contact, conversation string) {
	e.t.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		_, body := e.ask("GET", "/v1/conversations")
		var list struct {
			Data []struct {
				ID      string `json:"id"`
				Contact struct {
					ID string `json:"id"`
				} `json:"contact"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &list); err != nil {
			e.t.Fatalf("%s: %v", body, err)
		}
		for _, c := range list.Data {
			if _, events := e.ask("GET", "/v1/conversations/"+c.ID+"/events"); strings.Contains(string(events), text) {
				return c.Contact.ID, c.ID
			}
		}
	}
	e.t.Fatalf("nobody said %q", text)
	return "", ""
}

// erased waits until an erasure has nothing left but backups.
func (e *engine) erased(contact string) {
	e.t.Helper()
	var got struct {
		Left     []string `json:"left"`
		Complete bool     `json:"complete"`
	}
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		status, body := e.ask("GET", "/v1/contacts/"+contact+"/erasure")
		if err := json.Unmarshal(body, &got); err != nil || status != 200 {
			e.t.Fatalf("%d %s", status, body)
		}
		if len(got.Left) == 0 {
			if got.Complete {
				e.t.Error("an erasure is complete while backups of before may exist")
			}
			return
		}
	}
	e.t.Fatalf("the erasure does not end: %v", got.Left)
}

// agoText is waText of some time ago.
func agoText(ago time.Duration, from, id, text string) []byte {
	body := string(waText("106000000000001", "102000000000001", from, id, text))
	_, rest, _ := strings.Cut(body, `"timestamp":"`)
	now, _, _ := strings.Cut(rest, `"`)
	return []byte(strings.Replace(body, `"timestamp":"`+now, fmt.Sprintf(`"timestamp":"%d`, time.Now().Add(-ago).Unix()), 1))
}

// Whoever is erased stays so: webhooks of before that come again or late are not taken
// in, a restore of an older backup erases them again, and who writes anew is somebody
// else.
func TestErase_NothingBringsThePersonBack(t *testing.T) {
	bootstrap := write(t, "b.yaml", twoTenants)
	_, args := quickSimulators(t, bootstrap)
	root := t.TempDir()
	dir, target := filepath.Join(root, "data"), filepath.Join(root, "target")
	args = append(args, "--set", "backup.to="+target)
	e := startEngine(t, dir, bootstrap, args...)
	post := func(body []byte) {
		t.Helper()
		if status := e.post("acme-app", "secret-of-acme", body); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	const who, canary, stays = "4915550600001", "canary-of-the-erased", "words-of-another"
	post(agoText(time.Hour, who, "wamid.ERASE1", canary))
	post(agoText(time.Hour, "4915550600002", "wamid.STAY1", stays))
	contact, conversation := e.contactOf(canary)
	sent := ""
	until(t, e.stream("key-of-acme"), func(ev apiEvent) bool {
		if ev.Kind == "message_queued" && ev.conversation() == conversation {
			sent = ev.Message.ID
		}
		return ev.Kind == "message_accepted" && ev.conversation() == conversation
	})
	chumi(t, exitOK, "backup", "--ops-addr", e.ops, "--to", target)
	status, body := e.ask("POST", "/v1/contacts/"+contact+"/erase")
	if status != 200 {
		t.Fatalf("erase: %d %s", status, body)
	}
	if again, _ := e.ask("POST", "/v1/contacts/"+contact+"/erase"); again != 200 {
		t.Errorf("erasing again: %d", again)
	}
	e.erased(contact)
	if status, _ := e.ask("GET", "/v1/contacts/"+contact); status != 404 {
		t.Errorf("the contact is still there: %d", status)
	}
	count := func() (n int) {
		_, body := e.ask("GET", "/v1/conversations")
		var list struct{ Data []json.RawMessage }
		if err := json.Unmarshal(body, &list); err != nil {
			t.Fatal(err)
		}
		return len(list.Data)
	}
	before := count()
	post(agoText(time.Hour, who, "wamid.ERASE1", canary))                 // once more
	post(agoText(30*time.Minute, who, "wamid.ERASE2", canary+" delayed")) // never delivered before
	_, journal := e.ask("GET", "/v1/conversations/"+conversation+"/events")
	for _, callback := range []string{"", `,"biz_opaque_callback_data":"` + sent + `"`} {
		post(fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"102000000000001","changes":[{"field":"messages","value":{
"messaging_product":"whatsapp","metadata":{"phone_number_id":"106000000000001"},
"statuses":[{"id":"wamid.SENTBEFORE","status":"delivered","timestamp":"%d","recipient_id":%q%s}]}}]}]}`, time.Now().Unix()+5, who, callback))
	}
	if now := count(); now != before {
		t.Errorf("%d conversations after late webhooks, %d before", now, before)
	}
	if _, events := e.ask("GET", "/v1/conversations/"+conversation+"/events"); string(events) != string(journal) || strings.Contains(string(events), canary) {
		t.Errorf("late webhooks came in: %s", events)
	}
	time.Sleep(1100 * time.Millisecond) // times of Meta are in seconds
	post(waText("106000000000001", "102000000000001", who, "wamid.ANEW", "I am back"))
	anew, other := e.contactOf("I am back")
	if anew == contact || other == conversation {
		t.Error("who writes anew is the contact that was erased")
	}
	e.stop()
	checked(t, dir)
	if names := holds(t, root, canary, who, "wamid.ERASE"); len(names) > 0 {
		t.Errorf("plain text: %v", names)
	}

	// The backup of before the erasure has them; the place of backups was told.
	restored := filepath.Join(root, "restored")
	kek := filepath.Join(dir, "secrets", "kek")
	said := chumi(t, exitOK, "restore", "--from", target, "--data-dir", restored, "--keys-file", kek)
	if !strings.Contains(said, "erased again: 1 persons") {
		t.Errorf("the restore says: %s", said)
	}
	checked(t, restored, "--keys-file", kek)
	found := false
	for _, ev := range exported(t, restored, "acme", "--keys-file", kek) {
		if strings.Contains(ev.line, canary) || strings.Contains(ev.line, "wamid.ERASE") {
			t.Errorf("the restore brought back %s", ev.line)
		}
		found = found || strings.Contains(ev.line, stays)
	}
	if !found {
		t.Error("the restore lost another person")
	}
	dir = restored
	e = startEngine(t, restored, bootstrap, append(args, "--set", "keys.file="+kek)...)
	before = count()
	post(agoText(time.Hour, who, "wamid.ERASE1", canary))
	if now := count(); now != before {
		t.Error("a webhook of before brings them back into what was restored")
	}
	e.stop()
}

// In a cluster an erasure is over when every node has given up its bytes, also one that
// was down.
func TestCluster_EraseWaitsForEveryNode(t *testing.T) {
	_, args := quickSimulators(t, write(t, "b.yaml", twoTenants))
	c := foundCluster(t, 3, args...)
	c.start(2)
	c.start(3)
	c.settle(func(s cluster.Status) bool { return len(s.Nodes) == 3 })
	const canary = "canary-of-the-erased"
	if status := c.nodes[2].post("acme-app", "secret-of-acme", agoText(time.Hour, "4915550700001", "wamid.GONE", canary)); status != 200 {
		t.Fatalf("status %d", status)
	}
	contact, _ := c.nodes[1].contactOf(canary)
	c.stop(3)
	c.settle(func(s cluster.Status) bool { return true })
	if status, body := c.nodes[1].ask("POST", "/v1/contacts/"+contact+"/erase"); status != 200 {
		t.Fatalf("erase: %d %s", status, body)
	}
	for limit := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		_, body := c.nodes[2].ask("GET", "/v1/contacts/"+contact+"/erasure")
		if strings.Count(string(body), "tables and logs") == 1 && strings.Contains(string(body), "node 3, until it is back") {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("with one node down: %s", body)
		}
	}
	c.start(3)
	c.nodes[2].erased(contact)
	for n := 1; n <= 3; n++ {
		c.stop(n)
		checked(t, c.data(n), "--keys-file", filepath.Join(c.dir, fmt.Sprint("node-", n), "kek"))
	}
}
