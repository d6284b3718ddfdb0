package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/console"
	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// office is a simulator that posts no webhook before it is asked to, and an engine
// in front of it that knows an app and a tenant, and no channel.
type office struct {
	*engine
	t    *testing.T
	sims *simulators
	args []string
	dir  string
	// bootstrap is the file of the engine.
	bootstrap string
}

func newOffice(t *testing.T) *office {
	t.Helper()
	all, err := ReadBootstrap(write(t, "b.yaml", twoTenants))
	if err != nil {
		t.Fatal(err)
	}
	sims, err := startSimulators("127.0.0.1:0", "127.0.0.1:0",
		metasim.Options{Accounts: simulatedAccounts(all), Subscriptions: true, Plan: metasim.Plan{Seed: 3}}, openaisim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sims.Close() })
	o := &office{t: t, sims: sims, dir: t.TempDir()}
	id := sims.meta.AppID("acme-app")
	o.bootstrap = write(t, "bootstrap.yaml", `
apps:
  - {id: acme-app, app_secret: secret-of-acme, verify_token: v, meta_app_id: "`+id+`", instagram_app_id: "`+id+`", instagram_app_secret: secret-of-acme}
tenants:
  - {id: acme, name: Acme}
api_keys:
  - {tenant: acme, secret: key-of-acme, scopes: ["*"]}
`)
	o.args = []string{"--set", "meta.graph_url=" + sims.graphURL, "--set", "meta.instagram_url=" + sims.graphURL,
		"--set", "assistant.base_url=" + sims.modelURL, "--set", "assistant.api_key=any", "--set", "assistant.model=m",
		"--set", "assistant.quiet_period=20ms"}
	o.serve()
	return o
}

func (o *office) serve() {
	o.engine = startEngine(o.t, o.dir, o.bootstrap, o.args...)
	o.sims.meta.SetHooks("http://" + o.engine.edge)
}

