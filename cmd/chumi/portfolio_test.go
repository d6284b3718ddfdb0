package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

var timestamp = regexp.MustCompile(`"timestamp":"\d+"`)

// Two tenants whose numbers one business owns share its messaging limit: together
// they write to as many persons outside the window as it may, Meta refuses nothing,
// the rest waits in sight, and whoever writes is answered.
func TestPortfolio_TenantsShareItsLimit(t *testing.T) {
	const tier, each = 5, 4
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap, func(o *metasim.Options) {
		o.Windows, o.Pace = true, metasim.Pace{Tier: tier}
		for i := range o.Accounts {
			o.Accounts[i].Portfolio = "7700"
		}
	})
	dir := t.TempDir()
	e := startEngine(t, dir, bootstrap, args...)
	sims.meta.SetHooks("http://" + e.edge)
	type side struct {
		tenant, number, waba string
		events               <-chan apiEvent
		conversations        []string
	}
	sides := []*side{{tenant: "acme", number: "106000000000001", waba: "102000000000001"}, {tenant: "bolt", number: "106000000000002", waba: "102000000000002"}}
	long := fmt.Sprint(time.Now().Add(-25 * time.Hour).Unix())
	for _, s := range sides {
		key, app, secret := "key-of-"+s.tenant, s.tenant+"-app", "secret-of-"+s.tenant
		if status, body := postJSON(t, "http://"+e.api+"/v1/channels/"+s.tenant+"-wa/refresh", key, "{}"); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		s.events = e.stream(key)
		template := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"time":1790000000,"changes":[{"field":"message_template_status_update","value":{
			"event":"APPROVED","message_template_id":1680000000000001,"message_template_name":"opening_hours","message_template_language":"de","reason":"NONE"}}]}]}`, s.waba)
		if status := e.post(app, secret, []byte(template)); status != 200 {
			t.Fatal(status)
		}
		for n := range each {
			who := fmt.Sprintf("49151%s%d", s.number[12:], n)
			text := timestamp.ReplaceAll(waText(s.number, s.waba, who, "wamid."+who, "hello"), []byte(`"timestamp":"`+long+`"`))
			if status := e.post(app, secret, text); status != 200 {
				t.Fatal(status)
			}
			seen := until(t, s.events, func(ev apiEvent) bool { return ev.Kind == "message_received" })
			s.conversations = append(s.conversations, seen[len(seen)-1].conversation())
		}
	}
	for n := range each {
		for _, s := range sides {
			e.say(s.conversations[n], "key-of-"+s.tenant, `{"type":"template","template":{"name":"opening_hours","language":{"code":"de"}}}`)
		}
	}
	accepted := func() (n int) {
		for _, s := range sims.meta.Sends() {
			if !s.Accepted {
				t.Fatalf("Meta refused with code %d over %q", s.Code, s.Over)
			}
			n++
		}
		return n
	}
	waiting := func() (n int) {
		for _, s := range sides {
			_, body := get(t, "http://"+e.api+"/v1/sends?state=queued", "key-of-"+s.tenant)
			n += strings.Count(body, `"message_id"`)
		}
		return n
	}
	eventually(t, "the limit is used up and the rest waits", func() bool { return accepted() == tier && waiting() == 2*each-tier })
	for _, s := range sides {
		eventually(t, "the checklist says so", func() bool {
			_, body := get(t, "http://"+e.api+"/v1/channels/"+s.tenant+"-wa/health", "key-of-"+s.tenant)
			return strings.Contains(body, fmt.Sprintf("portfolio: %d. The limit is used up", tier))
		})
	}
	// Who still waits writes: the template goes at once.
	freed := sides[1]
	var list struct {
		Data []struct {
			Conversation string `json:"conversation_id"`
		}
	}
	_, body := get(t, "http://"+e.api+"/v1/sends?state=queued", "key-of-bolt")
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Data) == 0 {
		t.Fatalf("%s: %v", body, err)
	}
	last := list.Data[0].Conversation
	for n, c := range freed.conversations {
		if c == last {
			account, _ := sims.meta.Account("bolt-wa")
			said := sims.meta.Text(account, metasim.Customer{ID: fmt.Sprintf("49151%s%d", freed.number[12:], n), Name: "Ada"}, "are you there?")
			if err := sims.meta.Deliver(t.Context(), said); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "who wrote is answered", func() bool {
		for _, s := range sims.meta.Sends() {
			if !s.Accepted {
				t.Fatalf("Meta refused with code %d over %q", s.Code, s.Over)
			}
		}
		_, body := get(t, "http://"+e.api+"/v1/sends?state=queued", "key-of-bolt")
		return !strings.Contains(body, last)
	})
	if over := sims.meta.Over(); len(over) != 0 {
		t.Errorf("above limits: %v", over)
	}
	e.stop()
	checked(t, dir)
}

// eventually waits for something that no event tells.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !so(); {
		if time.Now().After(limit) {
			t.Fatalf("it did not come true: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// postJSON posts a body to the API.
func postJSON(t *testing.T, url, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}
