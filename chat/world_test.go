package chat_test

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// world is the smallest shell around Step: it keeps what a store would keep,
// runs effects nowhere, and checks the invariants after every fact.
type world struct {
	set    chat.Settings
	now    time.Time
	epoch  chat.Epoch
	state  chat.Conversation
	events []chat.Event
	rows   map[string]chat.RemoteRow
	claims map[string]chat.Original
	places map[chat.Address]bool
	docs   map[string][]byte
	// contact is the stored contact; others are addresses of other contacts.
	contact chat.Contact
	others  map[chat.Address]chat.ContactID
	last    chat.Decision
	// exhausted are counters that are used up; uses counts tool calls.
	exhausted []string
	uses      map[string]int
	// money is the tenant's counter.
	money int64
	proof proof
	registry
	// queued is the id of every outbound message, in order.
	queued []chat.MessageID
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const convBody = "abcdefghijklmnopqrstuvwxyz"

func newWorld(kind chat.ChannelKind) *world {
	w := &world{
		now: start, epoch: 1,
		rows: map[string]chat.RemoteRow{}, claims: map[string]chat.Original{}, places: map[chat.Address]bool{}, others: map[chat.Address]chat.ContactID{},
		docs:  map[string][]byte{},
		state: chat.Conversation{ID: chat.ConversationIDFrom(convBody), Tenant: "acme", Channel: "acme-wa", Kind: kind},
	}
	w.set.Assistant = true
	w.set.EnsureDefaults()
	return w
}

func (w *world) customer() []chat.Address {
	if w.state.Kind == chat.Instagram {
		return []chat.Address{{Kind: chat.IGSID, Value: "7001"}}
	}
	return []chat.Address{{Kind: chat.WaID, Value: "15550001"}}
}

func rowKey(r chat.RemoteID, revision string) string { return string(r) + "|" + revision }

func (w *world) known(f chat.Fact) chat.Known {
	k := chat.Known{Exhausted: w.exhausted, ToolUses: w.uses, Place: chat.Place{Conversation: w.state.ID, Contact: "ct_1", Found: w.state.Seq > 0}, Contact: w.contact}
	find := func(remote chat.RemoteID, revision string) {
		if remote != "" {
			k.Row, k.RowFound = w.rows[rowKey(remote, revision)]
		}
	}
	look := func(in *chat.Inbound) {
		if in.Kind == chat.InboundStatus || in.Kind == chat.InboundRead {
			find(in.Remote, "")
		} else {
			find(in.Remote, in.Revision)
		}
		if in.Digest != "" {
			k.Original, k.Seen = w.claims["d"+in.Digest]
		}
		w.locate(&k.Place, in.Customer)
		if in.Content != nil && in.Content.Identity != nil {
			w.locate(&k.Became, in.Content.Identity.Became)
		}
		if chat.NeedsSettings(in) {
			k.Docs = []chat.Doc{{Noun: chat.DocSettings, ID: string(w.state.Channel), Value: w.docs[string(w.state.Channel)]}}
			if c := in.Content; c != nil && c.Comment != nil {
				_, k.Replied = w.rows[rowKey(chat.RemoteID(c.Comment.ID), chat.CommentRevision)]
				_, claimed := w.claims["d"+chat.RepliedKey(c.Comment.ID)]
				k.Replied = k.Replied || claimed
			}
		}
		if k.RowFound && k.Row.Message == "" {
			k.Early = w.about(k.Row, in.Remote, 0)
		}
		if target := in.Target(); target != "" {
			if k.TargetRow, k.TargetFound = w.rows[rowKey(target, "")]; k.TargetFound {
				k.About = w.about(k.TargetRow, target, w.state.WaitingFrom)
			}
		}
	}
	switch f := f.(type) {
	case *chat.Inbound:
		look(f)
	case chat.Poison:
		look(f.Inbound)
	case chat.AttemptFinished:
		find(f.Outcome.Remote, "")
	case chat.FetchFinished:
		id := string(chat.MessageIDAt(w.state.ID, f.Seq))
		k.Docs = []chat.Doc{{Noun: chat.DocFiles, ID: id, Value: w.docs[id]}}
	case chat.MemberSend:
		if f.Idempotency != "" {
			k.Original, k.Seen = w.claims["i"+f.Idempotency]
		}
	}
	w.knownSend(f, &k)
	return k
}

// locate tells where addresses lead: here, to another contact, or nowhere yet.
func (w *world) locate(p *chat.Place, addresses []chat.Address) {
	for _, a := range addresses {
		other, elsewhere := w.others[a]
		switch {
		case !a.Routable():
		case elsewhere:
			p.Others = append(p.Others, other)
		case w.places[a]:
			p.Conversation, p.Contact, p.Found = w.state.ID, w.state.Contact, true
		default:
			p.Missing = append(p.Missing, a)
		}
	}
}

// about is what the journal says of the message of a row, and who waits.
func (w *world) about(row chat.RemoteRow, remote chat.RemoteID, waiting chat.Seq) (about []chat.Event) {
	if m := w.events[row.Seq-1].Message; row.Message != "" && m != nil {
		for _, e := range w.events {
			if e.Answers(m) {
				about = append(about, e)
			}
		}
	}
	for _, e := range w.events {
		if e.Seq >= row.Since() && e.Concerns(remote, row.Message) || waiting != 0 && e.Waits(waiting) {
			about = append(about, e)
		}
	}
	return about
}

// do runs one fact to its commit and returns the first broken invariant.
func (w *world) do(f chat.Fact) error {
	before := w.state.Clone()
	d := chat.Step(&w.state, chat.Input{Now: w.now, Epoch: w.epoch, Settings: &w.set, Known: w.known(f), Fact: f})
	if !reflect.DeepEqual(before, w.state.Clone()) {
		return fmt.Errorf("Step changed its state")
	}
	w.last = d
	for _, r := range d.Reserve {
		if strings.HasPrefix(r.Counter, "budget/") {
			w.money += r.Amount
		}
	}
	for _, e := range d.Events {
		w.state.Apply(e)
		w.events = append(w.events, e)
		if e.Kind == chat.MessageQueued {
			w.queued = append(w.queued, e.Message.ID)
		}
	}
	w.state.Armed = d.Due
	for _, seq := range d.Redact {
		w.events[seq-1] = chat.Redacted(w.events[seq-1])
		w.proof = proof{} // begun anew: what was looked at is another now
	}
	if d.Contact != nil {
		w.contact = *d.Contact
	}
	for _, a := range d.Releases {
		delete(w.places, a)
	}
	for _, r := range d.Rows {
		key := rowKey(r.Remote, r.Revision)
		if _, dup := w.rows[key]; dup && r.Fresh {
			return fmt.Errorf("fresh row %q exists", key)
		}
		r.Fresh = false
		w.rows[key] = r
	}
	for _, doc := range d.Docs {
		w.docs[doc.ID] = doc.Value
	}
	for _, c := range d.Claims {
		o := chat.Original{Conversation: w.state.ID, Message: c.Message, Digest: c.Digest}
		switch c.Kind {
		case chat.ClaimAddress:
			w.places[c.Address] = true
		case chat.ClaimDigest:
			if _, dup := w.claims["d"+c.Key]; dup {
				return fmt.Errorf("the claim %q is made twice", c.Key)
			}
			w.claims["d"+c.Key] = o
		case chat.ClaimIdempotency:
			w.claims["i"+c.Key] = o
		}
	}
	return w.check()
}

// entry returns the id of the i-th outbox entry, from 0; when there is none, of
// the last message that was ever queued.
func (w *world) entry(i int) chat.MessageID {
	switch {
	case i < len(w.state.Outbox):
		return w.state.Outbox[i].Message
	case len(w.queued) > 0:
		return w.queued[len(w.queued)-1]
	}
	return "msg_" + convBody + "_9999"
}
