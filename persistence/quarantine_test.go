package persistence

import (
	"context"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/chumiai/chumi/chat"
)

func TestQuarantine_KeepsListsAndForgets(t *testing.T) {
	ctx, fs := context.Background(), vfs.NewMem()
	s := storeOn(t, fs)
	q := directoryOf(t, s).Quarantine()
	var want []string
	for i := range 5 {
		in := &chat.Inbound{Kind: chat.InboundMessage, App: "meta", ChannelKind: chat.WhatsApp, Account: "77",
			Remote: chat.RemoteID("wamid." + string(rune('a'+i))), Type: "text", Text: "hi \xff", Time: strikeDay,
			Customer: []chat.Address{{Kind: chat.WaID, Value: "4915"}}, Ours: true, Raw: []byte{0xff, byte(i)},
			Content: &chat.Content{Identity: &chat.IdentityChange{Kind: "number_changed", Became: []chat.Address{{Kind: chat.WaID, Value: "4916"}}}}}
		mustPut(t, q.Keep(ctx, "meta", "unbound", in, strikeDay), q.Keep(ctx, "meta", "unbound", in, strikeDay.AddDate(0, 0, 1)))
		want = append(want, string(in.Remote))
	}
	mustPut(t, q.Keep(ctx, "meta-2", "unbound", &chat.Inbound{Account: "1"}, strikeDay))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	q = directoryOf(t, storeOn(t, fs)).Quarantine()
	var got []string
	var first Held
	for after := ""; ; {
		page, next, err := q.Pending("meta", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page {
			got = append(got, string(h.Inbound.Remote))
			if h.Inbound.Remote == "wamid.a" {
				first = h
			}
		}
		if after = next; next == "" {
			break
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("pending %v, want %v", got, want)
	}
	wantHeld := Held{ID: first.ID, App: "meta", Reason: "unbound", Kept: strikeDay, Inbound: chat.Inbound{
		Kind: chat.InboundMessage, App: "meta", ChannelKind: chat.WhatsApp, Account: "77", Remote: "wamid.a", Type: "text",
		Text: "hi \uFFFD", Time: strikeDay, Customer: []chat.Address{{Kind: chat.WaID, Value: "4915"}}, Ours: true, Raw: []byte{0xff, 0},
		Content: &chat.Content{Identity: &chat.IdentityChange{Kind: "number_changed", Became: []chat.Address{{Kind: chat.WaID, Value: "4916"}}}}}}
	if diff := cmp.Diff(wantHeld, first); diff != "" {
		t.Errorf("an item read back differs:\n%s", diff)
	}
	mustPut(t, q.Remove(ctx, "meta", first.ID), q.Remove(ctx, "meta", first.ID))
	if page, _, err := q.Pending("meta", "", 10); err != nil || len(page) != 4 {
		t.Errorf("after a removal %d items are pending, want 4 (%v)", len(page), err)
	}
	if page, _, err := q.Pending("meta-2", "", 10); err != nil || len(page) != 1 {
		t.Errorf("another app has %d items, want 1 (%v)", len(page), err)
	}
}
