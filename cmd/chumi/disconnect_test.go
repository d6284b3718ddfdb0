package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// A channel is given up with a send waiting, while its customer goes on writing. Its
// conversation can be read, nothing of its account is taken in, nothing is sent; when
// it is connected again both go on.
func TestChannel_DisconnectAndConnectAgain(t *testing.T) {
	o := newOffice(t)
	account, _ := o.sims.meta.Account("acme-wa")
	connect := func(token string) {
		t.Helper()
		if exit, out := o.chumi([]string{"CHUMI_ACCESS_TOKEN=" + token}, "channel", "connect", "--app", "acme-app", "--channel", "acme-wa",
			"--waba-id", account.WABA); exit != exitOK || !strings.Contains(out, "sending") {
			t.Fatalf("connect exited %d: %s", exit, out)
		}
	}
	connect("ta1")
	events := o.stream("key-of-acme")
	who := metasim.Customer{ID: "4915550100042", Name: "Ada"}
	if err := o.sims.meta.Deliver(t.Context(), o.sims.meta.Text(account, who, "hello #1")); err != nil {
		t.Fatal(err)
	}
	seen := until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_accepted" })
	conversation := seen[len(seen)-1].conversation()
	if status, a := o.ask(http.MethodPost, "/v1/conversations/"+conversation+"/takeover", ""); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	exit, out := o.chumi(nil, "channel", "disconnect", "--channel", "acme-wa")
	if exit != exitOK || !strings.Contains(out, "held: disconnected") || strings.Contains(out, "left at Meta") {
		t.Fatalf("disconnect exited %d: %s", exit, out)
	}
	until(t, events, func(ev apiEvent) bool {
		return ev.Kind == "channel_changed" && strings.Contains(ev.line, `"disconnected_at"`)
	})
	if b := o.sims.meta.Business(account.ID); b.Subscribed || b.Status == "DISCONNECTED" {
		t.Errorf("at Meta: %+v", b)
	}
	// A restart knows it, and so does the bootstrap file that never named it.
	o.stop()
	o.serve()
	before := len(o.sims.meta.Sends())
	if status, a := o.ask(http.MethodPost, "/v1/conversations/"+conversation+"/messages", `{"type":"text","text":"later"}`); status != 201 {
		t.Fatalf("a send to a channel that was given up: %d %v", status, a)
	}
	if status := o.post("acme-app", "secret-of-acme", waText(account.ID, account.WABA, who.ID, "wamid.MEANWHILE", "are you there?")); status != 200 {
		t.Errorf("a webhook of a channel that was given up: %d", status)
	}
	if _, a := o.ask(http.MethodGet, "/v1/channels/acme-wa", ""); a["held"] != "disconnected" {
		t.Errorf("the channel is %v", a)
	}
	if _, log := get(t, "http://"+o.api+"/v1/conversations/"+conversation+"/events", "key-of-acme"); !strings.Contains(log, "hello #1") || strings.Contains(log, "are you there?") {
		t.Errorf("the conversation reads %s", log)
	}
	for _, path := range []string{"/refresh", "/templates/sync"} {
		if status, a := o.ask(http.MethodPost, "/v1/channels/acme-wa"+path, ""); status != 409 {
			t.Errorf("%s: %d %v", path, status, a)
		}
	}
	if status, a := o.ask(http.MethodPost, "/v1/channels/acme-wa/token", `{"access_token":"ta1"}`); status != 409 {
		t.Errorf("a token for a channel that was given up: %d %v", status, a)
	}
	if exit, out := o.chumi(nil, "channel", "health", "--channel", "acme-wa"); exit != exitFailed || !strings.Contains(out, "first: Connect it again") {
		t.Errorf("health: %d %s", exit, out)
	}
	if n := len(o.sims.meta.Sends()); n != before {
		t.Errorf("%d sends left a channel that was given up", n-before)
	}
	events = o.stream("key-of-acme")
	connect("ta1")
	sent, taken := false, false
	until(t, events, func(ev apiEvent) bool {
		sent = sent || ev.Kind == "message_accepted" && ev.conversation() == conversation && len(o.sims.meta.Sends()) > before
		taken = taken || ev.Kind == "message_received" && strings.Contains(ev.line, "wamid.MEANWHILE")
		return sent && taken
	})
	o.stop()
	checked(t, o.dir)
}

// A dead token keeps nobody from giving a channel up: what stays as it was at Meta is
// said.
func TestChannel_DisconnectWithADeadToken(t *testing.T) {
	o := newOffice(t)
	account, _ := o.sims.meta.Account("acme-wa")
	if exit, out := o.chumi([]string{"CHUMI_ACCESS_TOKEN=ta1"}, "channel", "connect", "--app", "acme-app", "--channel", "acme-wa",
		"--waba-id", account.WABA); exit != exitOK {
		t.Fatalf("connect exited %d: %s", exit, out)
	}
	o.sims.meta.RevokeToken("ta1", 460)
	exit, out := o.chumi(nil, "channel", "disconnect", "--channel", "acme-wa", "--deregister")
	if exit != exitOK || !strings.Contains(out, "held: disconnected") ||
		!strings.Contains(out, "left at Meta: the subscription (token_invalid)") || !strings.Contains(out, "left at Meta: the registration (token_invalid)") {
		t.Fatalf("disconnect exited %d: %s", exit, out)
	}
	// Again: it is given up, and nothing is asked of Meta.
	if exit, out := o.chumi(nil, "channel", "disconnect", "--channel", "acme-wa"); exit != exitOK || strings.Contains(out, "left at Meta") {
		t.Errorf("disconnect again exited %d: %s", exit, out)
	}
	o.stop()
	if strings.Contains(o.log.String(), "ta1") {
		t.Error("the log shows a token")
	}
	checked(t, o.dir)
}
