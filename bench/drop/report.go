package drop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// ErrRed is returned with a report that found a broken promise.
var ErrRed = errors.New("drop: red")

// Class counts what became of the messages of one class.
type Class struct {
	// Messages were queued, as the API acknowledged; Dropped are requests that
	// Graph accepted without answering.
	Messages, Dropped int64
	// Doubles were accepted more than once, Missing never.
	Doubles, Missing int64
}

// Report is the sum of segments.
type Report struct {
	// SHA256 identifies the executable, Commit what it was built from.
	SHA256, Commit string
	Seeds          []uint64
	Segments       int
	// ByClass has at_most_once and at_least_once.
	ByClass map[string]*Class
	// Unknown sends had to be listed when nothing was attempted any more; Unlisted
	// were not, and Overlisted were although their end was known.
	Unknown, Unlisted, Overlisted int64
	// Settled left the list after their report; Unsettled did not within SettleMax.
	Settled, Unsettled int64
	SettleMax          time.Duration
	// Unended are messages the export does not call accepted.
	Unended int64
	// Over counts requests above Meta's pace as they are read here: the simulator
	// shares the machine, and with too much to do it reads late what left in time.
	Over map[string]int64
	// CheckFailed counts stores that break an invariant.
	CheckFailed int64
	// Sending is how long members wrote and their messages went out, Took the whole.
	Sending, Took time.Duration
	// Kept lists the directories of red segments, Found examples of what is wrong.
	Kept, Found []string
}

// The classes, as the API names them.
const (
	AtMostOnce  = "at_most_once"
	AtLeastOnce = "at_least_once"
)

func newReport() *Report {
	return &Report{ByClass: map[string]*Class{AtMostOnce: {}, AtLeastOnce: {}}, Over: map[string]int64{}}
}

// foundMax bounds the examples kept.
const foundMax = 20

func (r *Report) found(format string, args ...any) {
	if len(r.Found) < foundMax {
		r.Found = append(r.Found, fmt.Sprintf(format, args...))
	}
}

// add adds a segment.
func (r *Report) add(s *Report) {
	r.Segments++
	for name, c := range s.ByClass {
		t := r.ByClass[name]
		t.Messages, t.Dropped = t.Messages+c.Messages, t.Dropped+c.Dropped
		t.Doubles, t.Missing = t.Doubles+c.Doubles, t.Missing+c.Missing
	}
	r.Unknown, r.Unlisted, r.Overlisted = r.Unknown+s.Unknown, r.Unlisted+s.Unlisted, r.Overlisted+s.Overlisted
	r.Settled, r.Unsettled, r.SettleMax = r.Settled+s.Settled, r.Unsettled+s.Unsettled, max(r.SettleMax, s.SettleMax)
	r.Unended, r.CheckFailed = r.Unended+s.Unended, r.CheckFailed+s.CheckFailed
	r.Sending += s.Sending
	for limit, n := range s.Over {
		r.Over[limit] += n
	}
	r.Kept = append(r.Kept, s.Kept...)
	for _, line := range s.Found {
		r.found("%s", line)
	}
}

// Red reports whether a promise was broken.
func (r *Report) Red() bool {
	most, least := r.ByClass[AtMostOnce], r.ByClass[AtLeastOnce]
	return most.Doubles+most.Missing+least.Missing+r.Unlisted+r.Overlisted+r.Unsettled+r.Unended+r.CheckFailed > 0
}

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "commit %s, %d segments, seeds %v, %v\n", r.Commit, r.Segments, r.Seeds, r.Took.Round(time.Second))
	for _, name := range [...]string{AtMostOnce, AtLeastOnce} {
		c := r.ByClass[name]
		fmt.Fprintf(&b, "%-14s %d messages, %d answers dropped: %d sent twice, %d missing\n", name, c.Messages, c.Dropped, c.Doubles, c.Missing)
	}
	sent := r.ByClass[AtMostOnce].Messages + r.ByClass[AtLeastOnce].Messages
	fmt.Fprintf(&b, "unknown        %d at rest: %d not listed, %d listed for nothing\n", r.Unknown, r.Unlisted, r.Overlisted)
	fmt.Fprintf(&b, "settled        %d of %d after their report, the slowest in %v (at most %v)\n", r.Settled, r.Settled+r.Unsettled, r.SettleMax.Round(time.Millisecond), SettleMax)
	fmt.Fprintf(&b, "export         %d of %d not accepted at last; stores that break an invariant: %d\n", r.Unended, sent, r.CheckFailed)
	fmt.Fprintf(&b, "pace           above Meta's limits: %d; %.0f messages a second while members wrote\n", total(r.Over), float64(sent)/max(r.Sending.Seconds(), 1e-9))
	for _, line := range r.Found {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	if r.Red() {
		fmt.Fprintf(&b, "RED %v\n", r.Kept)
	}
	return b.String()
}

func total(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func (r *Report) write(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	return nil
}
