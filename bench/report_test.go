package bench

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

func rounds(engine, bound float64, invalid string) []Round {
	var out []Round
	for n := 1; n <= 5; n++ {
		out = append(out,
			Round{Number: n, Target: BoundHMAC, Throughput: 70000},
			Round{Number: n, Target: BoundPebble, Throughput: bound + float64(n)},
			Round{Number: n, Target: BoundPebbleTuned, Throughput: bound / 2},
			Round{Number: n, Target: TargetEngine, Row: RowAcks, Throughput: engine + float64(n), Invalid: invalid},
			Round{Number: n, Target: TargetEngine, Row: RowReplies, Throughput: engine / 3})
	}
	return out
}

func TestHeadline_IsTheMedianOverTheFasterBound(t *testing.T) {
	h := headline(rounds(10000, 20000, ""), 5)
	if !h.Valid || h.Against != BoundPebble || h.Acks.Median != 10003 || h.Bounds[BoundPebble].Median != 20003 {
		t.Fatalf("headline %+v", h)
	}
	if want := 10003.0 / 20003; h.Ratio != want {
		t.Errorf("ratio %v, want %v", h.Ratio, want)
	}
}

func TestHeadline_GivesNoRatioWithoutEnoughValidRounds(t *testing.T) {
	h := headline(rounds(10000, 20000, "others used 40 % of a CPU"), 5)
	if h.Valid || h.Ratio != 0 {
		t.Errorf("headline %+v", h)
	}
	text := (&Report{Headline: h, Rounds: rounds(10000, 20000, "others used 40 % of a CPU")}).Text()
	if !strings.Contains(text, "INVALID") || strings.Contains(text, " x fasthttp") {
		t.Errorf("the text gives a ratio:\n%s", text)
	}
}

func TestHeadline_WithoutAStoringBoundIsNotInvalid(t *testing.T) {
	var engine []Round
	for _, r := range rounds(10000, 20000, "") {
		if r.Target == TargetEngine {
			engine = append(engine, r)
		}
	}
	text := (&Report{Headline: headline(engine, 5), Rounds: engine}).Text()
	if strings.Contains(text, "INVALID") || strings.Contains(text, " x fasthttp") || !strings.Contains(text, "none that stores was measured") {
		t.Errorf("the text of rounds without a bare handler:\n%s", text)
	}
}

func TestReport_OfALossyRunGivesNoFigures(t *testing.T) {
	r := &Report{Lost: 1, Acknowledged: 1000, Rounds: rounds(12345, 20000, ""), Headline: headline(rounds(12345, 20000, ""), 5)}
	text := r.Text()
	if strings.Contains(text, "12345") || strings.Contains(text, "acks/s") || !strings.Contains(text, "LOSSY") {
		t.Errorf("text:\n%s", text)
	}
	if r.SVG() != "" {
		t.Error("a lossy run was drawn")
	}
	r.void()
	if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), "12345") {
		t.Errorf("%v, JSON:\n%s", err, text)
	}
}

// What was not measured is left out, not drawn as nothing.
func TestReport_LeavesOutWhatWasNotMeasured(t *testing.T) {
	h := headline(rounds(10000, 20000, ""), 5)
	h.Replies = Spread{}
	r := &Report{Headline: h}
	if text := r.Text() + r.SVG(); strings.Contains(text, "replies are made") || strings.Contains(text, "with replies") {
		t.Errorf("it shows a row that was not run:\n%s", text)
	}
}

func TestReport_DrawsWellFormedSVG(t *testing.T) {
	r := &Report{Headline: headline(rounds(10000, 20000, ""), 5),
		Open: []Round{{Target: TargetEngine, Rate: 500, Ack: Quantiles{P50: 1, P90: 2, P99: 8, P999: 20, Max: 70}}}}
	d := xml.NewDecoder(strings.NewReader(r.SVG()))
	elements := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, r.SVG())
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	if elements < 20 {
		t.Errorf("only %d elements", elements)
	}
}

func TestVerify_FlagsLostAndDoubled(t *testing.T) {
	acked := NewBitset(128)
	for _, i := range []int{1, 2, 3} {
		acked.Set(i)
	}
	o := newOracle(128)
	received := func(remote string) {
		o.add(&child.Event{Kind: child.KindReceived, Message: &child.Message{Remote: remote}})
	}
	received("wamid.x0000000001")
	received("wamid.x0000000003")
	received("wamid.x0000000003")
	received("wamid.x0000000007")
	o.add(&child.Event{Kind: child.KindQueued, Message: &child.Message{Remote: "wamid.x0000000002"}})
	v := o.compare(acked, 128)
	if v.Checked != 3 || v.Lost != 1 || v.Twice != 1 || v.First != 2 {
		t.Errorf("verdict %+v, want 3 checked, 1 lost, 1 twice, first 2", v)
	}
}

