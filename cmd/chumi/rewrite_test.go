package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
)

// payload is one recorded webhook body, made one of the bootstrapped channels' own.
type payload struct {
	name string
	// product is whatsapp or instagram, or empty for a body that is not JSON.
	product string
	body    []byte
	// entries are those of its envelopes, to be merged with others'.
	entries []any
	// ids are the remote ids in it of what must be in the export, found by another
	// way than the decoder's.
	ids []string
}

// rewritten makes a recorded body the channels' own: the first business in it
// becomes acme's, others bolt's, and message ids become unique by n.
func rewritten(t testing.TB, name, product string, n int, body []byte) payload {
	t.Helper()
	var root any
	if json.Unmarshal(body, &root) != nil {
		return payload{name: name, body: body}
	}
	r := rewriter{n: n, accounts: map[string]string{}, wabas: map[string]string{}}
	p := payload{name: name, product: product}
	for _, envelope := range append(list([]any{root}), list(root)...) {
		for _, entry := range list(envelope["entry"]) {
			if product == "whatsapp" {
				r.whatsapp(entry)
			} else {
				r.instagram(entry)
			}
			p.entries = append(p.entries, entry)
		}
	}
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	p.body, p.ids = text, r.found
	return p
}

type rewriter struct {
	n               int
	accounts, wabas map[string]string
	found           []string
}

func (r *rewriter) business(seen map[string]string, id, acme, bolt string) string {
	if _, ok := seen[id]; !ok {
		seen[id] = acme
		if len(seen) > 1 {
			seen[id] = bolt
		}
	}
	return seen[id]
}

func (r *rewriter) unique(id string) string { return fmt.Sprintf("%s.F%d", id, r.n) }

// whatsapp rewrites a WhatsApp entry in place.
func (r *rewriter) whatsapp(entry map[string]any) {
	if id, ok := entry["id"].(string); ok {
		entry["id"] = r.business(r.wabas, id, "102000000000001", "102000000000002")
	}
	for _, change := range append(list(entry["changes"]), entry) {
		value, _ := change["value"].(map[string]any)
		if metadata, ok := value["metadata"].(map[string]any); ok {
			if id, ok := metadata["phone_number_id"].(string); ok {
				metadata["phone_number_id"] = r.business(r.accounts, id, "106000000000001", "106000000000002")
			}
		}
		r.ids(value)
	}
}

// instagram rewrites an Instagram entry in place.
func (r *rewriter) instagram(entry map[string]any) {
	id, _ := entry["id"].(string)
	own := r.business(r.accounts, id, "17841400000000001", "17841400000000002")
	entry["id"] = own
	items := append(list(entry["messaging"]), list(entry["standby"])...)
	for _, change := range append(list(entry["changes"]), entry) {
		if value, ok := change["value"].(map[string]any); ok {
			items = append(items, value)
		}
	}
	for _, item := range items {
		for _, side := range []string{"sender", "recipient", "from"} {
			if who, ok := item[side].(map[string]any); ok && who["id"] == id {
				who["id"] = own
			}
		}
		r.ids(item)
		if m, ok := item["message"].(map[string]any); ok {
			if mid, ok := m["mid"].(string); ok {
				r.found = append(r.found, mid)
			}
		}
	}
}

// ids makes every message id below v unique: wamids wherever they stand, mids
// by their key, and the ids of listed messages and statuses, which it collects.
func (r *rewriter) ids(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			text, isText := child.(string)
			switch {
			case isText && (key == "mid" || strings.HasPrefix(text, "wamid.")):
				v[key] = r.unique(text)
			case key == "messages" || key == "statuses" || key == "message_echoes":
				for _, item := range list(child) {
					if id, ok := item["id"].(string); ok && !strings.HasPrefix(id, "wamid.") {
						item["id"] = r.unique(id)
					}
				}
				r.ids(child)
				for _, item := range list(child) {
					if id, ok := item["id"].(string); ok {
						r.found = append(r.found, id)
					}
				}
			default:
				r.ids(child)
			}
		}
	case []any:
		for _, child := range v {
			r.ids(child)
		}
	}
}

