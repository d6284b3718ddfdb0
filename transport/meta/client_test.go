package meta

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

const (
	testToken  = "token-do-not-print"
	testSecret = "secret-do-not-print"
)

func whatsappOut() chat.Outbound {
	return chat.Outbound{
		Channel: chat.Channel{ID: "acme-wa", Tenant: "acme", App: "app", Kind: chat.WhatsApp, Account: "7001", WABA: "9001", Token: testToken},
		To:      chat.Address{Kind: chat.WaID, Value: "491701"},
		Message: "msg_1", Type: chat.TypeText, Text: "hello",
	}
}

func instagramOut() chat.Outbound {
	return chat.Outbound{
		Channel: chat.Channel{ID: "acme-ig", Tenant: "acme", App: "app", Kind: chat.Instagram, Account: "5001", Token: testToken},
		To:      chat.Address{Kind: chat.IGSID, Value: "3001"},
		Message: "msg_2", Type: chat.TypeText, Text: "hello",
	}
}

func newClient(t *testing.T, url string) *Client {
	t.Helper()
	transport := newTransport()
	transport.Proxy = nil
	t.Cleanup(transport.CloseIdleConnections)
	c, err := NewClient(Options{
		GraphURL: url, InstagramURL: url + "/ig/", HTTPClient: &http.Client{Transport: transport},
		AppSecret: func(a chat.AppID) (chat.Secret, bool) { return testSecret, a == "app" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, body)
	}
}

func TestClient_Requests(t *testing.T) {
	reply := whatsappOut()
	reply.ReplyTo = "wamid.Q"
	reply.Text = "a \"quote\" <b> & é 😀\n"
	user := whatsappOut()
	user.To = chat.Address{Kind: chat.BSUID, Value: "DE.123abc"}
	phone := whatsappOut()
	phone.To = chat.Address{Kind: chat.Phone, Value: "+491701"}
	parent := whatsappOut()
	parent.To = chat.Address{Kind: chat.ParentBSUID, Value: "DE.ENT.7"}
	parent.Channel.App = "other"
	odd := whatsappOut()
	odd.Channel.Account = "70/01"
	cases := []struct {
		name, uri string
		out       chat.Outbound
		body      string
	}{
		{"whatsapp text", "/v25.0/7001/messages?appsecret_proof=PROOF", whatsappOut(),
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+491701","type":"text","text":{"body":"hello","preview_url":false},"biz_opaque_callback_data":"msg_1"}`},
		{"whatsapp reply", "/v25.0/7001/messages?appsecret_proof=PROOF", reply,
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+491701","context":{"message_id":"wamid.Q"},"type":"text","text":{"body":"a \"quote\" <b> & é 😀\n","preview_url":false},"biz_opaque_callback_data":"msg_1"}`},
		{"whatsapp user id", "/v25.0/7001/messages?appsecret_proof=PROOF", user,
			`{"messaging_product":"whatsapp","recipient_type":"individual","recipient":"DE.123abc","type":"text","text":{"body":"hello","preview_url":false},"biz_opaque_callback_data":"msg_1"}`},
		{"whatsapp number with plus", "/v25.0/7001/messages?appsecret_proof=PROOF", phone,
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+491701","type":"text","text":{"body":"hello","preview_url":false},"biz_opaque_callback_data":"msg_1"}`},
		{"whatsapp parent id, app without a secret", "/v25.0/7001/messages", parent,
			`{"messaging_product":"whatsapp","recipient_type":"individual","recipient":"DE.ENT.7","type":"text","text":{"body":"hello","preview_url":false},"biz_opaque_callback_data":"msg_1"}`},
		{"an account cannot leave its path", "/v25.0/70%2F01/messages?appsecret_proof=PROOF", odd,
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+491701","type":"text","text":{"body":"hello","preview_url":false},"biz_opaque_callback_data":"msg_1"}`},
		{"instagram text", "/ig/v25.0/5001/messages", instagramOut(), `{"recipient":{"id":"3001"},"message":{"text":"hello"}}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var uri, auth, kind, method string
			var body []byte
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				uri, auth, kind, method = r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), r.Method
				body, _ = io.ReadAll(r.Body)
				_, _ = io.WriteString(w, `{"messages":[{"id":"wamid.1"}],"message_id":"m_1"}`)
			})
			out := newClient(t, url).Send(t.Context(), c.out)
			if out.Result != chat.SendAccepted {
				t.Fatalf("got %+v", out)
			}
			// echo -n token-do-not-print | openssl dgst -sha256 -hmac secret-do-not-print
			want := strings.Replace(c.uri, "PROOF", "550c1bc805c4899923a403e9cb7a900a17b6baba122f13785b792ef82c2a9ebc", 1)
			if uri != want || auth != "Bearer "+testToken || kind != "application/json" || method != http.MethodPost {
				t.Errorf("got %s %s, %s, %s", method, uri, auth, kind)
			}
			var got, wanted any
			if json.Unmarshal(body, &got) != nil || json.Unmarshal([]byte(c.body), &wanted) != nil || fmt.Sprint(got) != fmt.Sprint(wanted) {
				t.Errorf("got  %s\nwant %s", body, c.body)
			}
		})
	}
}

func TestClient_RefusesWhatNoChannelTakes(t *testing.T) {
	var calls atomic.Int64
	url := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	c := newClient(t, url)
	change := func(out chat.Outbound, f func(*chat.Outbound)) chat.Outbound { f(&out); return out }
	cases := []struct {
		reason string
		out    chat.Outbound
	}{
		{"parameter_missing", change(whatsappOut(), func(o *chat.Outbound) { o.Text = " \n" })},
		{"parameter_invalid", change(whatsappOut(), func(o *chat.Outbound) { o.Text = "a\xff" })},
		{"text_too_long", change(whatsappOut(), func(o *chat.Outbound) { o.Text = strings.Repeat("é", chat.WhatsAppTextMax+1) })},
		{"text_too_long", change(instagramOut(), func(o *chat.Outbound) { o.Text = strings.Repeat("é", chat.InstagramTextMax/2+1) })},
		{"no_recipient", change(whatsappOut(), func(o *chat.Outbound) { o.To.Value = "" })},
		{"no_recipient", change(instagramOut(), func(o *chat.Outbound) { o.To.Value = "" })},
		{"type_not_supported", change(whatsappOut(), func(o *chat.Outbound) { o.Type = "hologram" })},
		{"groups_only", change(whatsappOut(), func(o *chat.Outbound) {
			o.Type, o.Content = chat.TypePin, &chat.Content{Offer: &chat.Offer{Pin: &chat.Pin{Type: "pin", Target: "wamid.1", Days: 7}}}
		})},
		{"file_not_uploaded", change(whatsappOut(), func(o *chat.Outbound) {
			o.Type, o.Content = chat.TypeImage, &chat.Content{Media: []chat.Media{{Kind: "image", Blob: "blob_1"}}}
		})},
		{"recipient_not_supported", change(whatsappOut(), func(o *chat.Outbound) { o.To.Kind = chat.Username })},
		{"recipient_not_supported", change(instagramOut(), func(o *chat.Outbound) { o.To.Kind = chat.WaID })},
		{"unknown_channel_kind", change(whatsappOut(), func(o *chat.Outbound) { o.Channel.Kind = 9 })},
	}
	for _, k := range cases {
		if out := c.Send(t.Context(), k.out); out.Result != chat.SendRefused || out.Reason != k.reason {
			t.Errorf("%s: got %+v", k.reason, out)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls were made", calls.Load())
	}
	atLimit := change(whatsappOut(), func(o *chat.Outbound) { o.Text = strings.Repeat("é", chat.WhatsAppTextMax) })
	if out := c.Send(t.Context(), atLimit); out.Reason == "text_too_long" {
		t.Error("a text at the limit is refused")
	}
}

func TestClient_Answers(t *testing.T) {
	const ambiguous = chat.SendAmbiguous
	cases := []struct {
		name   string
		status int
		header string
		body   string
		out    chat.Outbound
		want   chat.SendOutcome
	}{
		{"accepted", 200, "", `{"messaging_product":"whatsapp","contacts":[{"input":"+491701","wa_id":"491701"}],"messages":[{"id":"wamid.1"}]}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendAccepted, Remote: "wamid.1", Reason: "accepted"}},
		{"accepted without wa_id", 200, "", `{"contacts":[{"user_id":"DE.1"}],"messages":[{"id":"wamid.1","message_status":"accepted"}]}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendAccepted, Remote: "wamid.1", Reason: "accepted"}},
		{"accepted on instagram", 200, "", `{"recipient_id":"3001","message_id":"m_1"}`, instagramOut(),
			chat.SendOutcome{Result: chat.SendAccepted, Remote: "m_1", Reason: "accepted"}},
		{"accepted whatever the status", 500, "", `{"messages":[{"id":"wamid.1"}]}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendAccepted, Remote: "wamid.1", Reason: "accepted"}},
		{"throttled at 400", 400, "", `{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,"error_subcode":2494055}}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendThrottled, Code: 130429, Subcode: 2494055, Reason: "number_limit", RetryAfter: pace, Hold: chat.HoldChannel}},
		{"throttled at 200", 200, "", `{"error":{"code":"131056"}}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendThrottled, Code: 131056, Reason: "pair_limit", RetryAfter: pair, Hold: chat.HoldPair}},
		{"throttled with a wish", 429, "Retry-After: 90", `{"error":{"code":80007}}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendThrottled, Code: 80007, Reason: "account_limit", RetryAfter: 90 * time.Second, Hold: chat.HoldAccount}},
		{"throttled with minutes", 429, `X-Business-Use-Case-Usage: {"9001":[{"type":"messaging","estimated_time_to_regain_access":7}]}`, `{"error":{"code":80007}}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendThrottled, Code: 80007, Reason: "account_limit", RetryAfter: 7 * time.Minute, Hold: chat.HoldAccount}},
		{"throttled with an absurd wish", 429, "Retry-After: 999999999", `{"error":{"code":80007}}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendThrottled, Code: 80007, Reason: "account_limit", RetryAfter: time.Hour, Hold: chat.HoldAccount}},
		{"token", 401, "", `{"error":{"code":190,"error_subcode":463}}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendBlocked, Code: 190, Subcode: 463, Reason: "token_invalid"}},
		{"window closed", 403, "", `{"error":{"message":"localised","type":"IGApiException","code":10,"error_subcode":2534022}}`, instagramOut(),
			chat.SendOutcome{Result: chat.SendRefused, Code: 10, Subcode: 2534022, Reason: "window_closed"}},
		{"maybe sent", 500, "", `{"error":{"code":1,"error_subcode":1357046}}`, instagramOut(),
			chat.SendOutcome{Result: ambiguous, Code: 1, Subcode: 1357046, Reason: "meta_unsure"}},
		{"a code of tomorrow", 400, "", `{"error":{"code":777777}}`, whatsappOut(),
			chat.SendOutcome{Result: chat.SendRefused, Code: 777777, Reason: "unknown_error"}},
		{"429 without a code", 429, "", `too many`, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "unrecognised_response"}},
		{"gateway page", 502, "", `<html>Bad Gateway</html>`, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "unrecognised_response"}},
		{"error without code", 500, "", `{"error":{"message":"oops"}}`, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "error_without_code"}},
		{"error with a wordy code", 500, "", `{"error":{"code":"E13"}}`, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "error_without_code"}},
		{"200 without an id", 200, "", `{"messages":[]}`, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "unrecognised_response"}},
		{"200 with an id of the other product", 200, "", `{"message_id":"m_1"}`, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "unrecognised_response"}},
		{"id and error", 200, "", `{"messages":[{"id":"wamid.1"}],"error":{"code":1}}`, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "contradictory_response"}},
		{"nothing", 200, "", ``, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "unrecognised_response"}},
		{"too much", 200, "", `{"messages":[{"id":"wamid.1"}],"x":"` + strings.Repeat("x", responseMax) + `"}`, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "response_cut"}},
		{"too deep", 200, "", strings.Repeat("[", 50_000), whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "unrecognised_response"}},
		{"redirect", 307, "Location: /elsewhere", ``, whatsappOut(), chat.SendOutcome{Result: ambiguous, Reason: "unrecognised_response"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int64
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if key, value, ok := strings.Cut(c.header, ": "); ok {
					w.Header().Set(key, value)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			if got := newClient(t, url).Send(t.Context(), c.out); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if calls.Load() != 1 {
				t.Errorf("%d calls", calls.Load())
			}
		})
	}
}

