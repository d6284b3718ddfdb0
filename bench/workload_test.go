package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

func smallWorkload() Workload {
	return Workload{Tenants: 3, Conversations: 10, Skew: 1.1, Instagram: 0.2, Seed: 1}
}

func TestRequests_AreSignedValidAndUnique(t *testing.T) {
	world := child.NewWorld(3)
	r := BuildRequests(world, smallWorkload(), 500, time.Unix(1_790_000_000, 0))
	seen := map[string]bool{}
	instagram := 0
	for i := range r.Len() {
		head, body, ok := bytes.Cut(r.At(i), []byte("\r\n\r\n"))
		if !ok {
			t.Fatalf("request %d has no body", i)
		}
		if want := metasim.Sign(world.Apps[0].Secret, body); !strings.Contains(string(head), "X-Hub-Signature-256: "+want) {
			t.Fatalf("request %d is not signed over its body", i)
		}
		if !json.Valid(body) {
			t.Fatalf("request %d is not JSON: %s", i, body)
		}
		if seen[string(body)] {
			t.Fatalf("request %d repeats a body", i)
		}
		seen[string(body)] = true
		if bytes.Contains(body, []byte(`"object":"instagram"`)) {
			instagram++
		}
		if c := r.Conversation(i); c < 0 || c >= 30 {
			t.Fatalf("request %d is of conversation %d", i, c)
		}
	}
	if instagram == 0 || instagram == r.Len() {
		t.Errorf("%d of %d are Instagram", instagram, r.Len())
	}
	again := BuildRequests(world, smallWorkload(), 500, time.Unix(1_790_000_000, 0))
	if !bytes.Equal(again.arena, r.arena) {
		t.Error("the same seed gave other bodies")
	}
}

// A batch holds what single webhooks would.
func TestWorkload_BatchHoldsEachMessageOnce(t *testing.T) {
	const n = 7
	world, w, now := child.NewWorld(3), Workload{Tenants: 3, Conversations: 10}, time.Unix(1_790_000_000, 0)
	type hook struct {
		Object string
		Entry  []json.RawMessage
	}
	var batch hook
	if err := json.Unmarshal(w.appendBatch(nil, world, 5, 100, n, now), &batch); err != nil || len(batch.Entry) != n {
		t.Fatalf("%d entries, %v", len(batch.Entry), err)
	}
	for k := range n {
		var one hook
		if err := json.Unmarshal(w.appendBody(nil, world, uint64(5+k), 100+k, now), &one); err != nil {
			t.Fatal(err)
		}
		if one.Object != batch.Object || !bytes.Equal(one.Entry[0], batch.Entry[k]) {
			t.Errorf("entry %d is\n%s\nalone it is\n%s", k, batch.Entry[k], one.Entry[0])
		}
	}
}

func TestRequests_NoiseIsOfTheFirstTenant(t *testing.T) {
	const others, times, n = 20, 100, 12_000
	w := Workload{Tenants: others + 1, Conversations: 50, Noise: times, Seed: 1}
	r := BuildRequests(child.NewWorld(w.Tenants), w, n, time.Now())
	count := make([]int, w.Tenants)
	people := map[int]bool{}
	for i := range r.Len() {
		c := r.Conversation(i)
		count[c%w.Tenants]++
		people[c] = true
	}
	if share := float64(count[0]) / n; share < 0.8 || share > 0.87 {
		t.Errorf("the first tenant has %.2f of the messages, want 100 of 120", share)
	}
	for tenant, c := range count[1:] {
		if c < 60 || c > 140 {
			t.Errorf("tenant %d has %d messages, want about 100", tenant+1, c)
		}
	}
	if len(people) < w.Conversations*others/2 {
		t.Errorf("%d people wrote", len(people))
	}
}

func TestRequests_EveryLeavesConversationsOut(t *testing.T) {
	const every, n = 7, 200
	w := Workload{Tenants: 4, Conversations: 35, Every: every, Seed: 1}
	r := BuildRequests(child.NewWorld(4), w, n, time.Now())
	seen, tenants := map[int]bool{}, map[int]bool{}
	for i := range n {
		c := r.Conversation(i)
		if c%every != 0 || c >= w.Tenants*w.Conversations {
			t.Fatalf("request %d writes to conversation %d", i, c)
		}
		seen[c], tenants[c%w.Tenants] = true, true
	}
	if len(seen) != w.Tenants*w.Conversations/every || len(tenants) != w.Tenants {
		t.Errorf("%d conversations of %d tenants, want 20 of 4", len(seen), len(tenants))
	}
}

func TestRequests_FindTheirIndexInTheRemoteID(t *testing.T) {
	world := child.NewWorld(1)
	r := BuildRequests(world, Workload{Tenants: 1, Conversations: 4, InTurn: true, Instagram: 0.5, Seed: 1}, 8, time.Now())
	for i := range r.Len() {
		body := string(r.At(i))
		key := `"id":"wamid.`
		if strings.Contains(body, `"mid":"`) {
			key = `"mid":"`
		}
		_, rest, _ := strings.Cut(body, key)
		remote, _, _ := strings.Cut(rest, `"`)
		if got, ok := requestOf(remote); !ok || got != i {
			t.Errorf("remote id %q gives %d, want %d", remote, got, i)
		}
		if r.Conversation(i) != i%4 {
			t.Errorf("request %d is of conversation %d, want them in turn", i, r.Conversation(i))
		}
	}
	if _, ok := requestOf("short"); ok {
		t.Error("a foreign id was taken for one of ours")
	}
}

func TestWorkload_SkewPrefersFewConversations(t *testing.T) {
	top := func(skew float64) int {
		w := smallWorkload()
		w.Skew, w.Conversations = skew, 100
		r := BuildRequests(child.NewWorld(3), w, 3000, time.Now())
		counts := map[int]int{}
		best := 0
		for i := range r.Len() {
			counts[r.Conversation(i)]++
			best = max(best, counts[r.Conversation(i)])
		}
		return best
	}
	if even, skewed := top(0), top(1.1); even > 60 || skewed < 300 {
		t.Errorf("busiest conversation: %d of 3000 without skew, %d with", even, skewed)
	}
}

// Replies are measured over so many numbers and accounts that none comes near its
// pace: otherwise the pace would be what is measured.
func TestReplyWorkload_StaysFarBelowThePace(t *testing.T) {
	for _, tc := range []struct{ rate, instagram float64 }{{500, 0.2}, {500, 0}, {500, 1}, {5000, 0.2}, {1, 0.2}} {
		o := Options{ReplyRate: tc.rate, Tenants: 3, Seed: 1, Warm: time.Second, Instagram: tc.instagram}
		w := o.replyWorkload()
		n := o.replyMessages()
		r := BuildRequests(child.NewWorld(w.Tenants), w, n, time.Now())
		loads := map[int]float64{}
		for i := range n {
			conv := r.Conversation(i)
			tenant, load := conv%w.Tenants, 2/80.0 // in and out
			if w.instagram(conv / w.Tenants) {
				tenant, load = -1-tenant, 1/100.0
			}
			loads[tenant] += load / (o.Warm + replyFor).Seconds()
		}
		for channel, load := range loads {
			if load > 0.2 {
				t.Errorf("at %v/s with %v Instagram channel %d of %d uses %.2f of its pace", tc.rate, tc.instagram, channel, 2*w.Tenants, load)
			}
		}
		if total := w.Tenants * w.Conversations; total < n/2 || total > n+w.Tenants {
			t.Errorf("at %v/s: %d conversations for %d messages", tc.rate, total, n)
		}
	}
}
