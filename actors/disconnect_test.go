package actors

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Unbind implements Binder.
func (a *account) Unbind(_ context.Context, _ chat.ChannelID, at chat.Millis) error {
	a.with(func() { a.ch.Token, a.ch.Disconnected = "", at })
	return nil
}

// neighbour is an account whose WABA has another number, and Meta's side of giving it
// up.
type neighbour struct {
	*account
	other  chat.Channel
	asked  []string
	refuse error
}

// Channels implements Registry.
func (n *neighbour) Channels(chat.TenantID) []chat.Channel {
	return []chat.Channel{n.channel(), n.other}
}

// Unsubscribe implements Releaser.
func (n *neighbour) Unsubscribe(_ context.Context, ch chat.Channel) error {
	n.asked = append(n.asked, "unsubscribe as "+ch.Token.Reveal())
	return n.refuse
}

// Deregister implements Releaser.
func (n *neighbour) Deregister(_ context.Context, ch chat.Channel) error {
	n.asked = append(n.asked, "deregister "+ch.Account)
	return n.refuse
}

// What giving a channel up asks of Meta, and what it does whatever Meta answers.
func TestChannels_Disconnect(t *testing.T) {
	other := chat.Channel{ID: "acme-2", Tenant: "acme", App: "meta", Kind: chat.WhatsApp, WABA: "9001", Token: "x"}
	gone := other
	gone.Token, gone.Disconnected = "", 1
	elsewhere := other
	elsewhere.App = "another"
	for name, tc := range map[string]struct {
		other      chat.Channel
		deregister bool
		refuse     error
		asked      []string
		left       []chat.Leftover
	}{
		"the last of its WABA":               {other: gone, asked: []string{"unsubscribe as old"}},
		"the last of its app on the WABA":    {other: elsewhere, asked: []string{"unsubscribe as old"}},
		"with its registration":              {other: gone, deregister: true, asked: []string{"unsubscribe as old", "deregister acme-wa"}},
		"another number needs the webhooks":  {other: other, left: []chat.Leftover{{What: "subscription", Reason: "shared_waba"}}},
		"the token is dead":                  {other: gone, refuse: refusedToken(), asked: []string{"unsubscribe as old"}, left: []chat.Leftover{{What: "subscription", Reason: "token_invalid"}}},
		"Meta does not answer, for both":     {other: gone, deregister: true, refuse: context.DeadlineExceeded, asked: []string{"unsubscribe as old", "deregister acme-wa"}, left: []chat.Leftover{{What: "subscription", Reason: "unavailable"}, {What: "registration", Reason: "unavailable"}}},
		"another needs them, and Meta balks": {other: other, deregister: true, refuse: refusedToken(), asked: []string{"deregister acme-wa"}, left: []chat.Leftover{{What: "subscription", Reason: "shared_waba"}, {What: "registration", Reason: "token_invalid"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &neighbour{account: newAccount(chat.WhatsApp), other: tc.other, refuse: tc.refuse}
				o := options(n.memStore, echoModel(), &ledgerGraph{})
				o.Directory, o.Registry, o.Accounts, o.Onboarding, o.Binder, o.Releaser = n, n, n, n, n, n
				o.SweepEvery = 24 * time.Hour
				s := started(t, o)
				defer ended(t, s)
				left, err := s.Channels().Disconnect(t.Context(), "acme", "acme-wa", tc.deregister)
				if err != nil || !slices.Equal(left, tc.left) || !slices.Equal(n.asked, tc.asked) {
					t.Errorf("asked %q, left %+v, %v", n.asked, left, err)
				}
				_, st, err := s.Channels().Channel("acme", "acme-wa")
				if err != nil || n.channel().Token != "" || st.Sending(time.Now()) != "disconnected" || n.state().Disconnected.IsZero() {
					t.Errorf("given up: token %q, %+v, %v", n.channel().Token.Reveal(), st, err)
				}
				before, checks := n.changes(chat.ChannelChanged), n.checks
				if left, err := s.Channels().Disconnect(t.Context(), "acme", "acme-wa", true); err != nil || len(left) != 0 || len(n.asked) != len(tc.asked) {
					t.Errorf("again: left %+v, %v", left, err)
				}
				if now := n.changes(chat.ChannelChanged); now != before {
					t.Errorf("a repetition is %d events", now-before)
				}
				// Nobody looks after it any more.
				settle(48 * time.Hour)
				if n.checks != checks && tc.other.Disconnected != 0 {
					t.Errorf("Meta was asked %d times about a channel that was given up", n.checks-checks)
				}
				if _, err := s.Channels().Disconnect(t.Context(), "bolt", "acme-wa", false); chat.KindOf(err) != chat.KindNotFound {
					t.Errorf("another tenant's channel: %v", err)
				}
			})
		})
	}
}
