package chat_test

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

func TestMoney_ReadsAndWritesExactly(t *testing.T) {
	for text, want := range map[string]chat.Money{"0": 0, "0.00": 0, "12.5": 12_500_000_000, "0.000000001": 1, "1000000000": 1e18, "007.10": 7_100_000_000} {
		m, err := chat.ParseMoney(text)
		if err != nil || m != want {
			t.Errorf("%s is %d, %v", text, int64(m), err)
		}
		if again, err := chat.ParseMoney(m.String()); err != nil || again != m {
			t.Errorf("%s is written %s", text, m)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "0.0000000001", "1000000001", "99999999999", " 1", "٣"} {
		if m, err := chat.ParseMoney(text); err == nil {
			t.Errorf("%q is taken for %s", text, m)
		}
	}
	for m, want := range map[chat.Money]string{1_500_000_000: "1.50", 1: "0.000000001", -2_000_000_000: "-2.00"} {
		if m.String() != want {
			t.Errorf("%d is written %s, want %s", int64(m), m, want)
		}
	}
}
