package bench

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// peerReport is five rounds in which the engine does ours a second and each other
// contender what is given, 64 connections, both loops.
func peerReport(ours float64, others map[string]float64) *PeerReport {
	p := &PeerReport{Contenders: ownContenders(), Conns: []int{64}, Repeats: 5, Checked: 4711}
	add := func(name string, rate float64) {
		for n := 1; n <= 5; n++ {
			p.Rounds = append(p.Rounds, Round{Number: n, Target: name, Conns: 64, Row: RowClosed, Throughput: rate + float64(n-3), ServerCPU: 50})
			p.Searches = append(p.Searches, Search{Number: n, Target: name, Conns: 64, Rate: rate + float64(n-3), CPU: 60})
		}
	}
	add(TargetEngine, ours)
	for name, rate := range others {
		if p.contender(name) == nil {
			p.Contenders = append(p.Contenders, Contender{Name: name, Title: name, Durability: SyncedFirst, peer: true})
		}
		add(name, rate)
	}
	p.Syncs = []SyncCount{{Target: TargetEngine, PerMessage: 0.05, Source: "strace"}}
	p.sum()
	return p
}

func TestStanding_IsTheMedianOfValidRoundsWithItsRange(t *testing.T) {
	p := peerReport(10000, nil)
	p.Rounds = append(p.Rounds, Round{Number: 6, Target: TargetEngine, Conns: 64, Row: RowClosed, Throughput: 99999, Invalid: "others used 40 % of a CPU"})
	p.Searches = append(p.Searches, Search{Number: 6, Target: TargetEngine, Conns: 64, Rate: 99999, Invalid: "others used 40 % of a CPU"})
	p.sum()
	s := p.standingOf(TargetEngine, 64)
	want := Spread{Rounds: 5, Median: 10000, Min: 9998, Max: 10002}
	if s.Closed != want || s.Open != want {
		t.Errorf("closed %+v, open %+v; want %+v", s.Closed, s.Open, want)
	}
	if s.OpenCPU.Median != 60 || s.ClosedCPU.Median != 50 {
		t.Errorf("CPU %+v and %+v", s.OpenCPU, s.ClosedCPU)
	}
}

func TestStanding_NearerThan1_3IsATie(t *testing.T) {
	for _, c := range []struct {
		theirs float64
		want   string
	}{
		{10000, VerdictTie}, {7700, VerdictTie}, {12900, VerdictTie}, // 1.299 and 1/1.29
		{7500, "1.3 x"}, {13400, "0.75 x"}, {2000, "5 x"}, {40000, "0.25 x"},
	} {
		s := peerReport(10000, map[string]float64{"redis-stream": c.theirs}).standingOf("redis-stream", 64)
		if s.OpenVerdict.String() != c.want || s.ClosedVerdict.String() != c.want {
			t.Errorf("10000 against %v: %v open, %v closed; want %v", c.theirs, s.OpenVerdict, s.ClosedVerdict, c.want)
		}
	}
}

func TestStanding_NoRatioAcrossDurabilities(t *testing.T) {
	p := peerReport(10000, map[string]float64{BoundHMAC: 50000, BoundWAL: 30000})
	if v := p.standingOf(BoundHMAC, 64).OpenVerdict; v.Verdict != VerdictClass || v.Ratio != 0 {
		t.Errorf("against a handler that stores nothing: %v", v)
	}
	if v := p.standingOf(BoundWAL, 64).OpenVerdict; v.Ratio == 0 {
		t.Errorf("against one of the same durability: %v", v)
	}
}

func TestStanding_NoRatioOfTooFewRounds(t *testing.T) {
	p := peerReport(10000, map[string]float64{"nats": 2000})
	for i := range p.Searches {
		if p.Searches[i].Target == "nats" && p.Searches[i].Number > ratioRounds-1 {
			p.Searches[i].Invalid = "others used 40 % of a CPU"
		}
	}
	p.sum()
	s := p.standingOf("nats", 64)
	if s.OpenVerdict.Verdict != VerdictFew || s.OpenVerdict.Ratio != 0 {
		t.Errorf("two valid rounds give %v", s.OpenVerdict)
	}
	if s.ClosedVerdict.Ratio == 0 {
		t.Errorf("five valid rounds give %v", s.ClosedVerdict)
	}
}

func TestStanding_LossyContenderHasNone(t *testing.T) {
	p := peerReport(10000, map[string]float64{"nats": 2345})
	p.Lossy = []string{"nats"}
	p.sum()
	text := (&Report{Peers: p}).Text()
	if p.standingOf("nats", 64) != nil || strings.Contains(text, "2345") || !strings.Contains(text, "LOST OR DOUBLED") {
		t.Errorf("figures of a contender that lost messages:\n%s", text)
	}
}