func TestMetrics_LabelsAreWhatGrew(t *testing.T) {
	before := Metrics{`kept_total{reason="a"}`: 2, `kept_total{reason="b"}`: 1}
	after := Metrics{`kept_total{reason="a"}`: 2, `kept_total{reason="b"}`: 5, `kept_total{reason="new one"}`: 3,
		`kept_total{reason="a",listener="x"}`: 9, `kept_total_other{reason="a"}`: 9}
	if got := after.labels("kept_total", "reason", before); len(got) != 2 || got["b"] != 4 || got["new one"] != 3 {
		t.Errorf("got %v", got)
	}
}

func TestMetrics_QuantileInterpolatesTheDifference(t *testing.T) {
	const text = `# TYPE x histogram
x_bucket{le="0.01"} 10
x_bucket{le="0.02"} 90
x_bucket{le="+Inf"} 100
x_count 100
y{kind="a b"} 3
`
	m, err := ParseMetrics(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if m[`y{kind="a b"}`] != 3 {
		t.Errorf("metrics %v", m)
	}
	if q, ok := m.Quantile("x", 0.5, nil); !ok || q != 0.015 {
		t.Errorf("median %v %v", q, ok)
	}
	if q, ok := m.Quantile("x", 0.99, nil); !ok || q != 0.02 {
		t.Errorf("p99 %v %v, want the last finite bound", q, ok)
	}
	if _, ok := m.Quantile("x", 0.5, m); ok {
		t.Error("nothing happened since, and yet there is a quantile")
	}
}

func TestHeapProfile_LeavesTheStoreOut(t *testing.T) {
	const text = `heap profile: 3: 3145728 [9: 9] @ heap/1048576
1: 1048576 [3: 3] @ 0x1 0x2
#	0x1	github.com/chumiai/chumi/actors.spawn+0x12	/src/actors/a.go:1
#	0x2	main.main+0x12	/src/main.go:1

2: 2097152 [3: 3] @ 0x1 0x2
#	0x1	github.com/cockroachdb/pebble/v2.(*DB).Apply+0x12	/src/db.go:1
#	0x2	main.main+0x12	/src/main.go:1


# runtime.MemStats
# HeapAlloc = 4000000
# Stack = 327680 / 393216
`
	p, err := parseHeapProfile(strings.NewReader(text), "github.com/cockroachdb/")
	if err != nil {
		t.Fatal(err)
	}
	// One sampled object of twice the sampling rate stands for 1/(1-exp(-2)) of them.
	if p.own < 1.15*1048576 || p.own > 1.16*1048576 || p.whole != 4000000 || p.stacks != 327680 {
		t.Errorf("own %v, whole %v, stacks %v", p.own, p.whole, p.stacks)
	}
}

func TestReplyWatch_SubtractsQuietPeriodAndModel(t *testing.T) {
	w := &replyWatch{quiet: 100 * time.Millisecond, model: map[int]time.Duration{}, graph: map[int]time.Time{}}
	wrote := time.Now()
	w.modelAnswered("noted (answer to #3 #4)", 30*time.Millisecond)
	w.graphReceived("noted (answer to #3 #4)", wrote.Add(150*time.Millisecond))
	w.graphReceived("noted (answer to #3 #4)", wrote.Add(time.Hour))
	h := newHistogram()
	n := w.measure(&Sample{Wrote: []time.Time{wrote, wrote, wrote, wrote, wrote}}, 0, h)
	if n != 1 || h.Max() < 19_900 || h.Max() > 20_100 {
		t.Errorf("%d replies, %d us; want one of 20 ms", n, h.Max())
	}
}

func TestFlight_ReadsTheLimitOfOpenFiles(t *testing.T) {
	const limits = "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max processes             96141                96141                processes \n" +
		"Max open files            20000                1048576              files     \n"
	if n := openFilesMax(limits); n != 20000 {
		t.Errorf("read %d, want 20000", n)
	}
	if n := openFilesMax("Max open files            unlimited            unlimited            files\n"); n != 0 {
		t.Errorf("unlimited reads as %d", n)
	}
}

// The verdicts that a reader looks for are in the text.
func TestReport_PrintsTurnsInFlightAndNoise(t *testing.T) {
	r := &Report{Flight: &FlightResult{Turns: 20000, Descriptors: 298, DescriptorsMax: 20000, Live: 36300, Rise: 10 * time.Second, Fall: 20 * time.Second, Replies: 20000},
		Scale:  &ScaleResult{Large: ScaleSide{Stored: 5_000_000}, Woken: ScaleSide{ActivationP99: 3.25}, CPU: 1.15, Disk: 10e9, Restart: 1500 * time.Millisecond, Owed: 10_000, Resident: 1_000_000},
		Outage: &OutageResult{Outage: time.Hour, Peak: 10_000, Goodput: 8_000, Recovery: 2 * time.Second},
		Noisy:  &NoisyResult{Times: 100, Tenants: 20, Rate: 5, Ratio: 1.25, EngineRatio: 1.4}}
	text := r.Text()
	for _, want := range []string{"20000 turns in flight", "298 descriptors open of 20000", "36.3 KB", "2000 turns/s begun", "1000 replies/s", "1.25 x", "1.40 x",
		"1.15 x the CPU", "3.25 ms at p99 at 500 a second", "2000 B a conversation", "ready 1.50 s", "1000000 resident", "0.80 of the peak", "2.0 s after the replay"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
