package actors

import "github.com/chumiai/chumi/chat"

// knownSend looks up what decides about a message that a member wants to send.
func (d *draft) knownSend(f chat.MemberSend) (k chat.Known, err error) {
	if f.Idempotency != "" {
		if k.Original, k.Seen, err = d.claimed(chat.ClaimIdempotency, f.Idempotency); err != nil {
			return k, err
		}
	}
	if f.Content == nil || f.Content.Offer == nil {
		return k, nil
	}
	offer := f.Content.Offer
	if offer.Template != nil || offer.Pin != nil {
		if k.Contact, err = d.person(); err != nil {
			return k, err
		}
	}
	if offer.Template != nil {
		if k.Docs, err = d.template(offer.Template); err != nil {
			return k, err
		}
	}
	if offer.Comment != "" {
		err = d.knownComment(offer.Comment, &k)
	}
	return k, err
}

// knownAttempt looks up what may have changed since a message was queued: whether its
// template is still approved, and the customer still wants it.
func (d *draft) knownAttempt(f chat.AttemptDue) (k chat.Known, err error) {
	entry := d.next.Entry(f.Message)
	if entry == nil || entry.Pass != chat.PassTemplate {
		return k, nil
	}
	event, err := d.event(entry.Seq)
	if err != nil {
		return k, err
	}
	if event == nil || event.Message == nil || event.Message.Content == nil || event.Message.Content.Offer == nil ||
		event.Message.Content.Offer.Template == nil {
		return k, nil // erased since: no template is known, and none is sent
	}
	if k.Docs, err = d.template(event.Message.Content.Offer.Template); err != nil {
		return k, err
	}
	k.Contact, err = d.person()
	return k, err
}

// knownComment looks for the comment that a private reply is to.
func (d *draft) knownComment(id string, k *chat.Known) error {
	_, replied, err := d.claimed(chat.ClaimDigest, chat.RepliedKey(id))
	if err != nil {
		return err
	}
	row, found, err := d.row(chat.RemoteID(id), chat.CommentRevision)
	if err != nil {
		return err
	}
	k.Replied = replied
	if !found || row.Conversation != d.a.state.ID {
		return nil
	}
	event, err := d.event(row.Seq)
	if err == nil && event != nil {
		k.Comment, k.Commented = event.Update, event.Time
	}
	return err
}

// template is the document of a template of the channel's account.
func (d *draft) template(use *chat.TemplateUse) ([]chat.Doc, error) {
	ch, found := d.a.core.opt.Directory.ChannelByID(d.a.state.Channel)
	if !found {
		return nil, nil
	}
	return d.documents(chat.DocTemplate, chat.TemplateKey(ch.WABA, use.Name, use.Language.Code))
}

// event reads one event of the conversation, also one of this draft; nil for none.
func (d *draft) event(seq chat.Seq) (*chat.Event, error) {
	for i := range d.commit.Events {
		if d.commit.Events[i].Seq == seq {
			return &d.commit.Events[i], nil
		}
	}
	events, err := d.a.core.opt.Journal.Events(d.a.state.Tenant, d.a.state.ID, seq-1, 1)
	if err != nil || len(events) == 0 || events[0].Seq != seq {
		return nil, err
	}
	return &events[0], nil
}