func TestSearch_AFailureThatOthersMayHaveCausedIsInvalid(t *testing.T) {
	for _, c := range []struct {
		name           string
		round          Round
		invalid, limit bool
	}{
		{"met, though others were busy", Round{Met: true, Spent: Spent{Other: 0.9}}, false, false},
		{"failed, quiet machine", Round{Lag: &Quantiles{P99: 1}}, false, false},
		{"failed, others busy", Round{Spent: Spent{Other: 0.2}}, true, false},
		{"failed, generator late", Round{Lag: &Quantiles{P99: 300}}, false, true},
	} {
		var s Search
		s.judge(&c.round, DefaultOtherMax)
		if (s.Invalid != "") != c.invalid || (s.Limit != "") != c.limit {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func TestRounds_GoThereAndBack(t *testing.T) {
	var order []int
	for n := 1; n <= 3; n++ {
		order = append(order, inTurn(n, 3)...)
	}
	if want := []int{0, 1, 2, 2, 1, 0, 0, 1, 2}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestReadme_TableStandsBetweenItsMarkers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	page := "# x\n\n" + readmeBegin + "\nold\n" + readmeEnd + "\n\nafter\n"
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	p := peerReport(10000, map[string]float64{"redis-stream": 2000, BoundHMAC: 50000})
	p.Contenders = append(p.Contenders, Contender{Name: "nats", Title: "NATS", Skipped: "not installed"})
	r := &Report{Peers: p, Environment: Environment{Commit: "abc123", CPUs: 2, CPU: "EPYC"}}
	for range 2 { // twice, to see that it replaces what it wrote
		if err := r.WriteReadme(path, "chumi bench --peers x"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# x\n", "| 5 x |", "| 10,000 (9,998-10,002) | the engine itself |", VerdictClass, "Skipped: NATS (not installed)", "`chumi bench --peers x` on commit abc123", "\nafter\n"} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q stands there %d times in\n%s", want, strings.Count(string(text), want), text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Errorf("what stood there before is still there:\n%s", text)
	}
}

func TestReadme_StaysWhenThereIsNothingToWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	page := readmeBegin + "\nold\n" + readmeEnd + "\n"
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	invalid := peerReport(10000, nil)
	for i := range invalid.Searches {
		invalid.Searches[i].Invalid = "others"
	}
	invalid.sum()
	short := peerReport(10000, nil)
	short.Searches = slices.DeleteFunc(short.Searches, func(s Search) bool { return s.Number > 2 })
	short.sum()
	for name, r := range map[string]*Report{
		"a run without peers":       {},
		"a lossy run":               {Lost: 1, Peers: peerReport(10000, nil)},
		"a run without valid rates": {Peers: invalid},
		"a run of two rounds":       {Peers: short},
	} {
		if err := r.WriteReadme(path, "x"); !errors.Is(err, errNothingMeasured) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != page {
		t.Errorf("the page changed: %v\n%s", err, text)
	}
	bare := filepath.Join(t.TempDir(), "bare.md")
	if err := os.WriteFile(bare, []byte("nothing\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (&Report{Peers: peerReport(10000, nil)}).WriteReadme(bare, "x"); err == nil {
		t.Error("a page without markers was written to")
	}
}

func TestReport_OfPeersIsDrawnAndVoided(t *testing.T) {
	r := &Report{Peers: peerReport(12345, map[string]float64{"redis-stream": 2000, BoundHMAC: 50000})}
	drawn := r.SVG()
	if !strings.Contains(drawn, "12345") || !strings.Contains(drawn, "redis-stream") {
		t.Errorf("drawn:\n%s", drawn)
	}
	d := xml.NewDecoder(strings.NewReader(drawn))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, drawn)
		}
	}
	r.Lost = 1
	r.void()
	text, err := json.Marshal(r)
	if all := string(text) + r.Text() + r.SVG(); err != nil || strings.Contains(all, "12345") {
		t.Errorf("%v; a lossy run gives figures:\n%s", err, all)
	}
}

func TestSyncs_AreTheCallsThatStraceCounted(t *testing.T) {
	const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 90.00    0.012345          12      1000           fdatasync
  9.00    0.001000          10        20         3 fsync
  1.00    0.000100          10         7           pwrite64
------ ----------- ----------- --------- --------- ----------------
100.00    0.013445          13      1027         3 total
`
	if n, err := countSyncs(table); err != nil || n != 1020 {
		t.Errorf("%v calls, %v; want 1020", n, err)
	}
}
