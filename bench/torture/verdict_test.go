package torture

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// exchanged is a POST that began so long after noon, took so long, and came to a
// status.
func exchanged(after, took time.Duration, status int) exchange {
	return exchange{began: noon.Add(after), ended: noon.Add(after + took), status: status}
}

// Each promise that a fault tests is broken once, by what would be seen then, and
// nothing else is named.
func TestVerdict_NamesAPlantedBreach(t *testing.T) {
	served := []child.Event{{Pos: 1, Kind: child.KindReceived, Message: &child.Message{Text: "as it was"}}}
	flippedInto := func(text string) *flipped {
		f := &flipped{class: classTable, where: "000004.sst, byte 7, bit 0x1"}
		f.compare("t000", served, []child.Event{{Pos: 1, Kind: child.KindReceived, Message: &child.Message{Text: text}}})
		return f
	}
	short := &flipped{class: classLog, where: "000004.log, byte 7, bit 0x1"}
	short.compare("t000", served, nil)
	stall := func(late time.Duration, memory int64) *stallSeen {
		return &stallSeen{burst: noon, burstOver: noon.Add(5 * time.Second), from: noon.Add(10 * time.Second), until: noon.Add(40 * time.Second),
			list:       []exchange{exchanged(time.Second, 20*time.Millisecond, 200), exchanged(20*time.Second, 20*time.Second+late, 200)},
			memoryBase: 200 << 20, memory: memory}
	}
	for want, judge := range map[Rule]func(*Tally, *Verdict){
		Outlived: func(a *Tally, _ *Verdict) { (&afterError{failed: noon}).judge(a) },
		AckedAfterError: func(a *Tally, _ *Verdict) {
			(&afterError{failed: noon, ended: true, after: []exchange{exchanged(1, 1, 0), exchanged(1, 1, 200)}}).judge(a)
		},
		AckedFull:      func(a *Tally, _ *Verdict) { judgeFull(a, []exchange{exchanged(1, 1, 503), exchanged(1, 1, 200)}) },
		RefusedFull:    func(a *Tally, _ *Verdict) { (&ordeal{out: a}).works("read", errors.New("no space left")) },
		NotResumed:     func(a *Tally, _ *Verdict) { judgeResumed(a, false) },
		LateAfterStall: func(a *Tally, v *Verdict) { stall(71*time.Millisecond, 200<<20).judge(a, v) },
		Swelled:        func(a *Tally, v *Verdict) { stall(0, 305<<20).judge(a, v) },
		NotHandedOver:  func(a *Tally, _ *Verdict) { judgeHandover(a, false, 6) },
		WrongServed:    func(a *Tally, v *Verdict) { flippedInto("as it was not").judge(a, v) },
		Unnoticed:      func(a *Tally, v *Verdict) { short.judge(a, v) },
		StepUnnoticed:  func(a *Tally, _ *Verdict) { judgeStep(a, time.Hour, false) },
		StoodStill:     func(a *Tally, _ *Verdict) { judgeOwed(a, 3) },
	} {
		v := newVerdict(SyncError)
		judge(v.Tally, v)
		v.Trials = 1
		if len(v.Tally.Breaches) != 1 || v.Tally.Breaches[want] != 1 || !v.Red() {
			t.Errorf("%s: found %s", want, v.Tally.Names())
		}
		var text strings.Builder
		v.text(&text)
		named := slices.ContainsFunc(v.Tally.Claims(), func(c Claim) bool { return c.Broken == 1 && c.Chances > 0 })
		if !named || !strings.Contains(text.String(), "RED") || !strings.Contains(text.String(), string(want)+" 1") {
			t.Errorf("%s has no line:\n%s", want, text.String())
		}
	}
}

