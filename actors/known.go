package actors

import (
	"cmp"
	"slices"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// known looks up what Step may know besides the state: the store, overlaid by
// what earlier facts of the same draft will have written.
func (d *draft) known(it *item) (k chat.Known, err error) {
	switch f := it.fact.(type) {
	case *chat.Inbound:
		return d.knownInbound(it, f)
	case chat.Poison:
		return d.knownInbound(it, f.Inbound)
	case chat.AttemptFinished:
		if f.Outcome.Remote != "" {
			k.Row, k.RowFound, err = d.row(f.Outcome.Remote, "")
		}
		if f.Outcome.Code == chat.CodeOptedOut && err == nil {
			k.Contact, err = d.person()
		}
	case chat.ModelAnswered:
		k, err = d.knownAnswer(f)
	case chat.Summarized:
		k.Seen, err = d.told(f.Summary.UpTo, func(e *chat.Event) bool { return e.Kind == chat.SummaryMade && e.Summary.UpTo == f.Summary.UpTo })
	case chat.Transcribed:
		_, seq, _ := f.Message.Parse()
		k.Seen, err = d.told(seq, func(e *chat.Event) bool {
			return e.Kind == chat.MediaTranscribed && e.Media.Message == f.Message && e.Media.Index == f.Index
		})
	case chat.Link:
		k.Contact, err = d.person()
	case chat.ProfileFetched:
		k.Contact, err = d.person()
	case chat.FileUploaded:
		k.Docs, err = d.uploads(f.Upload.Blob)
	case chat.FileLent:
		k.Docs, err = d.uploads(f.Blob)
	case chat.KnowledgeChanged:
		k.Docs, err = d.documents(chat.DocSource, string(f.Source.ID), "")
	case chat.FetchFinished:
		k.Docs, err = d.documents(chat.DocFiles, string(chat.MessageIDAt(d.a.state.ID, f.Seq)))
	case chat.MemberSend:
		k, err = d.knownSend(f)
	case chat.AttemptDue:
		k, err = d.knownAttempt(f)
	case chat.ChannelRefused:
		k.Docs, err = d.documents(chat.DocChannel, string(f.Channel))
	case chat.ChannelChecked:
		k.Docs, err = d.documents(chat.DocChannel, string(f.Channel))
	case chat.ChannelBound:
		k.Docs, err = d.documents(chat.DocChannel, string(f.Channel))
	case chat.ChannelHeard:
		k.Docs, err = d.documents(chat.DocChannel, string(f.Channel))
	case chat.SettingsChange:
		k.Docs, err = d.documents(chat.DocSettings, string(f.Settings.Channel))
	case chat.TemplatesFetched:
		k.Docs, err = d.templates(f)
	case chat.DraftAssistant:
		k.Docs, err = d.assistants(f.Draft.ID, func(h *chat.AssistantHead) int { return cmp.Or(h.Draft, h.Published) })
	case chat.PublishAssistant:
		k.Docs, err = d.assistants(f.ID, func(h *chat.AssistantHead) int { return cmp.Or(f.Version, h.Draft) })
	case chat.RollBackAssistant:
		k.Docs, err = d.assistants(f.ID, f.Target)
	case chat.SetAllowance:
		k.Docs, err = d.documents(chat.DocAllowance, chat.AllowanceKey)
	case chat.PlaceAssistant:
		k.Docs, err = d.every(chat.DocAssistant)
	case chat.BudgetSeen:
		k.Original, k.Seen, err = d.claimed(chat.ClaimDigest, f.Key())
	case chat.Spent:
		k.Original, k.Seen, err = d.claimed(chat.ClaimDigest, f.Key())
	case chat.ToolsPut:
		k.Docs, err = d.stored(f.Docs)
	case chat.CatalogPut:
		k.Docs, err = d.products(f)
	case chat.OrdersPut:
		k.Docs, err = d.orders(f)
	}
	return k, err
}

func (d *draft) knownInbound(it *item, in *chat.Inbound) (k chat.Known, err error) {
	if k.Place, err = d.place(it); err != nil {
		return k, err
	}
	if k.Place.Found && chat.NeedsContact(in, k.Place) {
		if k.Contact, err = d.person(); err != nil {
			return k, err
		}
	}
	if failpoint.Planted(failpoint.BugSkipDedupe) {
		return k, nil
	}
	revision := in.Revision
	if in.Kind == chat.InboundStatus || in.Kind == chat.InboundRead {
		revision = ""
	}
	if in.Remote != "" {
		if k.Row, k.RowFound, err = d.row(in.Remote, revision); err != nil {
			return k, err
		}
	}
	if in.Digest != "" {
		if k.Original, k.Seen, err = d.claimed(chat.ClaimDigest, in.Digest); err != nil {
			return k, err
		}
	}
	if !k.RowFound && it.byCallback && d.commit.Contact == nil {
		_, err = d.a.core.opt.Contacts.Contact(d.a.state.Tenant, d.next.Contact)
		if k.Erased = chat.KindOf(err) == chat.KindNotFound; err != nil && !k.Erased {
			return k, err
		}
	}
	if k.RowFound && k.Row.Message == "" && in.Kind != chat.InboundStatus && in.Kind != chat.InboundRead {
		if k.Early, err = d.about(&k.Row, in.Remote, 0); err != nil {
			return k, err
		}
	}
	if in.Content != nil || in.Kind == chat.InboundUpdate {
		if err = d.knownContent(&k, in); err != nil {
			return k, err
		}
	}
	if k.Docs, err = d.news(in); err == nil && chat.NeedsSettings(in) {
		err = d.knownSettings(in, &k)
	}
	return k, err
}

// knownSettings looks up what the business has set for its channel, and whether the
// comment that comes in is new.
func (d *draft) knownSettings(in *chat.Inbound, k *chat.Known) error {
	docs, err := d.documents(chat.DocSettings, string(d.a.state.Channel))
	if err != nil {
		return err
	}
	k.Docs = append(k.Docs, docs...)
	if in.Content == nil || in.Content.Comment == nil {
		return nil
	}
	id := in.Content.Comment.ID
	if _, k.Replied, err = d.row(chat.RemoteID(id), chat.CommentRevision); err == nil && !k.Replied {
		_, k.Replied, err = d.claimed(chat.ClaimDigest, chat.RepliedKey(id))
	}
	return err
}

// place is where the fact's addresses lead, as seen by this draft.
func (d *draft) place(it *item) (chat.Place, error) {
	here := d.a.state.Seq > 0 || d.next.Seq > 0
	if !it.located {
		return chat.Place{Conversation: d.a.state.ID, Contact: d.next.Contact, Found: here}, nil
	}
	if len(d.commit.Releases) > 0 {
		return chat.Place{}, errAlone
	}
	if d.a.state.Seq > 0 && (!it.place.Found || len(it.place.Missing) > 0 || d.a.released) {
		// The place was looked up before mail that is applied by now.
		if err := d.a.relocate(it); err != nil {
			return chat.Place{}, err
		}
	}
	p := it.place
	if d.next.Seq > 0 {
		p.Found = true
	}
	p.Missing = d.unclaimed(p.Missing)
	return p, nil
}

// unclaimed are the addresses that this draft does not claim already.
func (d *draft) unclaimed(addresses []chat.Address) []chat.Address {
	if len(addresses) == 0 {
		return addresses
	}
	return slices.DeleteFunc(slices.Clone(addresses), d.claiming)
}

func (d *draft) claiming(address chat.Address) bool {
	return slices.ContainsFunc(d.commit.Claims, func(c chat.Claim) bool {
		return c.Kind == chat.ClaimAddress && c.Address == address
	})
}

// relocate looks an item's addresses up again. errMoved says that they lead to
// another conversation.
func (a *activation) relocate(it *item) error {
	in := inboundOf(it.fact)
	if in == nil || !it.located || a.state.ID == "" {
		return nil
	}
	p, err := a.core.opt.Index.Locate(a.state.Tenant, a.state.Channel, in.Customer)
	if err != nil {
		return err
	}
	if p.Conversation != a.state.ID {
		return errMoved
	}
	it.place = p
	return nil
}

func inboundOf(f chat.Fact) *chat.Inbound {
	switch f := f.(type) {
	case *chat.Inbound:
		return f
	case chat.Poison:
		return f.Inbound
	}
	return nil
}

// person is the conversation's contact; an empty one when it was erased.
func (d *draft) person() (chat.Contact, error) {
	if c := d.commit.Contact; c != nil {
		return *c, nil
	}
	c, err := d.a.core.opt.Contacts.Contact(d.a.state.Tenant, d.next.Contact)
	if chat.KindOf(err) == chat.KindNotFound {
		return chat.Contact{ID: d.next.Contact}, nil
	}
	return c, err
}

func (d *draft) row(remote chat.RemoteID, revision string) (chat.RemoteRow, bool, error) {
	for i := range d.commit.Rows {
		if r := d.commit.Rows[i]; r.Remote == remote && r.Revision == revision {
			r.Fresh = false
			return r, true, nil
		}
	}
	return d.a.core.opt.Index.Row(d.a.state.Tenant, d.a.state.Channel, remote, revision)
}

func (d *draft) claimed(kind chat.ClaimKind, key string) (chat.Original, bool, error) {
	for i := range d.commit.Claims {
		if c := &d.commit.Claims[i]; c.Kind == kind && c.Key == key {
			return chat.Original{Conversation: d.a.state.ID, Message: c.Message, Digest: c.Digest}, true, nil
		}
	}
	return d.a.core.opt.Index.Claimed(d.a.state.Tenant, kind, key)
}

// uploads is the document of an upload.
func (d *draft) uploads(b chat.BlobID) ([]chat.Doc, error) {
	owner, _ := b.Owner()
	return d.documents(chat.DocUpload, owner)
}
