package actors

import (
	"context"

	"github.com/chumiai/chumi/chat"
)

// linkTryMax bounds how often two conversations that go on meanwhile are tried, and
// how often a link that an update proved is tried before the next such update.
const linkTryMax = 16

// Link says that two contacts of a tenant are one person, or are not. Both
// conversations decide and record it in one commit: there is no half of a link. Saying
// it again is a duplicate, and as durable. KindNotFound when one of them is unknown.
func (i *Ingress) Link(ctx context.Context, t chat.TenantID, id chat.ContactID, f chat.Link) (chat.Verdict, error) {
	if !i.sys.asking.enter() {
		return chat.Verdict{}, errDraining
	}
	defer i.sys.asking.leave()
	return i.sys.link(ctx, t, id, f)
}

func (s *System) link(ctx context.Context, t chat.TenantID, id chat.ContactID, f chat.Link) (chat.Verdict, error) {
	if f.Other == id {
		return chat.Verdict{Kind: chat.VerdictRefused, Reason: "same_contact"}, nil
	}
	pauseMax := insistMin
	for range linkTryMax {
		v, answer, err := s.linkOnce(ctx, t, id, f)
		switch {
		case err != nil || answer == chat.Applied:
			return v, err
		case answer == chat.Unknown:
			return v, chat.E("ingress.Link", chat.KindUnknown, "it may or may not be durable; repeat", nil)
		case answer != chat.WrongSeq:
			return v, errFenced
		}
		if !pause(ctx, s.opt.Clock, jittered(pauseMax, s.opt.Rand)) {
			break
		}
		pauseMax = min(2*pauseMax, insistMax)
	}
	return chat.Verdict{}, errBusy
}

// linkOnce decides about both sides as they are stored, and appends what they say.
func (s *System) linkOnce(ctx context.Context, t chat.TenantID, id chat.ContactID, f chat.Link) (v chat.Verdict, answer chat.CommitAnswer, err error) {
	back := f
	back.Other = id
	here, err := s.side(t, id, f)
	if err != nil {
		return v, 0, err
	}
	defer here.release()
	there, err := s.side(t, f.Other, back)
	if err != nil {
		return v, 0, err
	}
	defer there.release()
	for _, d := range [...]*draft{here, there} {
		if d.verdicts[0].Kind == chat.VerdictRefused {
			return d.verdicts[0], chat.Applied, nil
		}
	}
	var receipt chat.Receipt
	switch {
	case !here.dirty() && !there.dirty():
		return here.verdicts[0], chat.Applied, s.opt.Barrier.Barrier(ctx, t)
	case !here.dirty():
		receipt, err = s.opt.Journal.Append(ctx, there.commit)
	case !there.dirty():
		receipt, err = s.opt.Journal.Append(ctx, here.commit)
	default:
		receipt, err = s.opt.Pairs.AppendBoth(ctx, here.commit, there.commit)
	}
	if err == nil && receipt.Answer == chat.Applied {
		s.outdated(here)
		s.outdated(there)
	}
	return v, receipt.Answer, err
}

// side is what one conversation decides about a link: a draft that no activation
// holds. The live activation, if there is one, is told afterwards.
func (s *System) side(t chat.TenantID, id chat.ContactID, f chat.Link) (*draft, error) {
	c, err := s.opt.Contacts.Person(t, id)
	if err != nil {
		return nil, err
	}
	g := s.opt.Leadership.Group(t)
	a := activation{core: s.core, group: g, epoch: s.opt.Leadership.Epoch(g), loaded: true}
	if a.epoch == 0 {
		return nil, errFenced
	}
	state, found, err := s.opt.Journal.Load(t, c.Conversation)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, chat.E("ingress.Link", chat.KindNotFound, "there is no such contact", nil)
	}
	a.state = state
	return a.draft([]item{{fact: f}})
}

// outdated tells the activation of a conversation that went on without it.
func (s *System) outdated(d *draft) {
	if d.dirty() {
		s.post(&mail{tenant: d.commit.Tenant, group: d.a.group, conversation: d.commit.Conversation, exists: true, stale: true})
	}
}

// proven links contacts that an update proved to be one person. What a crash loses is
// proved again by the person's next message: it names the same identifiers.
func (s *System) proven(t chat.TenantID, e chat.LinkContacts) {
	s.workers.run(func() {
		pauseMax := insistMin
		for range linkTryMax {
			_, err := s.link(s.life, t, e.Contact, chat.Link{Other: e.Other, Proof: e.Proof})
			if err == nil || !repeatable(err) && chat.KindOf(err) != chat.KindBusy ||
				!pause(s.life, s.opt.Clock, jittered(pauseMax, s.opt.Rand)) {
				return
			}
			pauseMax = min(2*pauseMax, insistMax)
		}
	})
}
