//go:build planted

package persistence

import (
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// TestSelfCheck_NoticesPlantedBugs runs one story per promise twice: as it should be, and
// with a mistake in what decides or stores. The gauge of the promise is red the second time
// and at 0 the first.
func TestSelfCheck_NoticesPlantedBugs(t *testing.T) {
	defer failpoint.Plant("")
	set := &chat.Settings{Assistant: true, CallCost: chat.CallCost{Prompt: 70, Output: 30}, Budget: 5000,
		Profile: &chat.Assistant{ID: "main", Version: 1}}
	set.EnsureDefaults()
	later := epoch0.Add(time.Hour)
	for bug, c := range map[failpoint.Bug]struct {
		want string
		// late is when the self-check looks.
		late  time.Duration
		story func(t *testing.T, s *Store, k *talker)
	}{
		failpoint.BugForgetDue: {"accept_outcome", time.Minute, func(*testing.T, *Store, *talker) {}},
		failpoint.BugForgetAttempt: {"intent_end", time.Hour + time.Second, func(t *testing.T, s *Store, k *talker) {
			k.step(t, set, epoch0, chat.TakeOver{Member: "mem_1"})
			k.step(t, set, epoch0, chat.MemberSend{Type: chat.TypeText, Text: "hello"})
			k.step(t, set, epoch0, chat.AttemptDue{Message: k.state.Outbox[0].Message})
			k.step(t, set, later, chat.Tick{})
		}},
		failpoint.BugBudgetLeak: {"turn_bill", 12 * time.Second, func(t *testing.T, s *Store, k *talker) {
			k.step(t, set, epoch0.Add(10*time.Second), chat.Tick{})
			g := s.Group("acme")
			s.Lead(g, s.Epoch(g)+1)
			k.step(t, set, epoch0.Add(11*time.Second), chat.Tick{})
		}},
		failpoint.BugForgetDeadline: {"silence", time.Hour + time.Second, func(t *testing.T, s *Store, k *talker) {
			k.step(t, set, later, chat.Tick{})
		}},
	} {
		t.Run(string(bug), func(t *testing.T) {
			for _, planted := range []failpoint.Bug{"", bug} {
				failpoint.Plant(planted)
				s, ahead := selfCheckedStore(t)
				k := newTalker(t, s, "acme", 1)
				k.say(t, "one")
				c.story(t, s, k)
				failpoint.Plant("")
				ahead.Store(int64(c.late))
				s.selfCheckPass(t.Context(), newPace(0), acting)
				got := found(s)
				if planted == "" && len(got) > 0 {
					t.Errorf("without the bug it shows %v", got)
				}
				if planted == bug && got[c.want] == 0 {
					t.Errorf("with the bug it shows %v, want %s", got, c.want)
				}
			}
		})
	}
}