// TestClient_NoAnswer: what left the process and was not answered may have been
// sent; what had no connection was not.
func TestClient_NoAnswer(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		expect(t, newClient(t, "http://"+l.Addr().String()).Send(t.Context(), whatsappOut()), chat.SendThrottled, "unreachable")
	})
	t.Run("no such host", func(t *testing.T) {
		expect(t, newClient(t, "http://graph.invalid").Send(t.Context(), whatsappOut()), chat.SendThrottled, "unreachable")
	})
	t.Run("a handshake that fails", func(t *testing.T) {
		url := serve(t, answer(`{}`))
		expect(t, newClient(t, strings.Replace(url, "http:", "https:", 1)).Send(t.Context(), whatsappOut()), chat.SendThrottled, "unreachable")
	})
	t.Run("cancelled before it began", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		expect(t, newClient(t, "http://127.0.0.1:1").Send(ctx, whatsappOut()), chat.SendUnstarted, "cancelled")
	})
	t.Run("reset after the request", func(t *testing.T) {
		url := raw(t, func(c net.Conn) { readRequest(c); _ = c.(*net.TCPConn).SetLinger(0) })
		expect(t, newClient(t, url).Send(t.Context(), whatsappOut()), chat.SendAmbiguous, "connection_lost")
	})
	t.Run("closed in the middle of the answer", func(t *testing.T) {
		url := raw(t, func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"messages\":[{\"id\":\"wamid.1\"}]")
		})
		expect(t, newClient(t, url).Send(t.Context(), whatsappOut()), chat.SendAmbiguous, "response_cut")
	})
	t.Run("no answer in time", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		url := raw(t, func(c net.Conn) {
			readRequest(c)
			cancel()
			_, _ = io.Copy(io.Discard, c)
		})
		expect(t, newClient(t, url).Send(ctx, whatsappOut()), chat.SendAmbiguous, "timeout")
	})
}

