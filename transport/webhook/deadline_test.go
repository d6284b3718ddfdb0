package webhook

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlines_NoneEndsEarlyAndNeighboursShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deadlines{timeout: time.Second}
		first := d.next(time.Now())
		time.Sleep(deadlineGrain - time.Millisecond)
		last := d.next(time.Now())
		if first != last {
			t.Error("two requests within a grain have a timer each")
		}
		time.Sleep(time.Millisecond)
		if d.next(time.Now()) == last {
			t.Error("a request behind the grain shares a deadline that is too early")
		}
		time.Sleep(time.Second - 2*time.Millisecond)
		if last.Err() != nil {
			t.Error("a context ended before its time")
		}
		time.Sleep(deadlineGrain)
		if first.Err() == nil {
			t.Error("a context did not end")
		}
	})
}
