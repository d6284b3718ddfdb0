package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The targets of rounds.
const (
	TargetEngine = "engine"
	// TargetAgainst is the other executable of Options.Against.
	TargetAgainst = "against"
	// TargetCluster is three nodes of the engine, on this machine.
	TargetCluster = "three-nodes"
)

// The rows of the headline.
const (
	// RowAcks posts messages while no reply becomes due.
	RowAcks = "acks"
	// RowReplies posts the same while replies are made and sent.
	RowReplies = "replies"
)

// Report is everything a run measured. Its JSON form is the record of the run.
type Report struct {
	Environment Environment `json:"environment"`
	Settings    Settings    `json:"settings"`
	// Lost and Twice count acknowledged messages that the export lacked or had
	// more than once, over the whole run. Any makes the run worthless.
	Lost  int64 `json:"lost"`
	Twice int64 `json:"twice"`
	// Acknowledged is how many were checked.
	Acknowledged int64 `json:"acknowledged"`
	// Rounds are the headline's, in the order they ran.
	Rounds []Round `json:"rounds,omitempty"`
	// Headline is nil when the run was lossy.
	Headline *Headline `json:"headline,omitempty"`
	// Open is latency at given rates.
	Open   []Round       `json:"open_loop,omitempty"`
	Reply  *ReplyTime    `json:"reply,omitempty"`
	Noisy  *NoisyResult  `json:"noisy,omitempty"`
	Poison *PoisonResult `json:"poison,omitempty"`
	Slow   *SlowResult   `json:"slowloris,omitempty"`
	Flight *FlightResult `json:"flight,omitempty"`
	Memory *MemoryResult `json:"memory,omitempty"`
	Scale  *ScaleResult  `json:"scale,omitempty"`
	// Peers is nil when no peers were measured, and in a lossy run.
	Peers  *PeerReport   `json:"peers,omitempty"`
	Outage *OutageResult `json:"outage,omitempty"`
	Took   time.Duration `json:"took_ns"`
}

// Failed reports whether an acknowledged message was lost or doubled.
func (r *Report) Failed() bool { return r.Lost > 0 || r.Twice > 0 }

// void takes the figures out of the report of a lossy run: what it measured is not
// the work that was asked for. Which rounds lost what stays.
func (r *Report) void() {
	r.Headline, r.Reply, r.Noisy, r.Flight, r.Memory, r.Scale = nil, nil, nil, nil, nil, nil
	r.Outage, r.Peers, r.Poison, r.Slow = nil, nil, nil, nil
	for _, rounds := range [][]Round{r.Rounds, r.Open} {
		for i, x := range rounds {
			rounds[i] = Round{Number: x.Number, Target: x.Target, Row: x.Row, Rate: x.Rate, Invalid: "the run lost or doubled messages",
				Acks: x.Acks, Checked: x.Checked, Lost: x.Lost, Twice: x.Twice}
		}
	}
}

// Settings are the numbers of a run that a reader needs to repeat it.
type Settings struct {
	Seed          uint64        `json:"seed"`
	Tenants       int           `json:"tenants"`
	Conversations int           `json:"conversations_per_tenant"`
	Skew          float64       `json:"zipf_s"`
	Instagram     float64       `json:"instagram_share"`
	Conns         int           `json:"connections"`
	Rounds        int           `json:"rounds"`
	Warm          time.Duration `json:"warm_ns"`
	Measure       time.Duration `json:"measure_ns"`
	BodyBytes     int           `json:"body_bytes"`
}

