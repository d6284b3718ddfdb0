package metasim

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The vector was computed with openssl over the bytes of body:
// printf %s "$body" | openssl dgst -sha256 -hmac lighthouse-secret
func TestSign_Vector(t *testing.T) {
	const body = `{"object":"instagram","note":"caf\u00e9 \ud83d\ude00 a\/b"}`
	const want = "sha256=1bcec44da45da103b3940d1c442ed917fafbe8f97de67f7209ad482f4b77124b"
	if got := Sign("lighthouse-secret", []byte(body)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		`"plain"`:        `"plain"`,
		`"café / 😀"`:     `"caf\u00e9 \/ \ud83d\ude00"`,
		`"already \/ x"`: `"already \/ x"`,
		`"back\\/slash"`: `"back\\\/slash"`,
		`"עברית"`:        `"\u05e2\u05d1\u05e8\u05d9\u05ea"`,
	} {
		got := Escape([]byte(in))
		if string(got) != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
		var a, b any
		if json.Unmarshal([]byte(in), &a) != nil || json.Unmarshal(got, &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s changed its meaning", in)
		}
	}
}

func FuzzEscape_KeepsMeaning(f *testing.F) {
	f.Add("a/b\\/é😀")
	f.Fuzz(func(t *testing.T, s string) {
		in, err := json.Marshal(s)
		if err != nil {
			t.Skip()
		}
		var want, got string
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatal(err)
		}
		out := Escape(in)
		if err := json.Unmarshal(out, &got); err != nil || got != want {
			t.Fatalf("%s became %s: %v", in, out, err)
		}
		for _, c := range out {
			if c >= 0x80 {
				t.Fatalf("%s is not ASCII", out)
			}
		}
	})
}

func TestBody_Golden(t *testing.T) {
	at := time.UnixMilli(1790000000123)
	wa := func(k UpdateKind, id, text string) Update {
		return Update{Kind: k, Account: number, Customer: ada, RemoteID: id, Text: text, At: at}
	}
	ig := func(k UpdateKind, id, text string) Update {
		return Update{Kind: k, Account: gram, Customer: bob, RemoteID: id, Text: text, At: at}
	}
	status := wa(UpdateStatus, "wamid.9", "")
	status.Status, status.Callback = "delivered", "send-1"
	failed := wa(UpdateStatus, "wamid.9", "")
	failed.Status, failed.Code = "failed", 131026
	hidden := wa(UpdateText, "wamid.h", "x")
	hidden.Customer = Customer{UserID: "DE.77", Name: "Eve"}
	const open = `{"object":"whatsapp_business_account","entry":[{"id":"300000000000001","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550199000","phone_number_id":"200000000000001"},`
	const contact = `"contacts":[{"profile":{"name":"Ada"},"wa_id":"15550100001"}],`
	const igOpen = `{"object":"instagram","entry":[{"id":"17840000000000001","time":1790000000123,"messaging":[`
	const igIn = `"recipient":{"id":"17840000000000001"},"sender":{"id":"900000000000001"},"timestamp":1790000000123}`
	for name, c := range map[string]struct {
		in   []Update
		want string
	}{
		"two texts": {[]Update{wa(UpdateText, "wamid.1/", "a/b"), wa(UpdateText, "wamid.2", "é")}, open + contact +
			`"messages":[{"from":"15550100001","id":"wamid.1\/","text":{"body":"a\/b"},"timestamp":"1790000000","type":"text"},` +
			`{"from":"15550100001","id":"wamid.2","text":{"body":"\u00e9"},"timestamp":"1790000000","type":"text"}]},"field":"messages"}]}]}`},
		"status": {[]Update{status}, open + `"statuses":[{"biz_opaque_callback_data":"send-1","id":"wamid.9",` +
			`"pricing":{"billable":false,"category":"service","pricing_model":"PMP","type":"free_customer_service"},` +
			`"recipient_id":"15550100001","status":"delivered","timestamp":"1790000000"}]},"field":"messages"}]}]}`},
		"failed": {[]Update{failed}, open + `"statuses":[{"errors":[{"code":131026,"error_data":{"details":"Message Undeliverable."},"message":"Message undeliverable","title":"Message undeliverable"}],` +
			`"id":"wamid.9","recipient_id":"15550100001","status":"failed","timestamp":"1790000000"}]},"field":"messages"}]}]}`},
		"echo": {[]Update{wa(UpdateEcho, "wamid.3", "ours")}, open + `"message_echoes":[{"from":"15550199000","id":"wamid.3","text":{"body":"ours"},"timestamp":"1790000000","to":"15550100001","type":"text"}]},"field":"smb_message_echoes"}]}]}`},
		"unknown": {[]Update{wa(UpdateUnknown, "wamid.4", "x")}, open + contact +
			`"messages":[{"from":"15550100001","hologram":{"projection":"x"},"id":"wamid.4","timestamp":"1790000000","type":"hologram"}]},"field":"messages"}]}]}`},
		"no number": {[]Update{hidden}, open + `"contacts":[{"profile":{"name":"Eve"},"user_id":"DE.77"}],` +
			`"messages":[{"from_user_id":"DE.77","id":"wamid.h","text":{"body":"x"},"timestamp":"1790000000","type":"text"}]},"field":"messages"}]}]}`},
		"instagram text": {[]Update{ig(UpdateText, "m1", "hi")}, igOpen + `{"message":{"mid":"m1","text":"hi"},` + igIn + `]}]}`},
		"instagram read": {[]Update{ig(UpdateRead, "m1", "")}, igOpen + `{"read":{"mid":"m1"},` + igIn + `]}]}`},
		"instagram echo": {[]Update{ig(UpdateEcho, "m2", "yes")}, igOpen + `{"message":{"is_echo":true,"mid":"m2","text":"yes"},"recipient":{"id":"900000000000001"},"sender":{"id":"17840000000000001"},"timestamp":1790000000123}]}]}`},
	} {
		got, err := Body(c.in...)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s, want\n%s", name, err, got, c.want)
		}
	}
}