func TestVerdict_IsGreenWhenPromisesWereKept(t *testing.T) {
	v := newVerdict(SyncError)
	v.Trials = 1
	a := v.Tally
	(&afterError{failed: noon, ended: true, after: []exchange{exchanged(1, 1, 0)}}).judge(a)
	(&afterError{failed: noon, table: true, after: []exchange{exchanged(1, 1, 200)}}).judge(a)
	judgeFull(a, []exchange{exchanged(1, 1, 503), exchanged(1, 1, 0)})
	judgeResumed(a, true)
	judgeHandover(a, true, 6)
	judgeStep(a, time.Hour, true)
	judgeOwed(a, 0)
	(&stallSeen{burst: noon, burstOver: noon.Add(5 * time.Second), from: noon.Add(10 * time.Second), until: noon.Add(40 * time.Second),
		list: []exchange{exchanged(time.Second, 20*time.Millisecond, 200), exchanged(11*time.Second, 8*time.Second, 503),
			exchanged(39*time.Second, time.Second+69*time.Millisecond, 200)}, memoryBase: 200 << 20, memory: 303 << 20}).judge(a, v)
	noticed := &flipped{class: classLog, checked: errors.New("journal: gap")}
	noticed.compare("t000", []child.Event{{Pos: 1}}, nil)
	noticed.judge(a, v)
	if v.Red() {
		t.Errorf("found %s: %v", a.Names(), a.Examples)
	}
	if a.Chances[ChanceFull] != 1 || a.Chances[ChanceAfterError] != 1 || a.Chances[ChanceSyncErrors] != 2 {
		t.Errorf("chances %v", a.Chances)
	}
	if v.Outcomes["log, noticed by check, served less"] != 1 || v.Outcomes["POSTs answered 503 in a stall"] != 1 {
		t.Errorf("outcomes %v", v.Outcomes)
	}
}

func TestAnswers_KnowWhatWasAcknowledgedBefore(t *testing.T) {
	var a answers
	first, second := &metasim.Delivery{}, &metasim.Delivery{}
	a.posted(first, exchanged(0, 1, 503))
	a.posted(first, exchanged(1, 1, 200))
	a.posted(first, exchanged(2, 1, 200))
	a.posted(second, exchanged(3, 1, 200))
	var again []bool
	for _, x := range a.begun(noon.Add(-time.Hour), time.Time{}) {
		again = append(again, x.again)
	}
	if !slices.Equal(again, []bool{false, false, true, false}) {
		t.Errorf("%v", again)
	}
	tally := newTally()
	(&afterError{failed: noon, ended: true, after: a.list[2:3]}).judge(tally)
	judgeFull(tally, a.list[2:3])
	if tally.Red() || tally.Chances[ChanceAfterError] != 0 || tally.Chances[ChanceFull] != 0 {
		t.Errorf("what was durable before is acknowledged again: %s", tally.Names())
	}
}

func TestVerdict_IsRedWithoutATrialUnlessItSaysWhy(t *testing.T) {
	v := newVerdict(OOMKill)
	if !v.Red() {
		t.Error("nothing was tried, and it is green")
	}
	v.Skipped = "no control groups"
	r := newReport(Build{Commit: "c0ffee"})
	r.Faults = []*Verdict{v}
	if v.Red() || r.Red() || v.word() != "skipped" {
		t.Error("a machine that cannot show a fault makes the run red")
	}
	if text := r.Markdown(); !strings.Contains(text, "oom-kill: no control groups") || !strings.Contains(text, "git checkout c0ffee") {
		t.Error(text)
	}
}

