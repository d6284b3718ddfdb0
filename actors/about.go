package actors

import (
	"slices"

	"github.com/chumiai/chumi/chat"
)

// aboutPage is how many events are read at once when a journal is searched.
const aboutPage = 256

// knownContent looks up what an update is about: the message that it edits, takes back
// or shows, the addresses that a person has taken on.
func (d *draft) knownContent(k *chat.Known, in *chat.Inbound) (err error) {
	if c := in.Content; c != nil && c.Identity != nil && len(c.Identity.Became) > 0 {
		if k.Became, err = d.a.core.opt.Index.Locate(d.a.state.Tenant, d.a.state.Channel, c.Identity.Became); err != nil {
			return err
		}
		k.Became.Missing = d.unclaimed(k.Became.Missing)
	}
	target := in.Target()
	if target == "" {
		return nil
	}
	if k.TargetRow, k.TargetFound, err = d.row(target, ""); err != nil || !k.TargetFound {
		return err
	}
	if in.Content != nil && in.Content.Edit != nil && k.TargetRow.Message != "" {
		k.About, err = d.subject(&k.TargetRow, target)
		return err
	}
	k.About, err = d.about(&k.TargetRow, target, d.next.WaitingFrom)
	return err
}

// subject is the event of a row's message, and what this draft says of the message.
func (d *draft) subject(row *chat.RemoteRow, remote chat.RemoteID) ([]chat.Event, error) {
	var about []chat.Event
	if row.Seq <= d.commit.Expected || row.Conversation != d.a.state.ID {
		events, err := d.a.core.opt.Journal.Events(d.a.state.Tenant, row.Conversation, row.Seq-1, 1)
		if err != nil {
			return nil, err
		}
		about = append(about, events...)
	}
	return d.overlay(about, row, remote, 0), nil
}

// about is what the journal of the row's conversation says of a message, oldest
// first, and of this one the customer messages from seq waiting on that still wait
// for an answer; 0 for none. It reads the journal from where it first speaks of the
// message: seldom, and mostly a short way.
func (d *draft) about(row *chat.RemoteRow, remote chat.RemoteID, waiting chat.Seq) (about []chat.Event, err error) {
	if row.Conversation == "" || row.Since() == 0 {
		return nil, nil // of an update without a conversation
	}
	from := row.Since()
	if waiting != 0 && row.Conversation == d.a.state.ID {
		from = min(from, waiting)
	} else {
		waiting = 0
	}
	answer, err := d.answerOf(row)
	if err != nil {
		return nil, err
	}
	about = append(about, answer...)
	for after := from - 1; ; {
		page, err := d.a.core.opt.Journal.Events(d.a.state.Tenant, row.Conversation, after, aboutPage)
		if err != nil {
			return nil, err
		}
		for i := range page {
			e := &page[i]
			after = e.Seq
			if e.Concerns(remote, row.Message) || waiting != 0 && e.Waits(waiting) {
				about = append(about, *e)
			}
		}
		if len(page) < aboutPage {
			break
		}
	}
	return d.overlay(about, row, remote, waiting), nil
}

// answerOf is the recorded answer that a row's message was made of, which stands in
// the same commit; none for a message that the assistant did not write.
func (d *draft) answerOf(row *chat.RemoteRow) ([]chat.Event, error) {
	if row.Message == "" || row.Conversation != d.a.state.ID {
		return nil, nil
	}
	message, err := d.event(row.Seq)
	if err != nil || message == nil || message.Kind != chat.MessageQueued || message.Message.Turn == "" {
		return nil, err
	}
	for seq := row.Seq - 1; seq > 0 && row.Seq-seq <= chat.OutboxMax; seq-- {
		e, err := d.event(seq)
		if err != nil {
			return nil, err
		}
		if e != nil && e.Answers(message.Message) {
			return []chat.Event{*e}, nil
		}
	}
	return nil, nil
}

// overlay makes stored events what this draft leaves of them, and adds its own.
func (d *draft) overlay(about []chat.Event, row *chat.RemoteRow, remote chat.RemoteID, waiting chat.Seq) []chat.Event {
	if row.Conversation != d.a.state.ID {
		return about
	}
	for i := range about {
		if slices.Contains(d.commit.Redact, about[i].Seq) {
			about[i] = chat.Redacted(about[i])
		}
	}
	for i := range d.commit.Events {
		if e := &d.commit.Events[i]; e.Concerns(remote, row.Message) || waiting != 0 && e.Waits(waiting) {
			about = append(about, *e)
		}
	}
	return about
}

// redact takes the content out of events: of this draft at once, of stored ones in
// its commit.
func (d *draft) redact(seqs []chat.Seq) {
	c := &d.commit
	for _, seq := range seqs {
		if seq > c.Expected {
			e := &c.Events[seq-c.Expected-1]
			*e = chat.Redacted(*e)
		} else if !slices.Contains(c.Redact, seq) {
			c.Redact = append(c.Redact, seq)
		}
	}
}