// Round is one load on one server.
type Round struct {
	// Number is the round's, from 1; Target is engine or a bound.
	Number int    `json:"round"`
	Target string `json:"target"`
	Row    string `json:"row,omitempty"`
	// Rate is the open loop's in requests per second; 0 for a closed loop.
	Rate float64 `json:"rate,omitempty"`
	// Conns is how many connections it had.
	Conns int `json:"connections,omitempty"`
	// Invalid says why the figures must not be used; empty when they may.
	Invalid string `json:"invalid,omitempty"`
	// Acks in the measured time, and per second.
	Acks       int64   `json:"acks"`
	Throughput float64 `json:"acks_per_second"`
	// Refused counts other answers by status, Broken exchanges without one.
	Refused map[int]int64 `json:"refused,omitempty"`
	Broken  int64         `json:"broken,omitempty"`
	// Ack is latency; Lag the generator's own lateness (open loop only).
	Ack Quantiles  `json:"ack"`
	Lag *Quantiles `json:"generator_lag,omitempty"`
	// Backlog is for how long after the end of an open loop its requests were still
	// being answered, as a share of the time measured.
	Backlog float64 `json:"backlog,omitempty"`
	// Met says of an open loop of the peers part whether it met Meta's bar.
	Met bool `json:"met_bar,omitempty"`
	// CPU and bytes, per acknowledged message.
	ServerCPU    float64 `json:"server_cpu_us_per_message"`
	GeneratorCPU float64 `json:"generator_cpu_us_per_message"`
	Written      float64 `json:"written_bytes_per_message"`
	Grown        float64 `json:"grown_bytes_per_message"`
	Spent        Spent   `json:"spent"`
	// Replies counts messages that Graph accepted in the measured time.
	Replies int64 `json:"replies,omitempty"`
	// Checked counts acknowledged messages compared with the export.
	Checked int64 `json:"checked,omitempty"`
	Lost    int64 `json:"lost,omitempty"`
	Twice   int64 `json:"twice,omitempty"`
}

// Headline compares medians of valid rounds.
type Headline struct {
	// Valid is false when too few rounds were; then Ratio is 0.
	Valid bool `json:"valid"`
	// Acks and Replies are the engine's acks/s in the two rows.
	Acks    Spread `json:"engine_acks"`
	Replies Spread `json:"engine_acks_with_replies"`
	// Bounds are acks/s by bound.
	Bounds map[string]Spread `json:"bounds"`
	// Other is acks/s of the other executable, and OtherRatio Acks over it; zero
	// when none was measured, or too few rounds of it were valid.
	Other      Spread  `json:"other_executable_acks"`
	OtherRatio float64 `json:"other_executable_ratio,omitempty"`
	// Three is acks/s of three nodes, and ThreeRatio that over Acks; zero when
	// they were not measured.
	Three      Spread  `json:"three_nodes_acks"`
	ThreeRatio float64 `json:"three_nodes_ratio,omitempty"`
	// Against is the faster of the Pebble bounds; Ratio is Acks over it.
	Against string  `json:"against"`
	Ratio   float64 `json:"ratio"`
}

// Spread is the median of valid rounds with its extremes.
type Spread struct {
	Rounds int     `json:"rounds"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spread(v []float64) Spread {
	s := Spread{Rounds: len(v), Median: median(v)}
	for i, x := range v {
		if i == 0 || x < s.Min {
			s.Min = x
		}
		s.Max = max(s.Max, x)
	}
	return s
}

// headline summarizes rounds; need is how many valid ones each side must have.
func headline(rounds []Round, need int) *Headline {
	by := map[string][]float64{}
	for _, r := range rounds {
		key := r.Target
		if r.Target == TargetEngine {
			key = r.Row
		}
		if _, seen := by[key]; !seen {
			by[key] = nil
		}
		if r.Invalid == "" {
			by[key] = append(by[key], r.Throughput)
		}
	}
	h := &Headline{Acks: spread(by[RowAcks]), Replies: spread(by[RowReplies]), Other: spread(by[TargetAgainst]),
		Three: spread(by[TargetCluster]), Bounds: map[string]Spread{}}
	h.Valid = h.Acks.Rounds >= need
	if h.Valid && h.Other.Rounds >= need && h.Other.Median > 0 {
		h.OtherRatio = h.Acks.Median / h.Other.Median
	}
	if h.Valid && h.Three.Rounds >= need {
		h.ThreeRatio = h.Three.Median / h.Acks.Median
	}
	var best float64
	for key, v := range by {
		if key == RowAcks || key == RowReplies || key == TargetAgainst || key == TargetCluster {
			continue
		}
		s := spread(v)
		h.Bounds[key] = s
		if key != BoundPebble && key != BoundPebbleTuned {
			continue
		}
		h.Valid = h.Valid && s.Rounds >= need
		if s.Median > best {
			best, h.Against = s.Median, key
		}
	}
	h.Valid = h.Valid && best > 0
	if h.Valid {
		h.Ratio = h.Acks.Median / best
	}
	return h
}

// WriteFiles writes report.json, report.txt and, when there is something to
// draw, report.svg into dir.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("bench: encode report: %w", err)
	}
	files := map[string][]byte{"report.json": append(b, '\n'), "report.txt": []byte(r.Text())}
	if svg := r.SVG(); svg != "" {
		files["report.svg"] = []byte(svg)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	return nil
}
