package metasim

import (
	"testing"
	"time"
)

// A comment has one private reply, within its time, and a request that sent nothing has
// not used it up.
func TestComment_HasOneReplyInTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a := Account{Kind: Instagram, ID: "1784"}
	s := New(Options{Now: func() time.Time { return now }})
	defer func() { _ = s.Close() }()
	write := func(age time.Duration, live bool) string {
		return s.Comment(a, Customer{ID: "9100"}, "how much?", now.Add(-age), live).RemoteID
	}
	claim := func(id string) int {
		by, refusal := s.comments.claim(a, id, now)
		if by != "9100" && id != "elsewhere" {
			t.Errorf("%s is by %q", id, by)
		}
		if refusal == nil {
			return 0
		}
		return refusal.code
	}
	first := write(0, false)
	if claim(first) != 0 || claim(first) != 100 {
		t.Error("not one reply")
	}
	s.comments.release(a, first)
	if claim(first) != 0 {
		t.Error("a request that sent nothing used the reply up")
	}
	for _, c := range []struct {
		age  time.Duration
		live bool
		want int
	}{{7 * 24 * time.Hour, false, 0}, {7*24*time.Hour + time.Second, false, 10}, {4 * time.Hour, true, 0}, {5 * time.Hour, true, 10}} {
		if got := claim(write(c.age, c.live)); got != c.want {
			t.Errorf("after %s, live %v: code %d, want %d", c.age, c.live, got, c.want)
		}
	}
	if claim("elsewhere") != 0 || claim("elsewhere") != 100 {
		t.Error("not one reply to a comment that was not written here")
	}
}
