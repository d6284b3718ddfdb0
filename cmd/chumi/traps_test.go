package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
)

// What goes wrong with a naive program on Meta's platform, one row each. Every row
// fails when the engine falls into its trap; the suites of the packages go deeper.
var traps = []struct {
	trap  string
	check func(t *testing.T, e *engine)
}{
	{"a signature is over the bytes received, not over JSON written anew", func(t *testing.T, e *engine) {
		v := meta.NewVerifier([]chat.Secret{"s"})
		escaped := []byte(`{"text":"a\/b \u00e9"}`)
		if _, ok := v.Verify([]byte(signature("s", escaped)), escaped); !ok {
			t.Error("Meta's own escapes are refused")
		}
		if _, ok := v.Verify([]byte(signature("s", escaped)), []byte(`{"text":"a/b é"}`)); ok {
			t.Error("the same JSON in other bytes is accepted")
		}
		if _, ok := v.Verify(nil, escaped); ok {
			t.Error("a missing signature is accepted")
		}
	}},
	{"a body may have 3 MB", func(t *testing.T, e *engine) {
		body := append(waText(trapAccount, trapWABA, "4915550104002", "wamid.TRAP02", "big"), make([]byte, 3<<20)...)
		for i := len(body) - 3<<20; i < len(body); i++ {
			body[i] = ' '
		}
		if status := e.post("acme-app", "secret-of-acme", body); status != 200 {
			t.Errorf("status %d", status)
		}
	}},
	{"a body has many entries, changes, messages and statuses", func(t *testing.T, e *engine) {
		value := `{"metadata":{"phone_number_id":"1"},"messages":[` + trapMessage("a", `"type":"text","text":{"body":"x"}`) + `,` +
			trapMessage("b", `"type":"text","text":{"body":"y"}`) + `],"statuses":[{"id":"c","status":"sent","timestamp":"1790000000","recipient_id":"4915550104003"}]}`
		change := `{"field":"messages","value":` + value + `}`
		entry := `{"id":"9","changes":[` + change + `,` + change + `]}`
		if n := len(decoded(t, `{"object":"whatsapp_business_account","entry":[`+entry+`,`+entry+`]}`)); n != 12 {
			t.Errorf("%d updates, want 12", n)
		}
	}},
	{"one bad item must not cost its neighbours, nor a repetition of all", func(t *testing.T, e *engine) {
		list := decoded(t, trapValue(`"messages":[{"id":7.5e300,"from":[]},`+trapMessage("good", `"type":"text","text":{"body":"x"}`)+`]`))
		if len(list) != 2 || list[0].Problem == "" || list[1].Remote != "good" {
			t.Errorf("%+v", list)
		}
	}},
	{"a number is named by phone_number_id, not by its WABA or its display form", func(t *testing.T, e *engine) {
		for _, display := range []string{"15550104005", "+1 555 010 4005"} {
			in := decoded(t, `{"object":"whatsapp_business_account","entry":[{"id":"9","changes":[{"field":"messages","value":{"metadata":{"display_phone_number":"`+
				display+`","phone_number_id":"77"},"messages":[`+trapMessage("a", `"type":"text","text":{"body":"x"}`)+`]}}]}]}`)
			if in[0].Account != "77" || in[0].WABA != "9" {
				t.Errorf("account %q of %q", in[0].Account, in[0].WABA)
			}
		}
	}},
	{"webhooks come for numbers that are nobody's yet", func(t *testing.T, e *engine) {
		if status := e.post("acme-app", "secret-of-acme", waText("555", "444", "4915550104006", "wamid.TRAP06", "hello")); status != 200 {
			t.Errorf("status %d", status)
		}
		if _, events := get(t, "http://"+e.api+"/v1/events?limit=1000", "key-of-acme"); strings.Contains(events, "wamid.TRAP06") {
			t.Error("a tenant was guessed")
		}
	}},
	{"statuses come in any order, leave some out, fail after sent, and know played", func(t *testing.T, e *engine) {
		for mask, want := range map[chat.Status]chat.Status{
			chat.StatusRead | chat.StatusSent:                             chat.StatusRead,
			chat.StatusSent | chat.StatusFailed:                           chat.StatusFailed,
			chat.StatusDelivered | chat.StatusFailed:                      chat.StatusDelivered,
			chat.StatusPlayed | chat.StatusRead | chat.StatusDelivered:    chat.StatusPlayed,
			chat.StatusSent | chat.StatusDeleted | chat.StatusWarning:     chat.StatusSent,
			chat.StatusAccepted | chat.StatusFailed | chat.StatusAccepted: chat.StatusFailed,
		} {
			if got := mask.Effective(); got != want {
				t.Errorf("%b is %s, want %s", mask, got, want)
			}
		}
	}},
	{"the window does not depend on the conversation that a status names", func(t *testing.T, e *engine) {
		c := chat.Conversation{WindowFrom: trapNow}
		c.Apply(chat.Event{Kind: chat.StatusChanged, Time: trapNow.Add(time.Hour), Status: &chat.StatusChange{Status: chat.StatusSent,
			Content: &chat.Content{Pricing: &chat.Pricing{Conversation: "later"}}}})
		if !c.WindowFrom.Equal(trapNow) {
			t.Error("a status moved the window")
		}
	}},
	{"a customer may have no phone number", func(t *testing.T, e *engine) {
		for _, body := range []string{
			`{"from_user_id":"DE.1a2b3c4d5e6f","id":"a","timestamp":"1790000000","type":"text","text":{"body":"x"}}`,
			`{"from":"DE.1a2b3c4d5e6f","id":"a","timestamp":"1790000000","type":"text","text":{"body":"x"}}`,
		} {
			in := decoded(t, trapValue(`"messages":[`+body+`]`))
			if len(in) != 1 || in[0].Problem != "" || len(in[0].Customer) != 1 || in[0].Customer[0] != (chat.Address{Kind: chat.BSUID, Value: "DE.1a2b3c4d5e6f"}) {
				t.Errorf("%+v", in)
			}
		}
	}},
	{"one mobile number has two spellings, a landline has not", func(t *testing.T, e *engine) {
		for _, c := range []struct {
			a, b string
			same bool
		}{
			{"5511987654321", "551187654321", true},
			{"551132654321", "5511932654321", false},
			{"5215512345678", "525512345678", true},
			{"5491123456789", "541123456789", true},
			{"4915550104010", "4915550104011", false},
		} {
			if got := chat.SameNumber(c.a, c.b); got != c.same {
				t.Errorf("%s and %s: %v", c.a, c.b, got)
			}
		}
	}},
	{"contacts do not stand beside their messages, and may be missing", func(t *testing.T, e *engine) {
		in := decoded(t, trapValue(`"contacts":[{"wa_id":"222","profile":{"name":"Bo"}},{"wa_id":"111","profile":{}}],"messages":[`+
			`{"from":"111","id":"a","timestamp":"1790000000","type":"text","text":{"body":"x"}},`+
			`{"from":"222","id":"b","timestamp":"1790000000","type":"text","text":{"body":"y"}},`+
			`{"from":"333","id":"c","timestamp":"1790000000","type":"text","text":{"body":"z"}}]`))
		if len(in) != 3 || in[0].Name != "" || in[1].Name != "Bo" || in[2].Name != "" {
			t.Errorf("%+v", in)
		}
	}},
	{"a reaction is taken off with an empty emoji or none; a button may quote nothing", func(t *testing.T, e *engine) {
		for _, emoji := range []string{``, `,"emoji":""`} {
			in := decoded(t, trapValue(`"messages":[`+trapMessage("a", `"type":"reaction","reaction":{"message_id":"m"`+emoji+`}`)+`]`))
			if r := in[0].Content.Reaction; r == nil || r.Target != "m" || r.Emoji != "" {
				t.Errorf("%+v", r)
			}
		}
		in := decoded(t, trapValue(`"messages":[`+trapMessage("a", `"type":"button","button":{"payload":"p","text":"Yes"}`)+`]`))
		if c := in[0].Content.Choice; c == nil || c.ID != "p" || in[0].Text != "Yes" {
			t.Errorf("%+v", in[0])
		}
	}},
	{"what a form holds is a text of JSON, of any kind", func(t *testing.T, e *engine) {
		for response, token := range map[string]string{`{\"flow_token\":\"f\"}`: "f", `[1]`: "", `{}`: ""} {
			in := decoded(t, trapValue(`"messages":[`+trapMessage("a", `"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"response_json":"`+response+`"}}`)+`]`))
			if f := in[0].Content.Form; f == nil || f.Token != token || f.Response == "" {
				t.Errorf("%s: %+v", response, f)
			}
		}
	}},
	{"an interactive answer may be empty, with the reason beside the messages", func(t *testing.T, e *engine) {
		in := decoded(t, trapValue(`"messages":[`+trapMessage("a", `"type":"interactive"`)+`],"errors":[{"code":131000,"title":"Something went wrong"}]`))
		message := slices.IndexFunc(in, func(i chat.Inbound) bool { return i.Kind == chat.InboundMessage && i.Problem == "" })
		if len(in) < 2 || message < 0 {
			t.Errorf("%+v", in)
		}
	}},
	{"ids come as numbers beyond what a float holds", func(t *testing.T, e *engine) {
		in := decoded(t, `{"object":"whatsapp_business_account","entry":[{"id":"9","changes":[{"field":"message_template_status_update","value":`+
			`{"event":"PAUSED","message_template_id":1689556908129832,"message_template_name":"hello","message_template_language":"de"}}]}]}`)
		if c := in[0].Content.Template; c == nil || c.ID != "1689556908129832" || c.Status != "PAUSED" {
			t.Errorf("%+v", c)
		}
	}},
	{"timestamps are seconds or milliseconds, texts or numbers", func(t *testing.T, e *engine) {
		want := time.Unix(1_790_000_000, 0).UTC()
		for _, body := range []string{
			trapValue(`"messages":[` + trapMessage("a", `"type":"text","text":{"body":"x"}`) + `]`),
			trapValue(`"messages":[{"from":"111","id":"a","timestamp":1790000000,"type":"text","text":{"body":"x"}}]`),
			trapDirect(`"timestamp":1790000000000,"message":{"mid":"a","text":"x"}`),
			trapDirect(`"timestamp":"1790000000","message":{"mid":"a","text":"x"}`),
		} {
			if in := decoded(t, body); !in[0].Time.Equal(want) {
				t.Errorf("%s: %s", body, in[0].Time)
			}
		}
	}},
	{"a time ahead of ours opens no longer window, and old news is not answered", func(t *testing.T, e *engine) {
		w := newTrapWorld(chat.WhatsApp)
		w.do(w.message("a", "hello", trapNow.Add(20*time.Hour)))
		if !w.state.WindowFrom.Equal(trapNow) {
			t.Errorf("the window counts from %s", w.state.WindowFrom)
		}
		w = newTrapWorld(chat.WhatsApp)
		w.do(w.message("a", "hello", trapNow.Add(-6*24*time.Hour)))
		if w.state.Turn.Phase != chat.TurnNone || w.state.Holder == chat.HolderAssistant {
			t.Error("a message of last week is answered by the assistant")
		}
	}},
	{"an echo of the business is no message of a customer", func(t *testing.T, e *engine) {
		for _, item := range []string{
			`"sender":{"id":"17840"},"recipient":{"id":"7001"},"timestamp":1790000000000,"message":{"mid":"a","text":"x","is_echo":true}`,
			`"sender":{"id":"17840"},"recipient":{"id":"7001"},"timestamp":1790000000000,"message":{"mid":"a","text":"x"}`,
			`"sender":{"id":"17840"},"recipient":{"id":"17840"},"timestamp":1790000000000,"message":{"mid":"a","text":"x","is_echo":true,"is_self":true}`,
		} {
			for _, place := range []string{`"messaging":[{` + item + `}]`, `"changes":[{"field":"message_echoes","value":{` + item + `}}]`} {
				in := decoded(t, `{"object":"instagram","entry":[{"id":"17840","time":1790000000000,`+place+`}]}`)
				if len(in) != 1 || in[0].Kind == chat.InboundMessage {
					t.Errorf("%s: %+v", place, in)
				}
			}
		}
	}},
	{"the echo of a send may come before the answer to it", func(t *testing.T, e *engine) {
		w := newTrapWorld(chat.Instagram)
		w.do(w.message("a", "hello", trapNow))
		id := w.do(chat.MemberSend{Text: "hi there", Member: "k"}).Verdict.Message
		w.do(chat.AttemptDue{Message: id})
		d := w.do(&chat.Inbound{Kind: chat.InboundEcho, ChannelKind: chat.Instagram, Remote: "echo", Type: "text", Text: "hi there", Customer: w.customer(), Time: trapNow})
		for _, ev := range d.Events {
			if ev.Kind == chat.MessageEchoed || ev.Kind == chat.HandoffTaken {
				t.Errorf("its own message was taken for a person's: %s", ev.Kind)
			}
		}
		if w.state.Entry(id) != nil {
			t.Error("the send is still owed")
		}
	}},
	{"a withdrawal has the id of its message", func(t *testing.T, e *engine) {
		message := decoded(t, trapDirect(`"timestamp":1790000000000,"message":{"mid":"a","text":"x"}`))[0]
		gone := decoded(t, trapDirect(`"timestamp":1790000000001,"message":{"mid":"a","is_deleted":true}`))[0]
		if gone.Remote != message.Remote || gone.Revision == message.Revision || gone.Content.Revoke == nil {
			t.Errorf("%+v", gone)
		}
	}},
	{"Instagram counts bytes, WhatsApp characters", func(t *testing.T, e *engine) {
		for _, c := range []struct {
			kind chat.ChannelKind
			text string
			fits bool
		}{
			{chat.Instagram, strings.Repeat("é", 500), true}, {chat.Instagram, strings.Repeat("é", 501), false},
			{chat.WhatsApp, strings.Repeat("é", 4096), true}, {chat.WhatsApp, strings.Repeat("é", 4097), false},
		} {
			if got := chat.FitsText(c.kind, c.text); got != c.fits {
				t.Errorf("%s, %d bytes: %v", c.kind, len(c.text), got)
			}
		}
	}},
	{"a story or a share may have no file, and its link is no file's", func(t *testing.T, e *engine) {
		in := decoded(t, trapDirect(`"timestamp":1790000000000,"message":{"mid":"a","attachments":[{"type":"ephemeral"},{"type":"ig_reel","payload":{"url":"https://www.instagram.com/reel/x/"}}]}`))
		if len(in) != 1 || in[0].Problem != "" || len(in[0].Content.Media) != 2 {
			t.Errorf("%+v", in)
		}
	}},
	{"the link of a file comes from outside: the token goes nowhere else", func(t *testing.T, e *engine) {
		var asked atomic.Int64
		foreign := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		defer foreign.Close()
		graph := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"url":%q,"mime_type":"image/png","file_size":"3"}`, strings.Replace(foreign.URL, "127.0.0.1", "localhost", 1)+"/x")
		}))
		defer graph.Close()
		body, _, err := trapClient(t, graph.URL).OpenMedia(t.Context(), trapChannel(chat.WhatsApp), chat.Media{Kind: "image", ID: "5", MIME: "image/png"})
		if err == nil {
			_ = body.Close()
		}
		if err == nil || asked.Load() != 0 {
			t.Errorf("%v, and the foreign host was asked %d times", err, asked.Load())
		}
	}},
	{"a file that Meta cannot fetch fails after its send was accepted", func(t *testing.T, e *engine) {
		w := newTrapWorld(chat.WhatsApp)
		w.do(w.message("a", "hello", trapNow))
		id := w.do(chat.MemberSend{Text: "hi", Member: "k"}).Verdict.Message
		w.do(chat.AttemptDue{Message: id})
		w.do(chat.AttemptFinished{Message: id, N: 1, Outcome: chat.SendOutcome{Result: chat.SendAccepted, Remote: "out"}})
		d := w.do(&chat.Inbound{Kind: chat.InboundStatus, ChannelKind: chat.WhatsApp, Remote: "out", Type: "failed", Code: 131053, Customer: w.customer(), Callback: string(id), Time: trapNow})
		if !slices.ContainsFunc(d.Events, func(ev chat.Event) bool { return ev.Kind == chat.HandoffRequested }) {
			t.Error("nobody is told")
		}
	}},
	{"a send without an answer may have gone and is not simply repeated", func(t *testing.T, e *engine) {
		var requests atomic.Int64
		graph := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}))
		defer graph.Close()
		o := trapClient(t, graph.URL).Send(t.Context(), trapText(chat.WhatsApp))
		if o.Result != chat.SendAmbiguous || requests.Load() != 1 {
			t.Errorf("%+v after %d requests", o, requests.Load())
		}
	}},
	{"the pair limit is one person's, the throughput the number's", func(t *testing.T, e *engine) {
		pair, _ := meta.Classify(chat.WhatsApp, 131056, 0)
		number, _ := meta.Classify(chat.WhatsApp, 130429, 0)
		if pair.Hold.Channels() || number.Hold != chat.HoldChannel {
			t.Errorf("holds %v and %v", pair.Hold, number.Hold)
		}
	}},
	{"errors are told by their code, under any HTTP status, in any language", func(t *testing.T, e *engine) {
		for _, status := range []int{200, 400, 403, 429, 500} {
			graph := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"error":{"message":"Este mensaje se envía fuera del plazo","code":10,"error_subcode":2534022}}`)
			}))
			o := trapClient(t, graph.URL).Send(t.Context(), trapText(chat.Instagram))
			graph.Close()
			if o.Result != chat.SendRefused || o.Reason != "window_closed" {
				t.Errorf("%d: %+v", status, o)
			}
		}
	}},
	{"customers opt out by a setting and by refusal, not only by a word", func(t *testing.T, e *engine) {
		in := decoded(t, `{"object":"whatsapp_business_account","entry":[{"id":"9","changes":[{"field":"user_preferences","value":{"metadata":{"phone_number_id":"77"},`+
			`"user_preferences":[{"wa_id":"111","category":"marketing_messages","value":"stop","timestamp":1790000000}]}}]}]}`)
		if len(in) != 1 || in[0].Content.Consent == nil || in[0].Content.Consent.Given {
			t.Fatalf("%+v", in)
		}
		w := newTrapWorld(chat.WhatsApp)
		w.do(w.message("a", "hello", trapNow))
		id := w.do(chat.MemberSend{Text: "hi", Member: "k"}).Verdict.Message
		w.do(chat.AttemptDue{Message: id})
		w.do(chat.AttemptFinished{Message: id, N: 1, Outcome: chat.SendOutcome{Result: chat.SendRefused, Code: 131050, Reason: "opted_out"}})
		if w.contact.Allows(chat.ConsentMarketing) {
			t.Error("a refusal for an opt-out is not remembered")
		}
	}},
	{"a person may answer in the app, and its history floods in", func(t *testing.T, e *engine) {
		echo := decoded(t, `{"object":"whatsapp_business_account","entry":[{"id":"9","changes":[{"field":"smb_message_echoes","value":{"metadata":{"phone_number_id":"77"},`+
			`"message_echoes":[{"from":"15550104029","to":"111","id":"a","timestamp":"1790000000","type":"text","text":{"body":"I am here"}}]}}]}]}`)
		if len(echo) != 1 || echo[0].Kind != chat.InboundEcho {
			t.Errorf("%+v", echo)
		}
		past := decoded(t, `{"object":"whatsapp_business_account","entry":[{"id":"9","changes":[{"field":"history","value":{"metadata":{"phone_number_id":"77","display_phone_number":"15550104029"},`+
			`"history":[{"metadata":{"phase":0,"chunk_order":1,"progress":50},"threads":[{"id":"111","messages":[{"from":"111","id":"h1","timestamp":"1780000000","type":"text","text":{"body":"long ago"},"history_context":{"status":"READ"}}]}]}]}}]}]}`)
		at := slices.IndexFunc(past, func(i chat.Inbound) bool { return i.Remote == "h1" })
		if at < 0 || past[at].Kind != chat.InboundImport {
			t.Fatalf("%+v", past)
		}
		w := newTrapWorld(chat.WhatsApp)
		w.do(&past[at])
		if w.state.Turn.Phase != chat.TurnNone || w.state.Unread != 0 || !w.state.WindowFrom.IsZero() {
			t.Errorf("history has an effect: %+v", w.state)
		}
	}},
	{"what is said in a group is not answered in private", func(t *testing.T, e *engine) {
		in := decoded(t, trapValue(`"messages":[`+trapMessage("a", `"type":"text","group_id":"g1","text":{"body":"hello all"}`)+`]`))
		if in[0].Group != "g1" {
			t.Fatalf("%+v", in[0])
		}
		w := newTrapWorld(chat.WhatsApp)
		w.do(&in[0])
		if w.state.Turn.Phase != chat.TurnNone || w.state.Window().Open(trapNow) {
			t.Error("a message of a group starts a private turn or opens a private window")
		}
	}},
	{"who gives a sign-up code also names the account: the token must grant it", func(t *testing.T, e *engine) {
		graph := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/debug_token") {
				_, _ = io.WriteString(w, `{"data":{"is_valid":true,"scopes":["whatsapp_business_messaging"],"granular_scopes":[{"scope":"whatsapp_business_messaging","target_ids":["1"]}]}}`)
				return
			}
			_, _ = io.WriteString(w, `{"data":[{"id":"77"}]}`)
		}))
		defer graph.Close()
		ch := trapChannel(chat.WhatsApp)
		ch.Account, ch.WABA = "77", "2"
		if _, err := trapClient(t, graph.URL).Identify(t.Context(), ch); err == nil {
			t.Error("an account that the token does not grant was accepted")
		}
	}},
	{"an Instagram token is replaced between a day after its birth and its end", func(t *testing.T, e *engine) {
		born := trapNow
		s := chat.ChannelState{Checked: born, TokenIssued: born, TokenExpires: born.Add(60 * 24 * time.Hour)}
		for day, want := range map[int]bool{0: false, 10: false, 35: true, 59: true, 61: false} {
			if got := s.Duties(chat.Instagram, false, born.Add(time.Duration(day)*24*time.Hour))&chat.DutyRefresh != 0; got != want {
				t.Errorf("day %d: %v, want %v", day, got, want)
			}
		}
	}},
	{"the next page's address holds the token", func(t *testing.T, e *engine) {
		graph := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("after") == "" {
				_, _ = fmt.Fprintf(w, `{"data":[],"paging":{"cursors":{"after":"c"},"next":"https://graph.example/?access_token=very-secret&after=c"}}`)
				return
			}
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"error":{"message":"Bad very-secret","code":100}}`)
		}))
		defer graph.Close()
		_, err := trapClient(t, graph.URL).Templates(t.Context(), trapChannel(chat.WhatsApp))
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(fmt.Sprintf("%+v", err), "secret") {
			t.Errorf("%v", err)
		}
	}},
	{"another app on the account answers too: its message is a person's", func(t *testing.T, e *engine) {
		w := newTrapWorld(chat.Instagram)
		w.do(w.message("a", "hello", trapNow))
		w.do(&chat.Inbound{Kind: chat.InboundEcho, ChannelKind: chat.Instagram, Remote: "other", Type: "text", Text: "I answered", Customer: w.customer(), Time: trapNow})
		if w.state.Holder == chat.HolderAssistant {
			t.Error("both answer")
		}
	}},
	{"repetitions come for a week, in floods", func(t *testing.T, e *engine) {
		if chat.ClaimDays < 8 {
			t.Errorf("claims are kept for %d days", chat.ClaimDays)
		}
		body := waText(trapAccount, trapWABA, "4915550104035", "wamid.TRAP35", "again")
		for range 20 {
			if status := e.post("acme-app", "secret-of-acme", body); status != 200 {
				t.Fatalf("status %d", status)
			}
		}
		_, events := get(t, "http://"+e.api+"/v1/events?limit=1000", "key-of-acme")
		if n := strings.Count(events, `"remote_id":"wamid.TRAP35"`); n != 1 {
			t.Errorf("stored %d times", n)
		}
	}},
	{"each app has its own verify tokens, one for each override, and the challenge is the whole answer", func(t *testing.T, e *engine) {
		if exit := run(t.Context(), []string{"app", "verify-add", "--app", "acme-app", "--ops-addr", e.ops},
			[]string{"CHUMI_VERIFY_TOKEN=token-of-a-number"}, io.Discard, io.Discard); exit != exitOK {
			t.Errorf("verify-add exited %d", exit)
		}
		for token, want := range map[string]int{"token-of-acme": 200, "token-of-a-number": 200, "token-of-bolt": 403, "": 403} {
			status, body := get(t, "http://"+e.edge+"/hooks/acme-app?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="+token, "")
			if status != want || status == 200 && body != "1158201444" {
				t.Errorf("%q: %d %q", token, status, body)
			}
		}
	}},
	{"a tier is a number or a word", func(t *testing.T, e *engine) {
		for _, tier := range []string{`2000`, `"TIER_2K"`} {
			in := decoded(t, `{"object":"whatsapp_business_account","entry":[{"id":"9","changes":[{"field":"business_capability_update","value":{"max_daily_conversations_per_business":`+tier+`}}]}]}`)
			if s := in[0].Content.Standing; s == nil || s.Tier != "TIER_2K" {
				t.Errorf("%s: %+v", tier, s)
			}
		}
	}},
	{"Meta's own samples have parts in the wrong place", func(t *testing.T, e *engine) {
		for _, body := range []string{
			`{"entry":[{"id":"9","changes":[{"value":{"event":"PARTNER_APP_INSTALLED"},"field":"account_update"}]}],"object":"whatsapp_business_account"}`,
			`{"field":"account_update","value":{"event":"PARTNER_APP_INSTALLED","waba_info":{"waba_id":"9"}}}`,
		} {
			in := decoded(t, body)
			if len(in) != 1 || in[0].Type != "account_update" || in[0].WABA != "9" || in[0].Problem != "" {
				t.Errorf("%s: %+v", body, in)
			}
		}
	}},
	{"marking one message read marks all before it: only what is taken up is marked", func(t *testing.T, e *engine) {
		w := newTrapWorld(chat.WhatsApp)
		w.do(w.message("a", "hello", trapNow))
		w.do(chat.TakeOver{Member: "k"})
		w.now = w.now.Add(time.Minute)
		if d := w.do(chat.Tick{}); len(w.state.Outbox) != 0 || slices.ContainsFunc(d.Effects, startsTurn) {
			t.Error("a turn starts in a conversation that a person holds")
		}
	}},
	{"typing marks as read, and is for messages that will be answered", func(t *testing.T, e *engine) {
		w := newTrapWorld(chat.WhatsApp)
		if d := w.do(w.message("a", "hello", trapNow)); slices.ContainsFunc(d.Effects, startsTurn) {
			t.Error("typing is shown before the customer has paused")
		}
		w.now = w.now.Add(time.Minute)
		if d := w.do(chat.Tick{}); !slices.ContainsFunc(d.Effects, startsTurn) {
			t.Error("no turn starts, and with it no typing")
		}
	}},
}

// startsTurn reports whether an effect begins a model call, and with it the typing
// sign and the read mark.
func startsTurn(e chat.Effect) bool {
	_, ok := e.(chat.StartTurn)
	return ok
}

func TestTraps_EveryRow(t *testing.T) {
	if len(traps) != 40 {
		t.Errorf("%d rows, want 40", len(traps))
	}
	_, args := outside(t)
	e := startEngine(t, t.TempDir(), write(t, "b.yaml", twoTenants), args...)
	for i, row := range traps {
		t.Run(fmt.Sprintf("%02d", i+1), func(t *testing.T) {
			t.Log(row.trap)
			row.check(t, e)
		})
	}
}

const (
	trapAccount = "106000000000001"
	trapWABA    = "102000000000001"
)

var trapNow = time.Unix(1_790_000_000, 0).UTC()

func decoded(t *testing.T, body string) []chat.Inbound {
	t.Helper()
	if !json.Valid([]byte(body)) {
		t.Fatalf("the row's body is not JSON: %s", body)
	}
	list, err := meta.Decode("app", []byte(body))
	if err != nil || len(list) == 0 {
		t.Fatalf("%d updates, %v", len(list), err)
	}
	return list
}

// trapValue is a webhook with one messages value, trapMessage one message in it.
func trapValue(members string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"9","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"77"},` + members + `}}]}]}`
}

