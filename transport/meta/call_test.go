package meta

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// script answers requests one after the other and remembers them.
func script(t *testing.T, answers ...string) (c *Client, seen *[]*http.Request) {
	t.Helper()
	var n atomic.Int32
	seen = new([]*http.Request)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		*seen = append(*seen, r)
		i := int(n.Add(1)) - 1
		if i >= len(answers) {
			t.Errorf("request %d: %s", i+1, r.URL.Path)
			return
		}
		status, body2, _ := strings.Cut(answers[i], " ")
		if status == "500" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, body2)
	})
	return newClient(t, address), seen
}

func get(path string) call {
	return call{op: "test", method: http.MethodGet, kind: chat.WhatsApp, app: "app", path: path, token: testToken}
}

func TestCall_Request(t *testing.T) {
	c, seen := script(t, `200 {"id":"7"}`, `200 {"success":true}`, `200 {"success":true}`, `200 []`)
	var got struct{ ID string }
	q := get(join("70/01", "phone_numbers"))
	q.query = url.Values{"fields": {"id,name"}}
	if err := c.call(context.Background(), q, &got); err != nil || got.ID != "7" {
		t.Fatalf("%+v, %v", got, err)
	}
	r := (*seen)[0]
	if want := "/v25.0/70%2F01/phone_numbers?appsecret_proof=" + proofOf(testSecret, testToken) + "&fields=id%2Cname"; r.RequestURI != want {
		t.Errorf("asked for %s, want %s", r.RequestURI, want)
	}
	if h := r.Header.Get("Authorization"); h != "Bearer "+testToken {
		t.Errorf("Authorization is %q", h)
	}
	form := call{op: "test", method: http.MethodPost, kind: chat.Instagram, app: "app", path: "5001/subscribed_apps",
		token: testToken, form: url.Values{"subscribed_fields": {"messages"}}}
	if err := c.call(context.Background(), form, nil); err != nil {
		t.Fatal(err)
	}
	r = (*seen)[1]
	body, _ := io.ReadAll(r.Body)
	if r.RequestURI != "/ig/v25.0/5001/subscribed_apps" || string(body) != "subscribed_fields=messages" ||
		r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("%s %s %v", r.RequestURI, body, r.Header)
	}
	bare := call{op: "test", method: http.MethodPost, kind: chat.Instagram, path: "refresh_access_token", bare: true, json: map[string]string{"pin": "1"}}
	if err := c.call(context.Background(), bare, nil); err != nil {
		t.Fatal(err)
	}
	r = (*seen)[2]
	body, _ = io.ReadAll(r.Body)
	if r.RequestURI != "/ig/refresh_access_token" || string(body) != `{"pin":"1"}` || r.Header.Get("Authorization") != "" {
		t.Errorf("%s %s %v", r.RequestURI, body, r.Header)
	}
	var list []string
	if err := c.call(context.Background(), get("list"), &list); err != nil {
		t.Error(err)
	}
}

func TestCall_ErrorsByCode(t *testing.T) {
	cases := []struct {
		answer string
		kind   chat.ErrorKind
		reason string
	}{
		{`400 {"error":{"message":"Error validating access token for +49170 at https://x?access_token=token-do-not-print","code":190,"error_subcode":463,"fbtrace_id":"AbC_1-x"}}`, chat.KindConflict, "token_invalid"},
		{`200 {"error":{"code":"100"}}`, chat.KindInvalid, "bad_request"},
		{`200 {"error":{"code":100,"error_subcode":33}}`, chat.KindNotFound, "bad_request"},
		{`200 {"error":{"code":10}}`, chat.KindConflict, "permission_missing"},
		{`200 {"error":{"code":80007}}`, chat.KindBusy, "account_limit"},
		{`200 {"error":{"code":133016}}`, chat.KindConflict, "number_registration"},
		{`200 {"error":{"message":"no code"}}`, chat.KindUnknown, "error_without_code"},
		{`500 {"odd":true}`, chat.KindUnknown, "error_without_code"},
		{`500 <html>`, chat.KindUnknown, "unrecognised_response"},
		{`200 {"error":"words"}`, chat.KindUnknown, "unrecognised_response"},
		{`400 {"error_type":"OAuthException","code":400,"error_message":"Matching code was not found"}`, chat.KindInvalid, "login_refused"},
	}
	for _, tc := range cases {
		c, seen := script(t, tc.answer)
		q := get("x")
		q.method = http.MethodPost
		err := c.call(context.Background(), q, nil)
		g := chat.GraphErrorOf(err)
		if g == nil || chat.KindOf(err) != tc.kind || g.Reason != tc.reason {
			t.Errorf("%s: %v, want %v %s", tc.answer, err, tc.kind, tc.reason)
			continue
		}
		if len(*seen) != 1 {
			t.Errorf("%s: a change was made %d times", tc.answer, len(*seen))
		}
		for _, secret := range []string{"token-do-not-print", "secret-do-not-print", "+49170", "https://"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows %q: %v", secret, err)
			}
		}
	}
	c, _ := script(t, cases[0].answer)
	err := c.call(context.Background(), get("x"), nil)
	if want := "code 190/463"; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "AbC_1-x") {
		t.Errorf("%v, want %s and the trace in it", err, want)
	}
}

