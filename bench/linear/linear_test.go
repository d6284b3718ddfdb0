package linear

import (
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// script builds a history from lines "call return operation", times in any
// unit, "-" for a return that never came.
func script(ops ...op) *History {
	h := New()
	for _, o := range ops {
		out := porcupine.Operation{Call: o.call, Return: o.ret, Input: input{append: o.value != 0, value: o.value}}
		if o.value == 0 {
			out.Output = render(o.read)
		}
		h.ops = append(h.ops, out)
	}
	return h
}

type op struct {
	call, ret int64
	value     int64 // 0 reads
	read      []int64
}

func TestHistory_IsJudged(t *testing.T) {
	cases := []struct {
		name string
		want Verdict
		ops  []op
	}{
		{"appends and reads in turn", Linear, []op{{1, 2, 1, nil}, {3, 4, 0, []int64{1}}, {5, 6, 2, nil}, {7, 8, 0, []int64{1, 2}}}},
		{"a read beside an append may see it or not", Linear, []op{{1, 9, 1, nil}, {2, 3, 0, nil}, {4, 5, 0, []int64{1}}}},
		{"an unacknowledged append may happen late", Linear, []op{{1, never, 1, nil}, {2, 3, 0, nil}, {8, 9, 0, []int64{1}}}},
		{"an unacknowledged append may never happen", Linear, []op{{1, never, 1, nil}, {2, 3, 0, nil}, {8, 9, 0, nil}}},
		{"a stale read", NotLinear, []op{{1, 2, 1, nil}, {3, 4, 0, nil}}},
		{"a read that goes back", NotLinear, []op{{1, 9, 1, nil}, {2, 3, 0, []int64{1}}, {4, 5, 0, nil}}},
		{"a lost append", NotLinear, []op{{1, 2, 1, nil}, {3, 4, 2, nil}, {5, 6, 0, []int64{2}}}},
		{"appends out of order", NotLinear, []op{{1, 2, 1, nil}, {3, 4, 2, nil}, {5, 6, 0, []int64{2, 1}}}},
		{"applied twice", NotLinear, []op{{1, 2, 1, nil}, {5, 6, 0, []int64{1, 1}}}},
		{"invented", NotLinear, []op{{1, 2, 1, nil}, {5, 6, 0, []int64{1, 7}}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := script(c.ops...).Check(time.Second); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestHistory_RecordsWhatHappens(t *testing.T) {
	h := New()
	h.Appending(1)
	early := h.Reading()
	h.Appended(1)
	early(nil)
	h.Appending(2)
	h.Reading()([]int64{1, 2})
	if got := h.Check(time.Second); got != Linear {
		t.Errorf("%s:\n%s", got, h.Text())
	}
	h.Reading()([]int64{1})
	if got := h.Check(time.Second); got != NotLinear {
		t.Errorf("%s:\n%s", got, h.Text())
	}
	if text := h.Text(); h.Len() != 5 || !strings.Contains(text, "never: append 2") {
		t.Errorf("%d operations:\n%s", h.Len(), text)
	}
}