func trapMessage(id, members string) string {
	return `{"from":"4915550104000","id":"` + id + `","timestamp":"1790000000",` + members + `}`
}

// trapDirect is a webhook with one Instagram item.
func trapDirect(members string) string {
	return `{"object":"instagram","entry":[{"id":"17840","time":1790000000000,"messaging":[{"sender":{"id":"7001"},"recipient":{"id":"17840"},` + members + `}]}]}`
}

func trapChannel(kind chat.ChannelKind) chat.Channel {
	return chat.Channel{ID: "c", Tenant: "acme", App: "app", Kind: kind, Account: "77", WABA: "9", Token: "very-secret"}
}

func trapText(kind chat.ChannelKind) chat.Outbound {
	to := chat.Address{Kind: chat.WaID, Value: "4915550104000"}
	if kind == chat.Instagram {
		to = chat.Address{Kind: chat.IGSID, Value: "7001"}
	}
	return chat.Outbound{Channel: trapChannel(kind), To: to, Message: "msg_1", Type: chat.TypeText, Text: "hello"}
}

// trapClient is a Graph client that knows one server.
func trapClient(t *testing.T, url string) *meta.Client {
	t.Helper()
	c, err := meta.NewClient(meta.Options{GraphURL: url, InstagramURL: url, HTTPClient: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// trapWorld keeps of one conversation what a store would.
type trapWorld struct {
	now     time.Time
	set     chat.Settings
	state   chat.Conversation
	contact chat.Contact
	rows    map[chat.RemoteID]chat.RemoteRow
}

func newTrapWorld(kind chat.ChannelKind) *trapWorld {
	w := &trapWorld{now: trapNow, rows: map[chat.RemoteID]chat.RemoteRow{},
		state: chat.Conversation{ID: chat.ConversationIDFrom("abcdefghijklmnopqrstuvwxyz"), Tenant: "acme", Channel: "c", Kind: kind}}
	w.set.Assistant = true
	w.set.EnsureDefaults()
	return w
}

func (w *trapWorld) customer() []chat.Address {
	return []chat.Address{trapText(w.state.Kind).To}
}

func (w *trapWorld) message(id chat.RemoteID, text string, at time.Time) *chat.Inbound {
	return &chat.Inbound{Kind: chat.InboundMessage, ChannelKind: w.state.Kind, Remote: id, Type: chat.TypeText, Text: text, Customer: w.customer(), Time: at}
}

// do decides about a fact and keeps what follows.
func (w *trapWorld) do(f chat.Fact) chat.Decision {
	k := chat.Known{Contact: w.contact, Place: chat.Place{Conversation: w.state.ID, Contact: "ct_1", Found: w.state.Seq > 0}}
	if in, ok := f.(*chat.Inbound); ok {
		k.Row, k.RowFound = w.rows[in.Remote]
		if w.state.Seq == 0 {
			k.Place.Missing = in.Customer
		}
	}
	d := chat.Step(&w.state, chat.Input{Now: w.now, Epoch: 1, Settings: &w.set, Known: k, Fact: f})
	for _, e := range d.Events {
		w.state.Apply(e)
	}
	for _, r := range d.Rows {
		w.rows[r.Remote] = r
	}
	if d.Contact != nil {
		w.contact = *d.Contact
	}
	w.state.Armed = d.Due
	return d
}
