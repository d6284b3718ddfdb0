package persistence

import (
	"context"
	"slices"

	"github.com/chumiai/chumi/chat"
)

// linked lists the contacts that are one person with the one named, itself first and
// the nearest next. One without a record of its own, because it was erased, ends the
// walk there.
func (s *Store) linked(t chat.TenantID, contact chat.ContactID) ([]chat.ContactID, error) {
	people := []chat.ContactID{contact}
	for i := 0; i < len(people); i++ {
		c, err := s.Contact(t, people[i])
		if chat.KindOf(err) == chat.KindNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, id := range c.Links {
			if !slices.Contains(people, id) {
				people = append(people, id)
			}
		}
	}
	return people, nil
}

// Contact returns a person with all that is linked, the one named first.
func (v *Views) Contact(ctx context.Context, id chat.TenantID, contact chat.ContactID) (chat.ContactView, error) {
	t, err := v.store.tenantAt(id)
	if err != nil {
		return chat.ContactView{}, err
	}
	people, err := v.store.linked(id, contact)
	if err != nil {
		return chat.ContactView{}, err
	}
	var view chat.ContactView
	for i, person := range people {
		c, err := v.store.Person(id, person)
		if chat.KindOf(err) == chat.KindNotFound && i > 0 {
			continue
		}
		if err != nil {
			return chat.ContactView{}, err
		}
		state, found, err := v.store.Load(id, c.Conversation)
		if err != nil {
			return chat.ContactView{}, err
		}
		if i == 0 {
			view.Contact = c
		} else {
			view.Linked = append(view.Linked, c)
		}
		if found {
			view.Conversations = append(view.Conversations, chat.ConversationView{State: state, Contact: c})
		}
	}
	return view, t.group.settle(ctx)
}

// ContactEvents returns up to limit events of a person with pos > after, from the
// conversations of every linked contact, in the order of the feed.
func (v *Views) ContactEvents(ctx context.Context, id chat.TenantID, contact chat.ContactID, after chat.Pos, limit int) ([]chat.Event, error) {
	view, err := v.Contact(ctx, id, contact)
	if err != nil {
		return nil, err
	}
	limit = min(max(limit, 1), pageMax)
	var all []chat.Event
	for i := range view.Conversations {
		st := &view.Conversations[i].State
		seq, err := v.seqAfter(id, st, after)
		if err != nil {
			return nil, err
		}
		events, err := v.store.Events(id, st.ID, seq, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
	}
	slices.SortFunc(all, func(a, b chat.Event) int {
		if a.Pos < b.Pos {
			return -1
		}
		return 1
	})
	return all[:min(limit, len(all))], nil
}

// seqAfter is the seq of a conversation's last event whose position is not after a
// position of the feed, by halving: both rise together.
func (v *Views) seqAfter(id chat.TenantID, st *chat.Conversation, after chat.Pos) (chat.Seq, error) {
	low, high := chat.Seq(0), st.Seq
	for low < high {
		mid := low + (high-low+1)/2
		events, err := v.store.Events(id, st.ID, mid-1, 1)
		if err != nil {
			return 0, err
		}
		if len(events) == 1 && events[0].Pos <= after {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low, nil
}
