package torture

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

func TestSteps_HoldEveryFailpointOnce(t *testing.T) {
	seen := map[string]int{}
	for _, s := range Steps() {
		seen[s.Name]++
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("step %s is listed %d times", name, n)
		}
	}
	for _, p := range failpoint.Points() {
		if seen[string(p)] == 0 {
			t.Errorf("failpoint %s is no step", p)
		}
	}
}

func TestOptions_UnknownStepIsRefused(t *testing.T) {
	o := Options{Steps: []string{stepRandom, "before-breakfast"}}
	o.EnsureDefaults()
	if err := o.Validate(); err == nil {
		t.Error("no error")
	}
}

func TestReport_IsRedForASkippedStepAndAMissedBug(t *testing.T) {
	fine := newReport(Build{})
	if fine.Red() {
		t.Error("an empty report is red")
	}
	skipped := newReport(Build{})
	skipped.Skipped = []string{stepRandom}
	missed := newReport(Build{})
	missed.Plants = []Planting{{Bug: string(failpoint.BugNoSync)}}
	nervous := newReport(Build{})
	nervous.Plants = []Planting{{Bug: control, Found: true, By: "lost 1"}}
	for name, r := range map[string]*Report{"skipped step": skipped, "missed bug": missed, "red control": nervous} {
		if !r.Red() || !strings.HasSuffix(r.Text(), "RED\n") {
			t.Errorf("%s: not red:\n%s", name, r.Text())
		}
	}
}

func TestResume_AddsUpOneBuildOnly(t *testing.T) {
	o := Options{Resume: filepath.Join(t.TempDir(), "totals.json"), Seed: 2}
	o.EnsureDefaults()
	first := newReport(Build{SHA256: "aaaa"})
	first.Seeds = []uint64{1}
	first.add(&Segment{Kills: map[string]int64{stepRandom: 3}, Idle: 1, Tally: &Tally{Chances: map[string]int64{ChanceMessages: 10}}})
	if err := first.write(o.Resume); err != nil {
		t.Fatal(err)
	}
	again, err := resume(&o, Build{SHA256: "aaaa"})
	if err != nil {
		t.Fatal(err)
	}
	again.add(&Segment{Kills: map[string]int64{stepRandom: 2}, Tally: &Tally{Chances: map[string]int64{ChanceMessages: 5}}})
	if again.Total() != 5 || again.Tally.Chances[ChanceMessages] != 15 || again.Segments != 2 || len(again.Seeds) != 2 {
		t.Errorf("totals %+v %+v", again, again.Tally)
	}
	if _, err := resume(&o, Build{SHA256: "bbbb"}); err == nil {
		t.Error("totals of another build were taken")
	}
	o.Force = true
	if _, err := resume(&o, Build{SHA256: "bbbb"}); err != nil {
		t.Errorf("forced: %v", err)
	}
	o.Nodes = 3
	if _, err := resume(&o, Build{SHA256: "aaaa"}); err == nil {
		t.Error("totals of single engines were taken for a cluster")
	}
	if err := os.WriteFile(o.Resume, []byte("no report"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := resume(&o, Build{}); err == nil {
		t.Error("a broken file was taken")
	}
}

func TestCampaign_RotatesOverStepsAndMakesUpForIdleKills(t *testing.T) {
	o := Options{Kills: 3, SegmentKills: 10, Log: io.Discard}
	o.EnsureDefaults()
	c := &campaign{o: o, steps: stepsNamed([]string{stepRandom, stepGraphAnswered}), report: newReport(Build{}), killsLeft: 3}
	next := c.takeSteps()
	var names []string
	for {
		s, ok := next()
		if !ok {
			break
		}
		names = append(names, s.Name)
		c.told(kill{step: s, at: s.Name, counted: len(names) > 1}, 1)
	}
	if got := strings.Join(names, " "); got != "random graph-answered random graph-answered" {
		t.Errorf("steps %q; the first kill did not count and must be made up for", got)
	}
	if c.killed != 3 {
		t.Errorf("%d kills counted, want 3", c.killed)
	}
}

func TestFeed_KnowsWhatIsOwed(t *testing.T) {
	f := newFeed(nil, "t000", "", nil)
	f.since = time.Now().Add(-time.Hour)
	pos := uint64(0)
	show := func(e child.Event) {
		pos++
		e.Pos, e.Conversation = pos, "conv_a"
		f.add(&e)
		f.latest = time.Now().Add(-time.Hour)
	}
	owes := func(want bool, when string) {
		t.Helper()
		if f.drained(time.Second) == want {
			open, waiting, _ := f.debts()
			t.Errorf("%s: %d open, %d waiting", when, open, waiting)
		}
	}
	owes(false, "before anything")
	show(child.Event{Kind: child.KindReceived, Message: &child.Message{Text: "says #1"}})
	owes(true, "after a message")
	show(child.Event{Kind: child.KindQueued, Message: &child.Message{ID: "m1", Author: authorAssistant, Text: "(answer to #1)"}})
	owes(true, "while the reply is queued")
	show(child.Event{Kind: child.KindStatus, Status: &child.Status{MessageID: "m1", Status: statusUnknown}})
	show(child.Event{Kind: child.KindAttempt, Attempt: &child.Attempt{MessageID: "m1"}})
	owes(true, "while it is attempted again")
	show(child.Event{Kind: child.KindAccepted, Attempt: &child.Attempt{MessageID: "m1"}})
	owes(false, "after it was accepted")
	show(child.Event{Kind: child.KindReceived, Message: &child.Message{Text: "says #2"}})
	show(child.Event{Kind: child.KindHandoff})
	owes(false, "with people")
	f.add(&child.Event{Pos: 1, Conversation: "conv_b", Kind: child.KindReceived, Message: &child.Message{Text: "says #1"}})
	owes(false, "after an event shown again")
}

func TestGraphFault_DependsOnTheMessageAloneAndEnds(t *testing.T) {
	faults := 0
	for n := range 2000 {
		s := metasim.Send{Kind: metasim.WhatsApp, Account: "1", To: "2", Callback: string(rune('a'+n%26)) + strings.Repeat("x", n/26), Attempt: 1}
		f := graphFault(7, 1, s)
		if f != graphFault(7, 1, s) {
			t.Fatal("the same attempt met another fault")
		}
		if f != metasim.FaultNone {
			faults++
		}
		if s.Attempt = faultAttempts + 1; graphFault(7, 9, s) != metasim.FaultNone {
			t.Fatal("faults do not end")
		}
	}
	if faults < 120 || faults > 280 {
		t.Errorf("%d of 2000 sends fail, want about one in ten", faults)
	}
}
