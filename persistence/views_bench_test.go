package persistence

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// filled is a store in memory with conversations of 20 messages each.
func filled(b *testing.B, conversations int) *Store {
	b.Helper()
	s := openTest(b, testOptions(b, vfs.NewMem()))
	b.Cleanup(func() { mustPut(b, s.Close()) })
	ensure(b, s, "acme")
	for i := range conversations {
		k := newTalker(b, s, "acme", i)
		for range 20 {
			k.say(b, "Is the blue one still there, and what does it cost with delivery?")
		}
	}
	return s
}

func BenchmarkViews_Feed(b *testing.B) {
	s := filled(b, 500)
	events := 0
	for b.Loop() {
		mustPut(b, s.Export("acme", func(chat.Event) error { events++; return nil }))
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkViews_Conversations(b *testing.B) {
	s := filled(b, 500)
	for b.Loop() {
		page, _, err := s.Views().Conversations(context.Background(), "acme", "", 50)
		if err != nil || len(page) != 50 {
			b.Fatal(len(page), err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s := filled(b, 500)
	events := int64(0)
	for b.Loop() {
		report, err := s.Check(context.Background(), nil)
		if err != nil || report.Broken > 0 {
			b.Fatal(report.Violations, err)
		}
		events += report.Events
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkDirectory_Authenticate(b *testing.B) {
	s := openTest(b, testOptions(b, vfs.NewMem()))
	b.Cleanup(func() { mustPut(b, s.Close()) })
	d := directoryOf(b, s)
	mustPut(b, d.PutTenant(context.Background(), chat.Tenant{ID: "acme"}),
		d.PutAPIKey(context.Background(), "acme", "sk-1", []string{"*"}))
	for b.Loop() {
		if _, ok := d.Authenticate("sk-1"); !ok {
			b.Fatal("refused")
		}
	}
}

func BenchmarkStrikes(b *testing.B) {
	s, err := OpenStrikes(b.TempDir()+"/strikes", strikeDay)
	mustPut(b, err)
	for b.Loop() {
		slot, _ := s.Enter(7)
		s.Leave(slot)
	}
	mustPut(b, s.Close())
}