func TestReport_TellsAStrangerWhatItTakes(t *testing.T) {
	r := newReport(Build{Commit: "c0ffee", SHA256: "abc", Tags: "torture", Go: "go1.26"})
	r.Seeds, r.Segments, r.Run.Command = []uint64{7}, 1, []string{"chumi", "torture", "--seed", "7"}
	r.Tally.Chances[ChanceMessages] = 3000
	text := r.Markdown()
	for _, want := range []string{"# chumi torture: green", "| commit | c0ffee |", "| built with | go1.26 -tags torture |", "| seeds | 7 |",
		"| lost | 0 | 3000 | acknowledged messages | at most 998 per million |", "bin/chumi-torture torture --seed 7\n", "## What was not tested", "power cut"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestBook_OfASkewedClockSaysNothingOfTools(t *testing.T) {
	s := newStory()
	s.Uses = []Use{{Tool: toolPay, ID: "1", Time: noon.Add(2 * time.Hour)}}
	call := child.Event{Kind: child.KindCalled, Turn: &child.Turn{ID: "turn", Calls: []child.ToolCall{{ID: "call", Name: toolPay, Args: []byte(`{"id":"1"}`)}}}}
	s.insert("conv_wa", call)
	s.insert("conv_wa", child.Event{Kind: child.KindToolStart, Tool: &child.Tool{Turn: "turn", Call: "call"}})
	s.insert("conv_wa", child.Event{Kind: child.KindToolEnd, Time: noon, Tool: &child.Tool{Turn: "turn", Call: "call"}})
	if tally := s.Audit(); tally.Breaches[ToolAgain] != 1 {
		t.Errorf("a call two hours after its result: %s", tally.Names())
	}
	s.Skewed = true
	if tally := s.Audit(); tally.Red() || tally.Chances[ChanceTimed] != 0 {
		t.Errorf("the engine's clock was two hours off: %s", tally.Names())
	}
}

func TestFlip_ChangesOneBitOfAByteOfTheFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"store/000004.sst": "table", "store/000005.log": "log", "store/MANIFEST-000001": "m",
		"store/OPTIONS-000003": "o", "store/LOCK": "", "secrets/kek": "key", "strikes": "s"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	files, err := flippable(dir)
	if err != nil || len(files) != 5 {
		t.Fatalf("%v, %v", files, err)
	}
	for class := range files {
		if !slices.Contains(flipClasses, class) {
			t.Errorf("class %q is never in turn", class)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		name, at, bit := choose(r, append(files[classTable], files[classLog]...))
		if !strings.HasPrefix(name, "store/") || at < 0 || at >= 5 || bit == 0 || bit&(bit-1) != 0 {
			t.Fatalf("%q, byte %d, bit %#x", name, at, bit)
		}
	}
	if err := flipBit(filepath.Join(dir, "store/000005.log"), 1, 0x20); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "store/000005.log")); string(got) != "lOg" {
		t.Errorf("%q", got)
	}
}

func TestOrders_AreTakenOnceNoted(t *testing.T) {
	o := newOrders(t.TempDir())
	n, err := o.set(failpoint.Order{Clock: time.Hour})
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if again, err := o.set(failpoint.Order{}); err != nil || again != 2 {
		t.Fatal(again, err)
	}
	lied := filepath.Join(t.TempDir(), "1.log")
	if err := os.WriteFile(lied, []byte("synced, and lost"), 0o600); err != nil {
		t.Fatal(err)
	}
	notes := `{"number":1,"what":"taken"}` + "\n" + `{"number":2,"what":"sync lied","file":"` + lied + `","synced":6}` + "\n" + `{"number":2,"wh`
	if err := os.WriteFile(o.path+failpoint.NotesSuffix, []byte(notes), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := o.await(context.Background(), 1, time.Second, failpoint.NoteTaken); !ok || got.Number != 1 {
		t.Error(got, ok)
	}
	if got, ok := o.await(context.Background(), 2, 0, failpoint.NoteTaken); ok {
		t.Error("an order that was not taken is", got)
	}
	if err := o.powerCut(2); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(lied); string(got) != "synced" {
		t.Errorf("after the power cut there is %q", got)
	}
}

func TestOnlyTables_AreWrittenAgain(t *testing.T) {
	failed := func(names ...string) (out []failpoint.Note) {
		for _, n := range names {
			out = append(out, failpoint.Note{What: failpoint.NoteFailed, File: n})
		}
		return out
	}
	if !onlyTables(failed("/d/1.sst", "/d/2.sst")) || onlyTables(failed("/d/1.sst", "/d/2.log")) || onlyTables(nil) {
		t.Error("a table is in the log still, and nothing else is")
	}
}

func TestOptions_OfFaults(t *testing.T) {
	o := Options{Faults: HostFaults()}
	o.EnsureDefaults()
	if err := o.Validate(); err != nil || o.Trials != DefaultTrials {
		t.Error(o.Trials, err)
	}
	for name, bad := range map[string]Options{"unknown": {Faults: []HostFault{"flood"}}, "in a cluster": {Faults: HostFaults(), Nodes: 3},
		"with steps": {Faults: HostFaults(), Steps: []string{stepRandom}}, "trials of nothing": {Trials: 3}} {
		bad.EnsureDefaults()
		if bad.Validate() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