// Only a read is repeated, and only where nothing was answered.
func TestCall_RepeatsReads(t *testing.T) {
	c, seen := script(t, `500 <html>`, `200 {"error":{"code":2}}`, `200 {"id":"7"}`)
	var got struct{ ID string }
	if err := c.call(context.Background(), get("x"), &got); err != nil || got.ID != "7" || len(*seen) != 3 {
		t.Errorf("%v after %d requests, %+v", err, len(*seen), got)
	}
	c, seen = script(t, `200 {"error":{"code":190}}`)
	if err := c.call(context.Background(), get("x"), &got); err == nil || len(*seen) != 1 {
		t.Errorf("a refused read: %v after %d requests", err, len(*seen))
	}
	c, seen = script(t, `500 <html>`, `500 <html>`, `500 <html>`)
	if err := c.call(context.Background(), get("x"), &got); chat.KindOf(err) != chat.KindUnavailable || len(*seen) != 3 {
		t.Errorf("%v after %d requests", err, len(*seen))
	}
}

func TestCall_NotRedirected(t *testing.T) {
	var reached atomic.Int32
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusFound)
	}))
	q := get("x")
	q.method = http.MethodDelete
	if err := c.call(context.Background(), q, nil); err == nil || reached.Load() != 0 {
		t.Errorf("%v; %d requests elsewhere", err, reached.Load())
	}
}

// Trap 33: paging.next holds the token. The cursor is used, and a list ends where
// next is missing, not where a page is short.
func TestCall_Pages(t *testing.T) {
	c, seen := script(t,
		`200 {"data":[1,2],"paging":{"cursors":{"after":"A"},"next":"https://graph/?access_token=token-do-not-print"}}`,
		`200 {"data":[],"paging":{"cursors":{"after":"B"},"next":"https://graph/?access_token=token-do-not-print"}}`,
		`200 {"data":[3],"paging":{"cursors":{"after":"C"}}}`)
	var got []int
	err := c.pages(context.Background(), get("list"), func(data json.RawMessage) error {
		var part []int
		err := json.Unmarshal(data, &part)
		got = append(got, part...)
		return err
	})
	if err != nil || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
	for i, want := range []string{"", "A", "B"} {
		if r := (*seen)[i]; r.URL.Query().Get("after") != want || strings.Contains(r.RequestURI, testToken) {
			t.Errorf("page %d: %s", i+1, r.RequestURI)
		}
	}
}

// A quota that is used up stops management calls without a request.
func TestCall_RespectsUsage(t *testing.T) {
	var requests atomic.Int32
	headers := http.Header{}
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		for k, v := range headers {
			w.Header()[k] = v
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	now := time.Unix(1_790_000_000, 0)
	c.usage.now = func() time.Time { return now }
	ask := func(app chat.AppID, token chat.Secret) error {
		q := get("x")
		q.app, q.token = app, token
		return c.call(context.Background(), q, nil)
	}
	headers.Set("X-Business-Use-Case-Usage", `{"9001":[{"type":"whatsapp","call_count":100,"estimated_time_to_regain_access":4}]}`)
	if err := ask("app", "one"); err != nil {
		t.Fatal(err)
	}
	headers = http.Header{}
	err := ask("app", "one")
	if g := chat.GraphErrorOf(err); chat.KindOf(err) != chat.KindBusy || g == nil || g.RetryAfter != 4*time.Minute || requests.Load() != 1 {
		t.Errorf("%v, %+v after %d requests", err, g, requests.Load())
	}
	if err := ask("app", "two"); err != nil {
		t.Errorf("another account has to wait: %v", err)
	}
	now = now.Add(5 * time.Minute)
	headers.Set("X-App-Usage", `{"call_count":96,"total_time":1,"total_cputime":1}`)
	if err := ask("app", "one"); err != nil {
		t.Fatal(err)
	}
	if err := ask("app", "two"); chat.KindOf(err) != chat.KindBusy {
		t.Errorf("an app at its limit goes on: %v", err)
	}
	if err := ask("other", "two"); err != nil {
		t.Errorf("another app has to wait: %v", err)
	}
}
