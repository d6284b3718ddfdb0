package bench

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// An edge of which each connection is handled by handle, given its number.
func slowEdge(t *testing.T, handle func(n int, c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				handle(n, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

func answer(status string) string { return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n" }

// Of three connections one after the other the first is cut with an answer, the second
// without, and the third ends with the attack.
func TestSlow_TellsWhatIsCutFromWhatTheAttackEnds(t *testing.T) {
	third := make(chan struct{})
	addr := slowEdge(t, func(n int, c net.Conn) {
		switch n {
		case 0:
			_, _ = io.WriteString(c, answer("408 Request Timeout"))
		case 1:
		case 2:
			close(third)
			_, _ = io.Copy(io.Discard, c)
		}
	})
	slow := startSlow(t.Context(), addr, time.Minute, time.Millisecond, slowShapes("app")[2:3], 1, 1, 0)
	<-third
	slow.stop()
	s := &slow.seen[0]
	if s.opened < 2 || s.cut != 2 || s.answered[408] != 1 || len(s.refused) != 0 || s.held.TotalCount() != 2 {
		t.Errorf("opened %d, cut %d, answered %v, refused %v", s.opened, s.cut, s.answered, s.refused)
	}
}

func TestSlow_CountsWhatIsRefused(t *testing.T) {
	refused := make(chan struct{}, 100)
	addr := slowEdge(t, func(n int, c net.Conn) {
		status := "429 Too Many Requests"
		if n%2 == 0 {
			status = "503 Service Unavailable"
		}
		_, _ = io.WriteString(c, answer(status))
		_, _ = io.Copy(io.Discard, c) // the attacker closes it once it has read that
		refused <- struct{}{}
	})
	slow := startSlow(t.Context(), addr, time.Minute, time.Millisecond, slowShapes("app")[2:3], 2, 2, 0)
	<-refused
	<-refused
	slow.stop()
	if s := &slow.seen[0]; s.refused[429] < 1 || s.refused[503] < 1 || s.opened != 0 {
		t.Errorf("refused %v, opened %d", s.refused, s.opened)
	}
}

// What each shape writes, and that what is not over goes on.
func TestSlow_WritesAByteEachTick(t *testing.T) {
	shapes := slowShapes("app")
	var mu sync.Mutex
	got := map[string]bool{}
	all := make(chan struct{})
	addr := slowEdge(t, func(_ int, c net.Conn) {
		var text []byte
		for b := make([]byte, 1<<10); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			text = append(text, b[:n]...)
			mu.Lock()
			before := len(got)
			switch {
			case strings.HasPrefix(string(text), shapes[0].then[:30]) && !strings.Contains(string(text), "\r\n\r\n"):
				got[shapes[0].name] = true
			case strings.HasPrefix(string(text), shapes[1].whole+"   "):
				got[shapes[1].name] = true
			case strings.HasPrefix(string(text), strings.Repeat(shapes[3].whole, 3)):
				got[shapes[3].name] = true
			}
			if before == 2 && len(got) == 3 {
				close(all)
			}
			mu.Unlock()
		}
	})
	slow := startSlow(t.Context(), addr, time.Millisecond, time.Millisecond, shapes, len(shapes), len(shapes), 0)
	<-all
	slow.stop()
	for i := range slow.seen {
		if s := &slow.seen[i]; s.cut != 0 || s.failed != 0 {
			t.Errorf("%s: cut %d, failed %d", shapes[i].name, s.cut, s.failed)
		}
	}
}
