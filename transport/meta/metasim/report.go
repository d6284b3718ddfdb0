package metasim

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// accepted shows an accepted message on the phone and arranges its reports.
func (s *Server) accepted(a Account, req request, e Send) {
	c := Customer{ID: req.to}
	if req.userID {
		c = Customer{UserID: req.to}
	}
	s.phone.received(a, c, e)
	rep := &s.o.Plan.Reports
	if rep.Off || a.AppSecret == "" {
		return
	}
	r := source(s.o.Plan.Seed, "reports", a.ID, e.RemoteID, strconv.Itoa(e.Attempt))
	base := Update{Account: a, Customer: c, RemoteID: e.RemoteID, Callback: req.callback}
	// Draw everything in a fixed order, so that changing one rate does not
	// change what the others choose.
	sent := rep.Sent.draw(r)
	delivered := sent + rep.Delivered.draw(r)
	read := delivered + rep.Read.draw(r)
	skip, unread, failed := r.Float64() < rep.SkipDelivered, r.Float64() < rep.Unread, r.Float64() < rep.Failed

	if a.Kind == Instagram {
		if e.Type == "reaction" {
			return // nobody is told of what the business itself did
		}
		base.Kind, base.Text = UpdateEcho, e.Text
		if e.Type != "text" {
			base.Text, base.Attachment = "", e.Type
		}
		s.report(sent, base)
		if !unread {
			base.Kind, base.Text = UpdateRead, ""
			s.report(read, base)
		}
		return
	}
	base.Kind, base.Status = UpdateStatus, "sent"
	s.report(sent, base)
	if failed {
		base.Status, base.Code = "failed", 131026
		s.report(delivered, base)
		return
	}
	if !skip || unread {
		base.Status = "delivered"
		s.report(delivered, base)
	}
	if !unread {
		base.Status = "read"
		s.report(read, base)
	}
}

// report posts one update after a pause.
func (s *Server) report(pause time.Duration, u Update) {
	s.later(pause, func() {
		u.At = s.o.Now()
		s.phone.reported(u)
		d, err := s.newDelivery([]Update{u})
		if err != nil {
			panic(err) // report made an update its kind of account does not have
		}
		s.postLater(d, 1)
	})
}

// Text makes the next message of a customer, numbered within the conversation.
// Its id depends on the seed, the conversation and the number alone. Safe for
// concurrent use; messages of one conversation are numbered in call order.
func (s *Server) Text(a Account, c Customer, text string) Update {
	return s.message(UpdateText, a, c, text)
}

// Does makes the next thing of any kind that a customer does, about an earlier
// message or none. The error says that the account's product has no such kind.
func (s *Server) Does(k UpdateKind, a Account, c Customer, text, about string) (Update, error) {
	if kinds := Kinds(a.Kind); !slices.Contains(kinds, k) {
		return Update{}, fmt.Errorf("type must be echo or one of %v", kinds)
	}
	switch k {
	case UpdateReaction, UpdateUnreaction, UpdateEdit, UpdateRevoke:
		if about == "" {
			return Update{}, fmt.Errorf("about is empty: type %s is about an earlier message", k)
		}
	}
	u := s.message(k, a, c, text)
	u.About = about
	return u, nil
}

// Kinds lists what customers can do on a product, by name.
func Kinds(product Kind) (list []UpdateKind) {
	kinds := whatsAppKinds
	if product == Instagram {
		kinds = instagramKinds
	}
	for k := range kinds {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func (s *Server) message(k UpdateKind, a Account, c Customer, text string) Update {
	key := ConversationKey(a, c)
	s.windows.wrote(a, c, s.o.Now())
	s.pacer.Heard(a, s.o.Now())
	n := s.ledger.nextNumber(key)
	return Update{Kind: k, Account: a, Customer: c, Number: n, Text: text, At: s.o.Now(),
		RemoteID: remoteID(a.Kind, s.o.Seed, "inbound", key, strconv.FormatInt(n, 10))}
}

// Echo makes a message the business wrote from another app. It has a number of
// its own for its id, and none in the ledger.
func (s *Server) Echo(a Account, c Customer, text string) Update {
	key := "echo/" + ConversationKey(a, c)
	n := strconv.FormatInt(s.ledger.nextNumber(key), 10)
	return Update{Kind: UpdateEcho, Account: a, Customer: c, Text: text, At: s.o.Now(),
		RemoteID: remoteID(a.Kind, s.o.Seed, "inbound", key, n)}
}