func list(v any) []map[string]any {
	var out []map[string]any
	items, _ := v.([]any)
	for _, i := range items {
		if m, ok := i.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// merged puts the entries of payloads of one product into bodies as large as Meta
// makes them: up to 1,000 updates and 3 MB each.
func merged(t testing.TB, product string, payloads []payload) []payload {
	t.Helper()
	const updatesMax, bytesMax = 1000, 3 << 20
	object := "instagram"
	if product == "whatsapp" {
		object = "whatsapp_business_account"
	}
	var out []payload
	updates, size := updatesMax, 0
	var batches [][]any
	for _, p := range payloads {
		if p.product != product || len(p.entries) == 0 {
			continue
		}
		decoded, err := meta.Decode("acme-app", p.body)
		if err != nil {
			continue
		}
		if updates+len(decoded) > updatesMax || size+len(p.body) > bytesMax {
			batches = append(batches, nil)
			updates, size = 0, 0
		}
		last := len(batches) - 1
		batches[last] = append(batches[last], p.entries...)
		updates, size = updates+len(decoded), size+len(p.body)
	}
	for n, entries := range batches {
		body, err := json.Marshal(map[string]any{"object": object, "entry": entries})
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > bytesMax {
			t.Fatalf("a batch has %d bytes", len(body))
		}
		out = append(out, payload{name: fmt.Sprintf("batch %d of %s", n, product), product: product, body: body})
	}
	return out
}

// promise is one thing that was posted and how it stands in the export: exactly
// one event, in one of the shapes.
type promise struct {
	from string
	// where it happened, to compare order: its person under the same identifiers, or
	// its account. Recordings of several people share some.
	where  string
	shapes []string
	// content is the JSON of its Content, "" for none.
	content string
	// taken is true when something else in the payloads takes it back: its event is
	// not what it was.
	taken bool
}

// promises reads what payloads say, in the order they are posted. Things that are
// one and the same to the engine are one promise.
type promises struct {
	byIdentity map[string]*promise
	ordered    []*promise
	// strangers counts what no tenant can be given, by reason; in these payloads.
	strangers map[string]int
	strange   map[string]bool
	// updates counts what is in the payloads, largest what is in one of them.
	updates, largest int
}

var tenantOf = map[string]string{
	"106000000000001": "acme", "102000000000001": "acme", "17841400000000001": "acme",
	"106000000000002": "bolt", "102000000000002": "bolt", "17841400000000002": "bolt",
}

func promisesOf(t testing.TB, payloads []payload) *promises {
	t.Helper()
	all := &promises{byIdentity: map[string]*promise{}, strangers: map[string]int{}, strange: map[string]bool{}}
	taken := map[string]bool{}
	for _, p := range payloads {
		decoded, err := meta.Decode("acme-app", p.body)
		if err != nil {
			all.strangers["not JSON"]++
			continue
		}
		all.largest = max(all.largest, len(decoded))
		for i := range decoded {
			all.add(t, p.name, &decoded[i])
			if c := decoded[i].Content; c != nil && c.Revoke != nil {
				taken[string(c.Revoke.Target)] = true
			}
		}
	}
	for id, p := range all.byIdentity {
		remote, _, _ := strings.Cut(id, " ")
		p.taken = taken[remote]
	}
	return all
}

func (all *promises) add(t testing.TB, from string, in *chat.Inbound) {
	t.Helper()
	all.updates++
	account := in.Account
	if account == "" {
		account = in.WABA
	}
	tenant := tenantOf[account]
	switch {
	case in.Problem != "":
		all.strangers["problem"]++
		all.strange[from] = true
		return
	case tenant == "":
		all.strangers["account"]++
		all.strange[from] = true
		return
	}
	shape, identity := shapeOf(t, tenant, in)
	p := all.byIdentity[identity]
	if p == nil {
		p = &promise{from: from, where: account}
		for _, a := range in.Customer {
			p.where += "/" + a.Value
		}
		if in.Content != nil {
			text, err := json.Marshal(in.Content)
			if err != nil {
				t.Fatal(err)
			}
			p.content = canonical(t, text)
		}
		all.byIdentity[identity] = p
		all.ordered = append(all.ordered, p)
	}
	p.shapes = append(p.shapes, shape)
}

// shapeOf is what an update is known by in the export, and what it is to the
// engine.
func shapeOf(t testing.TB, tenant string, in *chat.Inbound) (shape, identity string) {
	t.Helper()
	remote := string(in.Remote)
	switch in.Kind {
	case chat.InboundMessage:
		shape, identity = "message_received "+remote, remote+" message"
	case chat.InboundEcho:
		shape, identity = "message_echoed "+remote, remote+" message"
	case chat.InboundImport:
		shape, identity = "message_imported "+remote+" "+in.Type, remote+" message "+in.Revision
	case chat.InboundStatus, chat.InboundRead:
		shape, identity = "status_changed "+remote+" "+in.Type+" "+in.Participant, remote+" status "+in.Type
	default:
		shape = strings.Join([]string{"update_received", in.Type, remote, in.Revision, canonical(t, in.Raw)}, " ")
		identity = remote + " update " + in.Revision
	}
	if in.Digest != "" {
		identity = remote + " digest " + in.Digest
	}
	return tenant + " " + shape, identity + " of " + tenant + in.Account
}

// shapeShown is shapeOf for an event of the export; "" for events that are the
// engine's own.
func shapeShown(t testing.TB, ev *apiEvent) string {
	t.Helper()
	kind := ev.TenantID + " " + ev.Kind
	switch {
	case ev.Kind == "message_received" || ev.Kind == "message_echoed":
		return kind + " " + *ev.Message.RemoteID
	case ev.Kind == "message_imported":
		return kind + " " + *ev.Message.RemoteID + " " + ev.Message.Type
	case ev.Kind == "status_changed" && ev.Status.RemoteID != nil:
		return kind + " " + *ev.Status.RemoteID + " " + ev.Status.Status + " " + ev.Status.Participant
	case ev.Kind == "update_received" && len(ev.Update.Raw) > 0: // not taken back
		remote := ""
		if ev.Update.RemoteID != nil {
			remote = *ev.Update.RemoteID
		}
		return strings.Join([]string{kind, ev.Update.Type, remote, ev.Update.Revision, canonical(t, ev.Update.Raw)}, " ")
	}
	return ""
}

// shown is the content of an event, "" for none.
func shown(t testing.TB, ev *apiEvent) string {
	t.Helper()
	content := json.RawMessage(nil)
	switch {
	case ev.Message != nil:
		content = ev.Message.Content
	case ev.Status != nil:
		content = ev.Status.Content
	case ev.Update != nil:
		content = ev.Update.Content
	}
	if len(content) == 0 {
		return ""
	}
	return canonical(t, content)
}

// canonical is JSON with its members in order.
func canonical(t testing.TB, raw []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("not JSON: %v: %.200s", err, raw)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