func TestBody_KeepsTheOrderOfUpdates(t *testing.T) {
	text := func(id string) Update {
		return Update{Kind: UpdateText, Account: number, Customer: ada, RemoteID: id, Text: "x"}
	}
	status := Update{Kind: UpdateStatus, Account: number, Customer: ada, RemoteID: "s1", Status: "sent"}
	second := number
	second.ID = "200000000000002"
	other := Update{Kind: UpdateText, Account: second, Customer: ada, RemoteID: "o1", Text: "x"}
	got, err := Body(text("t1"), text("t2"), status, text("t3"), other, text("t4"))
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, id := range []string{"t1", "t2", "s1", "t3", "o1", "t4"} {
		at := strings.Index(string(got), `"id":"`+id+`"`)
		if at <= last {
			t.Errorf("%s is out of order in %s", id, got)
		}
		last = at
	}
	if n := strings.Count(string(got), `"changes"`); n != 3 {
		t.Errorf("%d entries", n)
	}
	if n := strings.Count(string(got), `"field"`); n != 5 {
		t.Errorf("%d changes", n)
	}
}

func TestBody_RefusesMixtures(t *testing.T) {
	if _, err := Body(); err == nil {
		t.Error("an empty body")
	}
	if _, err := Body(Update{Kind: UpdateText, Account: number}, Update{Kind: UpdateText, Account: gram}); err == nil {
		t.Error("two products in one body")
	}
	if _, err := Body(Update{Kind: UpdateRead, Account: number}); err == nil {
		t.Error("a read update on WhatsApp")
	}
	if _, err := Body(Update{Kind: UpdateStatus, Account: gram}); err == nil {
		t.Error("a status on Instagram")
	}
}

func TestBody_ImageIsWellFormed(t *testing.T) {
	for _, u := range []Update{
		{Kind: UpdateImage, Account: number, Customer: ada, RemoteID: "wamid.5", Text: "look"},
		{Kind: UpdateImage, Account: gram, Customer: bob, RemoteID: "m5"},
	} {
		got, err := Body(u)
		if err != nil || !json.Valid(got) || !strings.Contains(string(got), `image`) {
			t.Errorf("%v %s", err, got)
		}
	}
}

func TestServer_IdsAreReproducible(t *testing.T) {
	ids := func(seed uint64) [3]string {
		s := New(Options{Seed: seed})
		defer s.Close()
		return [3]string{s.Text(number, ada, "a").RemoteID, s.Text(number, ada, "b").RemoteID, s.Text(gram, bob, "a").RemoteID}
	}
	a := ids(5)
	if a != ids(5) || a == ids(6) || ids(0) == ids(0) {
		t.Error("ids do not follow the seed")
	}
	if a[0] == a[1] {
		t.Error("two messages share an id")
	}
}
