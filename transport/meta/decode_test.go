package meta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metatest"
)

// textBody is the common case, as long as Meta's usually are.
const textBody = `{"object":"whatsapp_business_account","entry":[{"id":"102290129340398001","changes":[{"value":{"messaging_product":"whatsapp",` +
	`"metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922001"},` +
	`"contacts":[{"profile":{"name":"Ada Example"},"wa_id":"16505551234","user_id":"US.13491208655302741918"}],` +
	`"messages":[{"from":"16505551234","from_user_id":"US.13491208655302741918","id":"wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=",` +
	`"timestamp":"1760000001","type":"text","text":{"body":"Hello, do you ship to Lisbon, and what would two of the large mugs in blue cost with delivery?"}}]},"field":"messages"}]}]}`

// TestDecode_OwnsItsResult overwrites the body and uses the pooled parser again:
// nothing that was decoded may change.
func TestDecode_OwnsItsResult(t *testing.T) {
	for _, path := range goldenFiles(t) {
		_, cases := readGolden(t, path)
		for _, c := range cases {
			body := c.Body()
			list, err := Decode("app", body)
			if err != nil {
				continue
			}
			for i := range body {
				body[i] = 'X'
			}
			for range 4 {
				if _, err := Decode("app", []byte(strings.ReplaceAll(textBody, "1", "9"))); err != nil {
					t.Fatal(err)
				}
			}
			if got := show(list, nil); got != c.Want {
				t.Errorf("%s: changed after the body was overwritten\ngot:\n%s\nwant:\n%s", c.Name, got, c.Want)
			}
		}
	}
}

// TestDecode_KeepsRawAsReceived: kept JSON is a part of the body, byte for byte.
func TestDecode_KeepsRawAsReceived(t *testing.T) {
	for _, path := range goldenFiles(t) {
		_, cases := readGolden(t, path)
		for _, c := range cases {
			list, err := Decode("app", c.Body())
			if err != nil {
				continue
			}
			whole := compact(t, c.Body())
			for _, in := range list {
				if in.Raw != nil && !strings.Contains(whole, string(in.Raw)) {
					t.Errorf("%s: raw %s is not in the body", c.Name, in.Raw)
				}
			}
		}
	}
}

