package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// What poison is answered is tried in cmd/chumi, with an engine.
func TestPoison_OfEveryKindIsInAFlood(t *testing.T) {
	world := child.NewWorld(2)
	f := NewPoisonFlood(world, 3000, 1, time.Now())
	seen, shares := map[string]int{}, 0
	for i := range f.Len() {
		seen[f.Kind(i).Name]++
	}
	for _, k := range poisons() {
		if shares += k.share; seen[k.Name] == 0 {
			t.Errorf("no %q", k.Name)
		}
	}
	if shares != 1000 {
		t.Errorf("the shares add up to %d", shares)
	}
}

// The audit of a run looks for the messages of its requests by what remote ids end in.
// Poison counted as one of them would hide a message that was lost.
func TestPoison_IsNeverTakenForAMessageThatCounts(t *testing.T) {
	world := child.NewWorld(2)
	f := NewPoisonFlood(world, 3000, 1, time.Now())
	ids := 0
	for i := range f.Len() {
		for rest := f.At(i); ; {
			_, after, found := bytes.Cut(rest, []byte(`"id":"wamid.`))
			if !found {
				break
			}
			id, _, _ := bytes.Cut(after, []byte(`"`))
			if n, taken := requestOf("wamid." + string(id)); taken {
				t.Fatalf("the id %q of %q counts as request %d", id, f.Kind(i).Name, n)
			}
			ids++
			rest = after
		}
		if good := world.Channels[0].PhoneNumberID; bytes.Contains(f.At(i), []byte(good)) {
			t.Fatalf("%q is written to a tenant that others write to", f.Kind(i).Name)
		}
	}
	if ids < 2000 {
		t.Errorf("only %d ids were looked at", ids)
	}
}

func TestPoisonResult_SaysWhatWasAnsweredWrong(t *testing.T) {
	r := &Report{Poison: &PoisonResult{Answers: []PoisonAnswers{
		{Kind: "as it should be", Want: 401, Got: map[int]int64{401: 7}},
		{Kind: "crashed", Want: 200, Got: map[int]int64{0: 2, 200: 5, 503: 1}}},
		Quarantined: map[string]int64{"unknown_account": 3}}}
	text := r.Text()
	for _, want := range []string{"answered nothing: 2, 200: 5, 503: 1", "WRONG: 3 are not 200", "quarantined: unknown_account 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Count(text, "WRONG") != 1 {
		t.Errorf("what was right is called wrong:\n%s", text)
	}
	r.void()
	if b, err := json.Marshal(r); err != nil || strings.Contains(string(b), "crashed") {
		t.Errorf("a lossy run still tells of poison: %v, %s", err, b)
	}
}
