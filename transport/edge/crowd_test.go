package edge

import (
	"net"
	"slices"
	"testing"
	"time"
)

// named is a connection that is nothing but its name.
type named struct {
	net.Conn
	name string
}

// hall is a crowd at a time of its own.
type hall struct {
	t *testing.T
	*crowd
	now   time.Time
	names map[string]net.Conn
}

func newHall(t *testing.T, connMax int) *hall {
	return &hall{t: t, crowd: newCrowd(connMax), now: time.Unix(1_800_000_000, 0), names: map[string]net.Conn{}}
}

func (h *hall) open(name string) (leaves string) {
	h.names[name] = &named{name: name}
	h.now = h.now.Add(time.Millisecond)
	if leave := h.opened(h.names[name], h.now); leave != nil {
		return leave.(*named).name
	}
	return ""
}

// ask has a connection send a request, which is answered.
func (h *hall) ask(name string, well bool) {
	h.now = h.now.Add(time.Millisecond)
	h.active(h.names[name], h.now)
	h.begun(h.names[name])
	h.answering(h.names[name], well)
	h.idle(h.names[name], h.now)
}

func (h *hall) wait() { h.now = h.now.Add(graceTime) }

// wants opens a connection and expects who leaves for it.
func (h *hall) wants(newcomer, leaves string) {
	h.t.Helper()
	if got := h.open(newcomer); got != leaves {
		h.t.Errorf("for %s leaves %q, want %q", newcomer, got, leaves)
	}
}

// Of four places one is kept free, so that the fourth connection sends one away.
func TestCrowd_WhoHasWaitedLongestMakesRoom(t *testing.T) {
	h := newHall(t, 4)
	for _, name := range []string{"a", "b", "c"} {
		h.wants(name, "")
	}
	h.wait()
	h.wants("d", "a")
	h.wants("e", "b") // a is not gone yet, but has been told to
	if !h.closed(h.names["a"]) || h.closed(h.names["a"]) {
		t.Error("a connection is closed once")
	}
	h.wants("f", "c")
	h.closed(h.names["b"])
	h.closed(h.names["c"])
	h.closed(h.names["d"])
	h.wait()
	h.wants("g", "")
	h.wants("h", "e")
	if h.leaving != 1 || len(h.conns) != 4 || h.strangers.Len() != 3 {
		t.Errorf("%d leaving, %d open, %d strangers", h.leaving, len(h.conns), h.strangers.Len())
	}
}

func TestCrowd_NobodyLeavesBeforeItCouldSaySomething(t *testing.T) {
	h := newHall(t, 4)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		h.wants(name, "")
	}
	h.wait()
	h.wants("f", "a")
}

func TestCrowd_WhoWasAnsweredWellStaysLonger(t *testing.T) {
	h := newHall(t, 5)
	for _, name := range []string{"good", "refused", "silent", "late"} {
		h.wants(name, "")
	}
	h.ask("good", true)
	h.ask("silent", true)
	h.wait()
	h.ask("refused", false) // many refused requests do not make it younger
	h.wants("1", "refused")
	h.wants("2", "late")
	h.wait()
	h.wants("3", "1")
	h.wants("4", "2")
	h.wants("5", "good") // the strangers have only just come
	h.wants("6", "silent")
}

func TestCrowd_TheKnownLeaveInOrderOfTheirLastAnswer(t *testing.T) {
	h := newHall(t, 4)
	for _, name := range []string{"a", "b", "c"} {
		h.wants(name, "")
		h.ask(name, true)
	}
	h.ask("a", true)
	h.wait()
	h.active(h.names["b"], h.now) // its next request has begun to arrive
	h.wants("d", "c")
	h.wants("e", "a")
	h.wants("f", "")
	h.wait()
	h.wants("g", "d")
}

func TestCrowd_TheBusyStay(t *testing.T) {
	h := newHall(t, 4)
	for _, name := range []string{"a", "b", "c"} {
		h.wants(name, "")
	}
	h.begun(h.names["a"])
	h.wait()
	h.wants("d", "b")
	h.answering(h.names["a"], true)
	h.wants("e", "c")
	h.idle(h.names["a"], h.now)
	h.wants("f", "")
	h.wait()
	h.wants("g", "d")
}

func TestCrowd_EveryLimitKeepsAPlaceFree(t *testing.T) {
	var most []int
	for _, n := range []int{1, 2, 16, 64, 4096} {
		most = append(most, newCrowd(n).most)
	}
	if want := []int{0, 1, 15, 60, 3840}; !slices.Equal(most, want) {
		t.Errorf("so many may stay: %v, want %v", most, want)
	}
}