func TestDecode_ConcurrentCallsDoNotMix(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			text := fmt.Sprintf("worker %d", g)
			body := string(metatest.Frame("wa-message", `{"from":"491701","id":"wamid.`+text+`","timestamp":"1760000001","type":"text","text":{"body":"`+text+`"}}`))
			for range 300 {
				list, err := Decode("app", []byte(body))
				if err != nil || len(list) != 1 || list[0].Text != text || string(list[0].Remote) != "wamid."+text {
					t.Errorf("got %v, %v", list, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestDecode_PanicCostsOneItem(t *testing.T) {
	d := decoder{app: "app"}
	v := fastjson.MustParse(`[{"id":"good-1"},{"id":"bad"},{"id":"good-2"}]`)
	s := scope{kind: chat.WhatsApp, account: "7001", field: "messages"}
	d.items(&s, v, func(d *decoder, s *scope, v *fastjson.Value) {
		in := d.base(s, chat.InboundMessage)
		in.Remote = chat.RemoteID(idOf(v.Get("id")))
		d.emit(in, nil, false)
		if in.Remote == "bad" {
			panic("a bug")
		}
	})
	got := show(d.out, nil)
	want := "message remote=good-1 on=whatsapp:7001\n" +
		"update type=messages remote=bad on=whatsapp:7001 digest=" + d.out[1].Digest + " problem=\"the decoder panicked\"\n" +
		"  {\"id\":\"bad\"}\nmessage remote=good-2 on=whatsapp:7001"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestDecode_Limits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	entries := func(n int) string {
		return `{"object":"whatsapp_business_account","entry":[` + strings.TrimSuffix(strings.Repeat(`{"id":"1"},`, n), ",") + `]}`
	}
	cases := []struct {
		name, body string
		ok         bool
	}{
		{"depth at the limit", nested(depthMax), true},
		{"depth beyond the limit", nested(depthMax + 1), false},
		{"much deeper than the stack", strings.Repeat(`{"a":`, 500_000), false},
		{"brackets in strings are not depth", `{"hello":"` + strings.Repeat(`[{`, 100) + `"}`, true},
		{"escaped quotes do not end strings", `{"hello":"` + strings.Repeat(`\"[{`, 100) + `\\"}`, true},
		{"brackets behind an escaped backslash are depth", `{"a":"\\","b":` + nested(depthMax) + `}`, false},
		{"a string that never ends", `{"a":"` + strings.Repeat(`[`, 100), false},
		{"wide is not deep", `[` + strings.Repeat(`[],`, 1000) + `[]]`, true},
		{"entries at the limit", entries(entryMax), true},
		{"entries beyond the limit", entries(entryMax + 1), false},
		{"entries beyond the limit in several envelopes", `[` + entries(600) + `,` + entries(600) + `]`, false},
		{"a million values", `[` + strings.Repeat(`0,`, 1_000_000) + `0]`, false},
		{"a million commas in a string", `{"hello":"` + strings.Repeat(`,`, 1_000_000) + `"}`, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode("app", []byte(c.body))
			if (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
			if err != nil && chat.KindOf(err) != chat.KindInvalid {
				t.Errorf("kind is %v", chat.KindOf(err))
			}
		})
	}
}

func TestDecode_ErrorQuotesNothing(t *testing.T) {
	_, err := Decode("app", []byte(`{"text":"my number is 491701"`))
	if err == nil || strings.Contains(err.Error(), "491701") {
		t.Errorf("got %v", err)
	}
}

// TestDecode_LargeBatch decodes what Meta sends after an outage.
func TestDecode_LargeBatch(t *testing.T) {
	var items []string
	for i := range 1000 {
		items = append(items, fmt.Sprintf(`{"from":"4917%07d","id":"wamid.%d","timestamp":"1760000001","type":"text","text":{"body":"%s"}}`, i, i, strings.Repeat("x", 2500)))
	}
	body := metatest.Frame("wa-message", strings.Join(items, ","))
	list, err := Decode("app", body)
	if err != nil || len(list) != 1000 {
		t.Fatalf("%d items, %v", len(list), err)
	}
	for i, in := range list {
		if string(in.Remote) != fmt.Sprintf("wamid.%d", i) || in.Name != "" {
			t.Fatalf("item %d is %s", i, showOne(&in))
		}
	}
}

// TestContactOf_ManyAreFoundAsFewAre: the index that many contacts get finds the
// contact that looking through them finds, for every spelling of a number, and
// neither finds another's.
func TestContactOf_ManyAreFoundAsFewAre(t *testing.T) {
	var p fastjson.Parser
	var list []string
	for i := range 40 {
		list = append(list, fmt.Sprintf(`{"wa_id":"491700%d","user_id":"DE.%d"}`, 100+i, i))
	}
	for _, wa := range []string{"551187654321", "5511987654329", "5215512345678", "525512345670", "5491112345678", "541112345670", "+491799", "DE.33"} {
		list = append(list, `{"wa_id":"`+wa+`"}`, `{"wa_id":"`+wa+`","user_id":"DE.later"}`, `{"user_id":"FR.`+wa+`"}`)
	}
	people := arrayOf(t, &p, "["+strings.Join(list, ",")+"]")
	index := indexOf(people)
	if index == nil || indexOf(people[:scanMax]) != nil {
		t.Fatal("many have no index, or few have one")
	}
	found := 0
	for _, from := range []string{"", "491700100", "+491700139", "491700140", "5511987654321", "551187654329", "525512345678", "5215512345670",
		"541112345678", "5491112345670", "551187654322", "4917", "55", "491799", "DE.33", "DE.7"} {
		for _, user := range []string{"", "DE.5", "DE.later", "FR.551187654321", "DE.nobody"} {
			who := person{from: []byte(from), user: []byte(user)}
			got, want := index.find(who), scan(people, who)
			if got != want {
				t.Errorf("%s %s: the index finds %v, a scan %v", from, user, got, want)
			}
			if want != nil {
				found++
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d were found at all", found)
	}
}

func arrayOf(t *testing.T, p *fastjson.Parser, text string) []*fastjson.Value {
	t.Helper()
	v, err := p.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v.GetArray()
}

func TestDecode_UnusableIDs(t *testing.T) {
	for _, id := range []string{`""`, `null`, `"` + strings.Repeat("x", idMax+1) + `"`, `"a\u0000b"`, `"a\nb"`, "\"\xff\"", `{}`, `true`} {
		list, err := Decode("app", metatest.Frame("wa-message", `{"from":"491701","id":`+id+`,"timestamp":"1760000001","type":"text","text":{"body":"x"}}`))
		if err != nil || len(list) != 1 || list[0].Problem == "" {
			t.Errorf("%.20s: %s", id, show(list, err))
		}
	}
}

// TestDecode_NotStrict: what the parser lets pass and the standard does not is
// readable as text, and a problem where its JSON would have to be kept.
func TestDecode_NotStrict(t *testing.T) {
	list, err := Decode("app", metatest.Frame("wa-message",
		"{\"from\":\"491701\",\"id\":\"w1\",\"timestamp\":\"1760000001\",\"type\":\"text\",\"text\":{\"body\":\"a\tb\xff\"}}"+
			",{\"from\":\"491701\",\"id\":\"w2\",\"timestamp\":\"1760000001\",\"type\":\"location\",\"location\":{\"latitude\":NaN}}"+
			",{\"from\":\"491701\",\"id\":\"w3\",\"timestamp\":\"1760000001\",\"type\":\"image\",\"image\":{\"caption\":\"\x19\\b\"}}"))
	if err != nil || len(list) != 3 {
		t.Fatal(show(list, err))
	}
	if list[0].Text != "a\tb\uFFFD" || list[0].Problem != "" {
		t.Error(showOne(&list[0]))
	}
	for i, remote := range []chat.RemoteID{"w2", "w3"} {
		if in := list[i+1]; in.Problem == "" || in.Kind != chat.InboundUpdate || in.Remote != remote {
			t.Error(showOne(&in))
		}
	}
}

func TestDigest_IgnoresOrderSpaceAndEscapes(t *testing.T) {
	a := digestOf(fastjson.MustParse(`{"a":"x/y","b":[1,{"c":null,"d":"é"}]}`), "s")
	b := digestOf(fastjson.MustParse(`{ "b" : [1, {"d":"\u00e9","c":null}], "a":"x\/y" }`), "s")
	if a != b || len(a) != 32 {
		t.Errorf("%s and %s", a, b)
	}
	for _, other := range []string{`{"a":"x/y","b":[1,{"c":null,"d":"e"}]}`, `{"a":"x/y","b":[{"c":null,"d":"é"},1]}`, `{"a":"x/y"}`} {
		if digestOf(fastjson.MustParse(other), "s") == a {
			t.Errorf("%s has the same digest", other)
		}
	}
	if digestOf(fastjson.MustParse(`{"a":"x/y","b":[1,{"c":null,"d":"é"}]}`), "t") == a {
		t.Error("another scope has the same digest")
	}
}

// TestStatus_DigestIsItsIdentity: the same report again, even with other
// members, has the same digest; another member or word has another.
func TestStatus_DigestIsItsIdentity(t *testing.T) {
	digest := func(item string) string {
		list, err := Decode("app", metatest.Frame("wa-status", item))
		if err != nil || len(list) != 1 || list[0].Kind != chat.InboundStatus {
			t.Fatal(show(list, err))
		}
		return list[0].Digest
	}
	a := digest(`{"id":"w","status":"read","timestamp":"1760000001","recipient_id":"g","recipient_type":"group","recipient_participant_id":"1"}`)
	b := digest(`{"recipient_participant_id":"1","id":"w","status":"read","timestamp":"1760000009","recipient_id":"g","recipient_type":"group","pricing":{}}`)
	c := digest(`{"id":"w","status":"read","timestamp":"1760000001","recipient_id":"g","recipient_type":"group","recipient_participant_id":"2"}`)
	d := digest(`{"id":"w","status":"dreamt_of","timestamp":"1760000001","recipient_id":"491701"}`)
	if a == "" || a != b || a == c || d == "" || d == a {
		t.Errorf("%s %s %s %s", a, b, c, d)
	}
	if e := digest(`{"id":"w","status":"read","timestamp":"1760000001","recipient_id":"491701"}`); e != "" {
		t.Errorf("a plain status has digest %s", e)
	}
}

// TestDigest_TellsNewsFromRepetition: a template is paused and approved again and
// again, in the same words. The time of the notice tells the second pause from a
// repetition of the first.
func TestDigest_TellsNewsFromRepetition(t *testing.T) {
	digest := func(at, value string) string {
		list, err := Decode("app", []byte(`{"object":"whatsapp_business_account","entry":[{"id":"9001","time":`+at+
			`,"changes":[{"field":"message_template_status_update","value":`+value+`}]}]}`))
		if err != nil || len(list) != 1 || list[0].Content == nil {
			t.Fatal(show(list, err))
		}
		return list[0].Digest
	}
	const value = `{"event":"PAUSED","message_template_id":17,"message_template_name":"x"}`
	first := digest("1760000000", value)
	if again := digest("1760000000", `{ "message_template_name":"x", "message_template_id":17, "event":"PAUSED" }`); again != first {
		t.Error("a repetition is taken for news")
	}
	if second := digest("1760003600", value); second == first {
		t.Error("news is taken for a repetition")
	}
}

func FuzzDecode(f *testing.F) {
	for _, path := range goldenFiles(f) {
		_, cases := readGolden(f, path)
		for _, c := range cases {
			f.Add(c.Body())
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		list, err := Decode("app", body)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		borrowed := bytes.Clone(body)
		lent, _ := Decode("app", borrowed)
		clear(borrowed)
		if err != nil && json.Valid(body) && len(body) < 1000 && bytes.Count(body, []byte("[")) < depthMax/2 && bytes.Count(body, []byte("{")) < depthMax/2 {
			t.Fatalf("JSON refused: %v", err)
		}
		again, _ := Decode("app", body)
		if show(list, err) != show(again, err) || show(list, err) != show(lent, err) {
			t.Fatal("decodings differ")
		}
		for _, in := range list {
			if in.Kind < chat.InboundMessage || in.Kind > chat.InboundImport {
				t.Fatalf("kind %d", in.Kind)
			}
			if in.Kind != chat.InboundUpdate && (in.Remote == "" || in.Customer == nil && in.Kind != chat.InboundStatus) {
				t.Fatalf("cannot be placed: %s", showOne(&in))
			}
			if in.Kind == chat.InboundUpdate && in.Digest == "" && (in.Remote == "" || in.Revision == "") && in.Problem == "" {
				t.Fatalf("has no identity: %s", showOne(&in))
			}
			if in.Raw != nil && in.Problem == "" && !json.Valid(in.Raw) {
				t.Fatalf("keeps JSON that is none: %s", in.Raw)
			}
			for _, s := range []string{in.Account, in.WABA, string(in.Remote), in.Type, in.Revision, in.Name, in.Text,
				string(in.ReplyTo), in.Group, in.Callback, in.Detail, in.Participant, in.Digest} {
				if !utf8.ValidString(s) {
					t.Fatalf("not UTF-8: %q", s)
				}
			}
			checkContent(t, in.Content, len(body))
		}
	})
}

// checkContent: a Content is JSON that says all of it, so it holds no broken text
// and no number that JSON does not have, and it is not larger than what it came of.
func checkContent(t *testing.T, c *chat.Content, size int) {
	t.Helper()
	if c == nil {
		return
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	back := new(chat.Content)
	if err := json.Unmarshal(text, back); err != nil || !reflect.DeepEqual(back, c) {
		t.Fatalf("came back otherwise (%v): %s", err, text)
	}
	if string(text) == "{}" {
		t.Fatal("a content that says nothing")
	}
	// JSON may escape a byte to six, and a byte that is no UTF-8 becomes three.
	if len(text) > 512+20*size {
		t.Fatalf("%d bytes of content from %d bytes", len(text), size)
	}
}

func BenchmarkDecode_Text(b *testing.B) {
	body := []byte(textBody)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if list, err := Decode("app", body); err != nil || len(list) != 1 {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode_Status(b *testing.B) {
	body := metatest.Frame("wa-status", `{"id":"wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=","status":"delivered","timestamp":"1760000200","recipient_id":"16505551234","biz_opaque_callback_data":"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa_7","pricing":{"billable":true,"pricing_model":"PMP","category":"service","type":"regular"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if list, err := Decode("app", body); err != nil || len(list) != 1 {
			b.Fatal(err)
		}
	}
}

func TestAccountOf_KeepsABoundedNumber(t *testing.T) {
	var p fastjson.Parser
	for i := range accountsMax + 10 {
		v, err := p.Parse(`"acc` + strconv.Itoa(i) + `"`)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := accountOf(v), "acc"+strconv.Itoa(i); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if n := len(accounts.known); n > accountsMax {
		t.Errorf("%d accounts are kept, the bound is %d", n, accountsMax)
	}
}