// chumi runs a command against the engine's API and ops listener.
func (o *office) chumi(env []string, args ...string) (code int, out string) {
	o.t.Helper()
	where := []string{"--url", "http://" + o.api}
	if args[0] == "app" {
		where = []string{"--ops-addr", o.ops}
	}
	var stdout, stderr bytes.Buffer
	code = run(o.t.Context(), append(args, where...), append(env, "CHUMI_KEY=key-of-acme"), &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

// ask makes an API request.
func (o *office) ask(method, path, body string) (status int, answer map[string]any) {
	o.t.Helper()
	req, err := http.NewRequest(method, "http://"+o.api+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key-of-acme")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		o.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// A number is connected by the code of an embedded signup: webhooks are asked for,
// a message comes in and is answered, and the checklist is green.
func TestChannel_ConnectSubscribeMessageAnswer(t *testing.T) {
	o := newOffice(t)
	account, _ := o.sims.meta.Account("acme-wa")
	if b := o.sims.meta.Business(account.ID); b.Subscribed {
		t.Fatal("the simulator posts webhooks that nobody asked for")
	}
	code, err := o.sims.meta.IssueCode("acme-wa")
	if err != nil {
		t.Fatal(err)
	}
	exit, out := o.chumi(nil, "channel", "connect", "--app", "acme-app", "--channel", "acme-wa", "--code", code,
		"--waba-id", account.WABA, "--phone-number-id", account.ID, "--pin", "123456")
	if exit != exitOK || !strings.Contains(out, "acme-wa") || !strings.Contains(out, "sending") {
		t.Fatalf("connect exited %d: %s", exit, out)
	}
	if b := o.sims.meta.Business(account.ID); !b.Subscribed || b.PIN != "123456" {
		t.Errorf("after connecting: %+v", b)
	}
	// Another's number stays another's.
	if exit, out := o.chumi([]string{"CHUMI_ACCESS_TOKEN=tb1"}, "channel", "connect", "--app", "acme-app", "--waba-id", account.WABA,
		"--phone-number-id", account.ID); exit == exitOK || !strings.Contains(out, "WABA") {
		t.Errorf("a token of another tenant's number: %d %s", exit, out)
	}
	if exit, out := o.chumi(nil, "channel", "health", "--channel", "acme-wa"); exit != exitFailed || !strings.Contains(out, "first: Set the callback URL") {
		t.Errorf("before the first webhook: %d\n%s", exit, out)
	}
	events := o.stream("key-of-acme")
	said := o.sims.meta.Text(account, metasim.Customer{ID: "4915550100042", Name: "Ada"}, "Are you open? #17")
	if err := o.sims.meta.Deliver(t.Context(), said); err != nil {
		t.Fatal(err)
	}
	until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_accepted" })
	if sends := o.sims.meta.Sends(); len(sends) != 1 || !strings.Contains(sends[0].Text, "#17") {
		t.Errorf("sent %+v", sends)
	}
	if exit, out := o.chumi(nil, "channel", "health", "--channel", "acme-wa"); exit != exitOK || strings.Contains(out, "FIX") {
		t.Errorf("connected, and the checklist says %d\n%s", exit, out)
	}
	if exit, out := o.chumi(nil, "channel", "sync", "--channel", "acme-wa"); exit != exitOK || !strings.Contains(out, "hello_world") {
		t.Errorf("sync: %d %s", exit, out)
	}
	if exit, out := o.chumi(nil, "channel", "list"); exit != exitOK || !strings.Contains(out, account.ID) {
		t.Errorf("list: %d %s", exit, out)
	}
	// A template changes at Meta, and a webhook says so.
	if err := o.sims.meta.PutTemplate(t.Context(), account, metasim.Template{Name: "sale", Language: "de", Status: "APPROVED", Category: "MARKETING"}); err != nil {
		t.Fatal(err)
	}
	until(t, events, func(ev apiEvent) bool { return ev.Kind == "template_changed" && strings.Contains(ev.line, `"sale"`) })
	o.stop()
	if strings.Contains(o.log.String(), code) {
		t.Error("the log shows the code")
	}
	checked(t, o.dir)
}

// The token dies with messages queued: they are held, none is lost, and with a new
// token each arrives once and in order.
func TestChannel_DeadTokenLosesNothing(t *testing.T) {
	const customers, each = 20, 5
	o := newOffice(t)
	account, _ := o.sims.meta.Account("acme-wa")
	if exit, out := o.chumi([]string{"CHUMI_ACCESS_TOKEN=ta1"}, "channel", "connect", "--app", "acme-app", "--channel", "acme-wa",
		"--waba-id", account.WABA); exit != exitOK {
		t.Fatalf("connect exited %d: %s", exit, out)
	}
	events := o.stream("key-of-acme")
	var updates []metasim.Update
	for c := range customers {
		updates = append(updates, o.sims.meta.Text(account, metasim.Customer{ID: fmt.Sprint(4915550100000 + c)}, "hi"))
	}
	if err := o.sims.meta.Deliver(t.Context(), updates...); err != nil {
		t.Fatal(err)
	}
	var conversations []string
	until(t, events, func(ev apiEvent) bool {
		if ev.Kind == "message_accepted" {
			conversations = append(conversations, ev.conversation())
		}
		return len(conversations) == customers
	})
	for _, id := range conversations {
		if status, a := o.ask("POST", "/v1/conversations/"+id+"/takeover", ""); status != 200 {
			t.Fatalf("%d %v", status, a)
		}
	}
	o.sims.meta.RevokeToken("ta1", 460)
	before := len(o.sims.meta.Sends())
	for n := range each {
		for _, id := range conversations {
			if status, a := o.ask("POST", "/v1/conversations/"+id+"/messages", fmt.Sprintf(`{"type":"text","text":"number %d"}`, n)); status != 201 {
				t.Fatalf("%d %v", status, a)
			}
		}
	}
	until(t, events, func(ev apiEvent) bool {
		return ev.Kind == "channel_changed" && strings.Contains(ev.line, `"reauth_required":"password_changed"`)
	})
	if _, a := o.ask("GET", "/v1/channels/acme-wa", ""); a["held"] != "reauth_required" {
		t.Errorf("the channel is %v", a)
	}
	if exit, out := o.chumi(nil, "channel", "health", "--channel", "acme-wa"); exit != exitFailed || !strings.Contains(out, "first: Make a new access token") {
		t.Errorf("%d %s", exit, out)
	}
	// The engine is stopped and started: what is held is held on disk.
	o.stop()
	o.serve()
	events = o.stream("key-of-acme")
	if status, a := o.ask("POST", "/v1/channels/acme-wa/token", `{"access_token":"ta1"}`); status != 409 {
		t.Errorf("the dead token again: %d %v", status, a)
	}
	fresh := o.sims.meta.IssueToken(account.ID, 0)
	if exit, out := o.chumi([]string{"CHUMI_ACCESS_TOKEN=" + fresh}, "channel", "token", "--channel", "acme-wa"); exit != exitOK {
		t.Fatalf("token exited %d: %s", exit, out)
	}
	accepted := 0
	until(t, events, func(ev apiEvent) bool {
		if ev.Kind == "message_accepted" {
			accepted++
		}
		return accepted == customers*(each+1)
	})
	arrived := map[string][]string{}
	for _, send := range o.sims.meta.Sends()[before:] {
		if send.Accepted {
			arrived[send.To] = append(arrived[send.To], send.Text)
		}
	}
	if len(arrived) != customers {
		t.Errorf("%d customers of %d got anything", len(arrived), customers)
	}
	for who, texts := range arrived {
		if want := []string{"number 0", "number 1", "number 2", "number 3", "number 4"}; !slices.Equal(texts, want) {
			t.Errorf("%s got %q", who, texts)
		}
	}
	o.stop()
	if log := o.log.String(); strings.Contains(log, fresh) || strings.Contains(log, "ta1") {
		t.Error("the log shows a token")
	}
	checked(t, o.dir)
}

// Meta disables the account: sends stop, and go on when it is reinstated.
func TestChannel_RestrictionStopsSending(t *testing.T) {
	o := newOffice(t)
	account, _ := o.sims.meta.Account("acme-wa")
	if exit, out := o.chumi([]string{"CHUMI_ACCESS_TOKEN=ta1"}, "channel", "connect", "--app", "acme-app", "--channel", "acme-wa",
		"--waba-id", account.WABA); exit != exitOK {
		t.Fatalf("connect exited %d: %s", exit, out)
	}
	events := o.stream("key-of-acme")
	if err := o.sims.meta.Restrict(t.Context(), account, true); err != nil {
		t.Fatal(err)
	}
	until(t, events, func(ev apiEvent) bool {
		return ev.Kind == "channel_changed" && strings.Contains(ev.line, `"restricted":"disabled_update"`)
	})
	if err := o.sims.meta.Deliver(t.Context(), o.sims.meta.Text(account, metasim.Customer{ID: "4915550100042"}, "hi #5")); err != nil {
		t.Fatal(err)
	}
	until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_queued" })
	if _, a := o.ask("GET", "/v1/channels/acme-wa", ""); a["held"] != "restricted" {
		t.Errorf("the channel is %v", a)
	}
	if n := len(o.sims.meta.Sends()); n != 0 {
		t.Errorf("%d sends while restricted", n)
	}
	if err := o.sims.meta.Restrict(t.Context(), account, false); err != nil {
		t.Fatal(err)
	}
	until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_accepted" })
	if n := len(o.sims.meta.Sends()); n != 1 {
		t.Errorf("%d sends after it was lifted", n)
	}
}

// Each field of account-level webhooks has the effect it has, also in the odd shapes
// of Meta's samples (traps 37 and 38), and is kept as received.
func TestChannel_FieldsHaveTheirEffect(t *testing.T) {
	o := newOffice(t)
	account, _ := o.sims.meta.Account("acme-wa")
	if exit, out := o.chumi([]string{"CHUMI_ACCESS_TOKEN=ta1"}, "channel", "connect", "--app", "acme-app", "--channel", "acme-wa",
		"--waba-id", account.WABA); exit != exitOK {
		t.Fatalf("connect exited %d: %s", exit, out)
	}
	_, before := o.ask("GET", "/v1/channels/acme-wa", "")
	shown := before["state"].(map[string]any)["number"].(string)
	state := func() map[string]any {
		_, a := o.ask("GET", "/v1/channels/acme-wa", "")
		return a["state"].(map[string]any)
	}
	template := func(name string) map[string]any {
		_, a := o.ask("GET", "/v1/templates?name="+name, "")
		list := a["data"].([]any)
		if len(list) != 1 {
			return nil
		}
		return list[0].(map[string]any)
	}
	ends := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	for _, c := range []struct {
		field, value string
		holds        func() bool
	}{
		{"business_capability_update", `{"max_daily_conversations_per_business":10000,"max_phone_numbers_per_waba":25}`,
			func() bool { return state()["tier"] == "TIER_10K" }},
		{"business_capability_update", `{"max_daily_conversations_per_business":"TIER_UNLIMITED"}`,
			func() bool { return state()["tier"] == "TIER_UNLIMITED" }},
		{"business_capability_update", `{"max_phone_numbers_per_business":20}`,
			func() bool { return state()["tier"] == "TIER_UNLIMITED" }},
		{"phone_number_quality_update", `{"display_phone_number":"` + shown + `","event":"THROUGHPUT_UPGRADE","max_daily_conversations_per_business":"TIER_100K"}`,
			func() bool { return state()["messages_per_second"] == 1000.0 && state()["tier"] == "TIER_100K" }},
		{"phone_number_quality_update", `{"display_phone_number":"999","event":"FLAGGED"}`,
			func() bool { return state()["quality"] == "GREEN" }},
		{"security", `{"display_phone_number":"` + shown + `","event":"PIN_CHANGED","requester":"1"}`,
			func() bool { a, _ := state()["alert"].(string); return strings.Contains(a, "PIN_CHANGED") }},
		{"account_alerts", `{"entity_type":"BUSINESS","entity_id":"1","alert_info":{"alert_severity":"CRITICAL","alert_status":"ACTIVE","alert_type":"OBA_REVOKED","alert_description":"Look at this."}}`,
			func() bool { a, _ := state()["alert"].(string); return strings.Contains(a, "Look at this.") }},
		{"account_update", `{"event":"ACCOUNT_RESTRICTION","restriction_info":[{"restriction_type":"RESTRICTED_BIZ_INITIATED_MESSAGING","expiration":4102444800}]}`,
			func() bool { return state()["restricted"] == nil }},
		{"account_update", `{"event":"ACCOUNT_RESTRICTION","restriction_info":[{"restriction_type":"RESTRICTED_CUSTOMER_INITIATED_MESSAGING","expiration":` + strconv.FormatInt(ends.Unix(), 10) + `}]}`,
			func() bool { return state()["restricted_until"] == ends.Format(time.RFC3339) }},
		{"account_update", `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"REINSTATE"}}`,
			func() bool { return state()["restricted"] == nil }},
		{"message_template_status_update", `{"event":"PAUSED","message_template_id":1689556908129832,"message_template_name":"hello_world","message_template_language":"en_US","reason":"NONE"}`,
			func() bool { return template("hello_world")["status"] == "PAUSED" }},
		{"message_template_quality_update", `{"previous_quality_score":"GREEN","new_quality_score":"RED","message_template_id":1689556908129832,"message_template_name":"hello_world","message_template_language":"en_US"}`,
			func() bool { return template("hello_world")["quality"] == "RED" }},
		// Meta's own sample of a quality carries the field of a status.
		{"message_template_status_update", `{"previous_quality_score":"RED","new_quality_score":"YELLOW","message_template_id":1689556908129832,"message_template_name":"hello_world","message_template_language":"en_US"}`,
			func() bool {
				return template("hello_world")["quality"] == "YELLOW" && template("hello_world")["status"] == "PAUSED"
			}},
		{"template_category_update", `{"message_template_id":1689556908129832,"message_template_name":"hello_world","message_template_language":"en_US","previous_category":"UTILITY","new_category":"MARKETING"}`,
			func() bool { return template("hello_world")["category"] == "MARKETING" }},
		{"message_template_components_update", `{"message_template_id":1689556908129832,"message_template_name":"hello_world","message_template_language":"en_US","message_template_element":"Hi"}`,
			func() bool { return template("hello_world")["stale"] == true }},
	} {
		if err := o.sims.meta.PostField(t.Context(), account, c.field, json.RawMessage(c.value)); err != nil {
			t.Fatal(err)
		}
		if !c.holds() {
			t.Errorf("%s %s: %v; %v", c.field, c.value, state(), template("hello_world"))
		}
	}
	events := o.stream("key-of-acme")
	updates := 0
	until(t, events, func(ev apiEvent) bool {
		if ev.Update != nil && len(ev.Update.Raw) > 2 && ev.conversation() == "" {
			updates++
		}
		return updates == 15
	})
	if exit, out := o.chumi(nil, "channel", "sync", "--channel", "acme-wa"); exit != exitOK || !strings.Contains(out, "APPROVED") {
		t.Errorf("sync: %d %s", exit, out)
	}
	if h := template("hello_world"); h["status"] != "APPROVED" || h["stale"] != nil {
		t.Errorf("after a fetch: %v", h)
	}
}

// A secret is rotated without losing a webhook, and a restart with the same
// bootstrap file undoes nothing.
func TestApp_RotatesItsSecret(t *testing.T) {
	o := newOffice(t)
	body := []byte(`{"object":"whatsapp_business_account","entry":[]}`)
	posted := func(secret string) int { return o.post("acme-app", secret, body) }
	if exit, out := o.chumi([]string{"CHUMI_APP_SECRET=newer"}, "app", "rotate", "--app", "acme-app"); exit != exitOK {
		t.Fatalf("rotate exited %d: %s", exit, out)
	}
	if posted("newer") != 200 || posted("secret-of-acme") != 200 || posted("wrong") != 401 {
		t.Error("during a rotation both secrets count, and no other")
	}
	if _, text := get(t, "http://"+o.ops+"/metrics", ""); !strings.Contains(text, `chumi_webhook_secret_used_total{index="0"} 1`) ||
		!strings.Contains(text, `chumi_webhook_secret_used_total{index="1"} 1`) {
		t.Error("the metrics do not tell which secret signed")
	}
	if exit, _ := o.chumi([]string{"CHUMI_APP_SECRET=third"}, "app", "rotate", "--app", "acme-app"); exit == exitOK {
		t.Error("a third secret was taken")
	}
	o.stop()
	o.serve()
	if posted("newer") != 200 {
		t.Error("a restart with the same file undid the rotation")
	}
	if exit, out := o.chumi(nil, "app", "retire", "--app", "acme-app"); exit != exitOK {
		t.Fatalf("retire exited %d: %s", exit, out)
	}
	if exit, out := o.chumi(nil, "app", "list"); exit != exitOK || !strings.Contains(out, "secrets=1") || strings.Contains(out, "newer") {
		t.Errorf("list: %d %s", exit, out)
	}
	// The simulator's apps have one secret for both products, which Instagram's pair
	// still holds here.
	if posted("newer") != 200 {
		t.Error("the current secret is not taken any more")
	}
}

// What a Meta app is changes while the engine runs, and a restart undoes nothing of it.
func TestApp_ChangesItsSettings(t *testing.T) {
	o := newOffice(t)
	handshake := func(token string) int {
		status, _ := get(t, "http://"+o.edge+"/hooks/acme-app?hub.mode=subscribe&hub.challenge=1&hub.verify_token="+token, "")
		return status
	}
	run := func(env []string, args ...string) string {
		t.Helper()
		exit, out := o.chumi(env, append([]string{"app"}, args...)...)
		if exit != exitOK {
			t.Fatalf("%v exited %d: %s", args, exit, out)
		}
		return out
	}
	if handshake("of-a-number") != 403 {
		t.Error("a token that nobody gave is taken")
	}
	run([]string{"CHUMI_VERIFY_TOKEN=of-a-number"}, "verify-add", "--app", "acme-app")
	run([]string{"CHUMI_INSTAGRAM_APP_SECRET=canary-ig"}, "set", "--app", "acme-app", "--meta-app-id", "4711", "--instagram-app-id", "4712")
	o.stop()
	o.serve()
	if handshake("of-a-number") != 200 || handshake("v") != 200 || handshake("") != 403 {
		t.Error("after a restart the handshakes of both tokens must go through, and no other")
	}
	if out := run(nil, "list"); !strings.Contains(out, "verify_tokens=2") || !strings.Contains(out, "meta_app_id=4711") ||
		!strings.Contains(out, "instagram_app_id=4712") || strings.Contains(out, "canary") || strings.Contains(out, "of-a-number") {
		t.Errorf("list: %s", out)
	}
	run([]string{"CHUMI_VERIFY_TOKEN=v"}, "verify-retire", "--app", "acme-app")
	if handshake("of-a-number") != 200 || handshake("v") != 403 {
		t.Error("the retired token is taken, or the other is not")
	}
	if exit, _ := o.chumi(nil, "app", "set", "--app", "acme-app", "--meta-app-id", "not an id"); exit == exitOK {
		t.Error("a word was taken for an id of Meta's")
	}
}

// The demo business of chumi dev is healthy once its first message came in.
func TestDev_ChannelIsHealthy(t *testing.T) {
	e := start(t, io.Discard, "dev", "--data-dir", t.TempDir())
	_, body := get(t, "http://"+e.api+console.ConfigPath, "")
	var page console.Config
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	key := page.APIKey
	say := `{"channel":"demo-wa","from":"4915550100042","text":"hi"}`
	resp, err := http.Post("http://"+e.api+"/simulator/api/messages", "application/json", strings.NewReader(say))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	until(t, e.stream(key), func(ev apiEvent) bool { return ev.Kind == "message_received" })
	limit := time.Now().Add(patience)
	for {
		status, health := get(t, "http://"+e.api+"/v1/channels/demo-wa/health", key)
		if status == 200 && strings.Contains(health, `"ok":true,"checks"`) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%d %s", status, health)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
