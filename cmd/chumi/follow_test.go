package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// TestFollowOneMessage is the README's "Follow one message": a customer writes
// on WhatsApp, and each station of the message is looked at from outside.
func TestFollowOneMessage(t *testing.T) {
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap)
	dir := t.TempDir()
	e := startEngine(t, dir, bootstrap, args...)
	sims.meta.SetHooks("http://" + e.edge)
	events := e.stream("key-of-acme")

	// 1 and 2, edge and webhook: signed, posted, answered 200.
	account, _ := sims.meta.Account("acme-wa")
	said := sims.meta.Text(account, metasim.Customer{ID: "4915550100042", Name: "Ada"}, "Are you open on Saturday? #4711")
	if err := sims.meta.Deliver(t.Context(), said); err != nil {
		t.Fatalf("1 edge: the webhook was not answered 200: %v", err)
	}
	if _, text := get(t, "http://"+e.ops+"/metrics", ""); !strings.Contains(text, `chumi_webhook_updates_total{kind="message"} 1`) {
		t.Error("2 webhook: the message was not counted as decoded")
	}

	seen := until(t, events, func(ev apiEvent) bool { return ev.Status != nil && ev.Status.Status == "read" })
	first := func(kind string) apiEvent {
		t.Helper()
		i := slices.IndexFunc(seen, func(ev apiEvent) bool { return ev.Kind == kind })
		if i < 0 {
			t.Fatalf("there is no %s", kind)
		}
		return seen[i]
	}

	// 3, ingress: the account led to its tenant, and to no other.
	if got := first("message_received").TenantID; got != "acme" {
		t.Errorf("3 ingress: the message is of tenant %q", got)
	}
	if _, list := get(t, "http://"+e.api+"/v1/conversations", "key-of-bolt"); strings.Contains(list, "conv_") {
		t.Errorf("3 ingress: another tenant sees it: %s", list)
	}
	// 4, conversation: Step decided that it began with this message.
	if got := first("message_received"); got.Message.Text != said.Text || *got.Message.RemoteID != said.RemoteID {
		t.Errorf("4 conversation: another message was recorded: %s", got.line)
	}
	// 5, journal: numbered without a gap.
	gapFree(t, seen)
	// 6, effects: the turn starts after the message is durable.
	if first("turn_started").Seq < first("message_received").Seq {
		t.Error("6 effects: the turn started before the message was stored")
	}
	// 7, turn: the answer is recorded before it is used, and is to what was asked.
	answered, queued := first("turn_answered"), first("message_queued")
	if answered.Seq >= queued.Seq || !strings.Contains(answered.Turn.Answer, queued.Message.Text) || !strings.Contains(queued.Message.Text, "#4711") {
		t.Errorf("7 turn: %s then %s", answered.line, queued.line)
	}
	// 8, send: one attempt, announced first, with our id in the callback.
	sends := sims.meta.Sends()
	if len(sends) != 1 || sends[0].Callback != queued.Message.ID || sends[0].Text != queued.Message.Text {
		t.Errorf("8 send: Graph got %+v", sends)
	}
	if first("attempt_started").Seq >= first("message_accepted").Seq {
		t.Error("8 send: accepted before the attempt was announced")
	}
	// 9, status: each report found the message.
	for _, ev := range seen {
		if ev.Status != nil && (ev.Status.MessageID == nil || *ev.Status.MessageID != queued.Message.ID) {
			t.Errorf("9 status: a report did not find its message: %s", ev.line)
		}
	}

	e.stop()
	gapFree(t, exported(t, dir, "acme"))
	checked(t, dir)
}
