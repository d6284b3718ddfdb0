package actors

import (
	"context"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func callOf(tenant chat.TenantID) *call {
	c := &call{turnJob: turnJob{tenant: tenant}}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// A tenant with a hundred times the calls leaves room for another one, which is served
// at once and not after a call of the noisy one has ended.
func TestPlaces_NoTenantHoldsAll(t *testing.T) {
	p := newPlaces(8, 0)
	var noisy []*call
	for range 800 {
		if c := callOf("noisy"); p.take(c) {
			noisy = append(noisy, c)
		}
	}
	if len(noisy) != 6 {
		t.Fatalf("the noisy tenant holds %d of 8 places, want 6", len(noisy))
	}
	quiet := []*call{callOf("quiet"), callOf("quiet")}
	for i, c := range quiet {
		if !p.take(c) {
			t.Fatalf("call %d of the quiet tenant waits", i)
		}
	}
	late := callOf("quiet")
	if p.take(late) {
		t.Fatal("nine calls hold eight places")
	}
	// Above the bound they take turns: the noisy tenant is before the quiet one in line,
	// and does not get the second place.
	first, second := p.pass(quiet[0]), p.pass(noisy[0])
	if first != late || second == nil || second.tenant != "noisy" {
		t.Errorf("the places of a quiet and a noisy call went to %v and %v", first, second)
	}
	// What is over leaves nothing behind.
	p.empty()
	for _, c := range append(noisy[1:], quiet[1], first, second) {
		if next := p.pass(c); next != nil {
			t.Errorf("a place went to %v", next)
		}
	}
	if p.free != 8 || len(p.held) != 0 {
		t.Errorf("%d free, held %v", p.free, p.held)
	}
}

func TestPlaces_SkipsWhoGaveUp(t *testing.T) {
	p := newPlaces(1, 0)
	a, b, c := callOf("a"), callOf("b"), callOf("b")
	if !p.take(a) || p.take(b) || p.take(c) {
		t.Fatal("one place holds one call")
	}
	b.cancel(nil)
	if next := p.pass(a); next != c {
		t.Errorf("the place went to %v", next)
	}
}
