// Package linear decides whether what clients saw of an append-only list could
// have come from one list that each operation used at one instant between its
// call and its return. It keeps the history; Porcupine searches it.
package linear

import (
	"math"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// History is the operations on one list. Safe for concurrent use.
type History struct {
	began time.Time

	mu  sync.Mutex
	ops []porcupine.Operation
	// appends holds the index in ops of those that are still open, by value.
	appends map[int64]int
}

// New begins a history of an empty list.
func New() *History {
	return &History{began: time.Now(), appends: map[int64]int{}}
}

// input is what an operation asks for: to append a value, or to read.
type input struct {
	append bool
	value  int64
}

// never is when an operation returns whose outcome nobody learned: it may take
// effect at any time, or not at all, which is the same as after everything.
const never = math.MaxInt64

func (h *History) now() int64 { return int64(time.Since(h.began)) }

// Appending notes that value is being appended. It may or may not have happened
// until Appended says so. No value is appended twice.
func (h *History) Appending(value int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.appends[value] = len(h.ops)
	h.ops = append(h.ops, porcupine.Operation{Input: input{append: true, value: value}, Call: h.now(), Return: never})
}

// Appended notes that the append of value was acknowledged.
func (h *History) Appended(value int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i, open := h.appends[value]; open {
		h.ops[i].Return = h.now()
		delete(h.appends, value)
	}
}

// Reading begins a read; the function it returns notes what was read. A read
// that failed says nothing and is not noted.
func (h *History) Reading() func(values []int64) {
	call := h.now()
	return func(values []int64) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ops = append(h.ops, porcupine.Operation{Input: input{}, Output: render(values), Call: call, Return: h.now()})
	}
}

// Len is the number of operations.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// Verdict is what a check found.
type Verdict string

// The verdicts.
const (
	Linear    Verdict = "linear"
	NotLinear Verdict = "not linear"
	// Undecided is a search that took too long.
	Undecided Verdict = "undecided"
)

// Check searches for an order that explains the history. Undecided comes after
// the limit; 0 means none.
func (h *History) Check(limit time.Duration) Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch porcupine.CheckOperationsTimeout(list, h.ops, limit) {
	case porcupine.Ok:
		return Linear
	case porcupine.Illegal:
		return NotLinear
	default:
		return Undecided
	}
}

// Text lists the operations by call, for people.
func (h *History) Text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ops := append([]porcupine.Operation(nil), h.ops...)
	sort.SliceStable(ops, func(i, j int) bool { return ops[i].Call < ops[j].Call })
	var b strings.Builder
	for _, op := range ops {
		b.WriteString(time.Duration(op.Call).String() + " to ")
		if op.Return == never {
			b.WriteString("never")
		} else {
			b.WriteString(time.Duration(op.Return).String())
		}
		b.WriteString(": " + list.DescribeOperation(op.Input, op.Output) + "\n")
	}
	return b.String()
}

// list is the model: a list is its values, each followed by a space, so that
// lists compare as strings.
var list = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		if op := in.(input); op.append {
			return true, state.(string) + strconv.FormatInt(op.value, 10) + " "
		}
		return out.(string) == state.(string), state
	},
	DescribeOperation: func(in, out any) string {
		if op := in.(input); op.append {
			return "append " + strconv.FormatInt(op.value, 10)
		}
		return "read " + out.(string)
	},
}

func render(values []int64) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString(strconv.FormatInt(v, 10) + " ")
	}
	return b.String()
}
