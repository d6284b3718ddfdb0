package bench

import (
	"errors"
	"slices"
	"testing"
)

func TestAlternate_GoesThereAndBack(t *testing.T) {
	var order []bool
	invalid, err := alternate(2, func(beside bool) (string, error) {
		order = append(order, beside)
		return []string{"", "the second", "the third", ""}[len(order)-1], nil
	})
	if want := []bool{false, true, true, false}; err != nil || !slices.Equal(order, want) || invalid != "the second" {
		t.Errorf("order %v, invalid %q, %v", order, invalid, err)
	}
	failed := errors.New("no engine")
	if _, err := alternate(2, func(bool) (string, error) { return "", failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}

func TestUnanswered_IsARoundWithTooFewReplies(t *testing.T) {
	for _, c := range []struct {
		replies, messages int64
		invalid           bool
	}{{100, 100, false}, {90, 100, false}, {89, 100, true}, {0, 100, true}, {0, 0, false}} {
		if got := unanswered(c.replies, c.messages); (got != "") != c.invalid {
			t.Errorf("%d replies to %d messages: %q", c.replies, c.messages, got)
		}
	}
}