func expect(t *testing.T, got chat.SendOutcome, result chat.SendResult, reason string) {
	t.Helper()
	if got.Result != result || got.Reason != reason || got.Remote != "" {
		t.Errorf("got %+v", got)
	}
	if result == chat.SendThrottled && got.RetryAfter <= 0 {
		t.Error("throttled without a wait")
	}
}

// raw serves connections by hand; each is closed when serve returns.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

func readRequest(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// TestClient_NeverRepeats: a kept connection that dies under a send must not
// make the HTTP client send it again.
func TestClient_NeverRepeats(t *testing.T) {
	var requests atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if requests.Add(1) == 1 {
			_, _ = io.WriteString(w, `{"messages":[{"id":"wamid.1"}]}`)
			return
		}
		panic(http.ErrAbortHandler) // closes the connection without an answer
	})
	c := newClient(t, url)
	if out := c.Send(t.Context(), whatsappOut()); out.Result != chat.SendAccepted {
		t.Fatalf("got %+v", out)
	}
	if out := c.Send(t.Context(), whatsappOut()); out.Result != chat.SendAmbiguous {
		t.Errorf("got %+v", out)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests for 2 sends", n)
	}
}

func TestClient_RedirectKeepsTheToken(t *testing.T) {
	var stolen atomic.Int64
	thief := serve(t, func(http.ResponseWriter, *http.Request) { stolen.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief, status) })
		if out := newClient(t, url).Send(t.Context(), whatsappOut()); out.Result != chat.SendAmbiguous {
			t.Errorf("%d: got %+v", status, out)
		}
	}
	if stolen.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestClient_Metrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	set := metrics.New(reg)
	url := serve(t, answer(`{"error":{"code":131047}}`))
	c, err := NewClient(Options{GraphURL: url, Metrics: &set.Graph})
	if err != nil {
		t.Fatal(err)
	}
	c.Send(t.Context(), whatsappOut())
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(families)
	for _, want := range []string{
		`name:"chumi_send_attempts_total"`, `label:{name:"channel" value:"whatsapp"} label:{name:"result" value:"refused"} counter:{value:1`,
		`label:{name:"code" value:"131047"} counter:{value:1`,
	} {
		if !strings.Contains(strings.ReplaceAll(got, "  ", " "), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

func TestNewClient_RefusesBadURLs(t *testing.T) {
	for _, u := range []string{"graph.facebook.com", "ftp://x", "https://", "https://x?y=1", "https://user:password@x", ":"} {
		_, err := NewClient(Options{GraphURL: u})
		if chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%s: got %v", u, err)
		}
		if err != nil && strings.Contains(err.Error(), "password") {
			t.Errorf("the error quotes the URL: %v", err)
		}
	}
	if _, err := NewClient(Options{}); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}
