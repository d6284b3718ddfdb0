package chat

import (
	"fmt"
	"slices"
	"strings"
)

// Expectation is what the answer of a turn is held to.
type Expectation struct {
	// Tools are those that must be called, in order; others may be called between them.
	Tools []string
	// Must and MustNot are texts, in any case. Expected is an answer that a person gave
	// instead: its numbers, and half of its words, must be in the answer.
	Must, MustNot []string
	Expected      string
	// Handoff says whether people must be asked, or must not.
	Handoff bool
	// Schema wants the answer in the form that was asked for.
	Schema bool
	// Sources must be named.
	Sources []string
	// CostMax bounds the money of the turn, 0 for no bound.
	CostMax Money
}

// Judge lists what is wrong with an outcome; empty for a good one.
func (e *Expectation) Judge(o *Outcome) (faults []string) {
	bad := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	said := strings.ToLower(strings.Join(o.Messages, "\n"))
	if o.Failed != "" {
		bad("no answer: %s", o.Failed)
	}
	next := 0
	for _, u := range o.Tools {
		if next < len(e.Tools) && e.Tools[next] == u.Name {
			next++
		}
	}
	if next < len(e.Tools) {
		bad("the tool %s was not called", e.Tools[next])
	}
	for _, m := range e.Must {
		if !strings.Contains(said, strings.ToLower(m)) {
			bad("it does not say %q", m)
		}
	}
	for _, m := range e.MustNot {
		if strings.Contains(said, strings.ToLower(m)) {
			bad("it says %q", m)
		}
	}
	if handed := o.Handoff != ""; handed != e.Handoff {
		bad("handed to people: %t, want %t", handed, e.Handoff)
	}
	if e.Schema && !o.Structured && o.Handoff == "" {
		bad("it is not in the form that was asked for")
	}
	for _, s := range e.Sources {
		if !slices.Contains(o.Sources, s) {
			bad("it does not name the source %s", s)
		}
	}
	if e.CostMax > 0 && o.Cost > e.CostMax {
		bad("it cost %d billionths, at most %d are wanted", o.Cost, e.CostMax)
	}
	if e.Expected != "" && !covers(said, strings.ToLower(e.Expected)) {
		bad("it does not say what was expected: %q", e.Expected)
	}
	return faults
}

// covers reports whether a text has the numbers of another and half of its words.
func covers(text, wanted string) bool {
	has := map[string]bool{}
	for _, w := range wordsOf(text) {
		has[w] = true
	}
	all, found := 0, 0
	for _, w := range wordsOf(wanted) {
		all++
		switch {
		case has[w]:
			found++
		case strings.ContainsAny(w, "0123456789"):
			return false
		}
	}
	return 2*found >= all
}
