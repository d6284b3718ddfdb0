package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
)

// siege is many conversations, each taken over at a random moment of a turn.
type siege struct {
	mu  sync.Mutex
	rng *rand.Rand
	// order counts what happens: fake time stands still while things do.
	order atomic.Int64
	talks map[string]*siegeTalk
}

// siegeTalk is one of them. Times are of order; 0 is never.
type siegeTalk struct {
	asked, returned int64
	// sends and runs are requests to Graph and calls of tools, in order.
	sends, runs []siegeCall
}

type siegeCall struct{ began, ended int64 }

func (s *siege) draw(from, to time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return from + time.Duration(s.rng.Int64N(int64(to-from)))
}

// passes notes a call of one kind from its beginning to its end.
func (s *siege) passes(who string, calls func(*siegeTalk) *[]siegeCall, during func()) {
	s.mu.Lock()
	list := calls(s.talks[who])
	i := len(*list)
	*list = append(*list, siegeCall{began: s.order.Add(1)})
	s.mu.Unlock()
	during()
	s.mu.Lock()
	(*list)[i].ended = s.order.Add(1)
	s.mu.Unlock()
}

// Complete implements Model: it asks for tools of all classes, one step or two, then
// answers in words.
func (s *siege) Complete(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
	select {
	case <-time.After(s.draw(100*time.Millisecond, 4*time.Second)):
	case <-ctx.Done():
		return chat.Answer{}, &chat.ModelError{Reason: "cancelled"}
	}
	steps := 0
	for _, l := range p.Lines {
		if len(l.Calls) > 0 {
			steps++
		}
	}
	a := chat.Answer{Model: "m", Text: "AI " + strconv.Itoa(steps)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if steps < 2 && s.rng.IntN(4) > 0 {
		for i := range 1 + s.rng.IntN(3) {
			name := []string{"look", "pay", "book", "refund"}[s.rng.IntN(4)]
			a.Calls = append(a.Calls, chat.ToolCall{ID: fmt.Sprintf("%d.%d", p.Call, i), Name: name, Args: json.RawMessage(`{}`)})
		}
	}
	return a, nil
}

// Run implements Toolbox.
func (s *siege) Run(ctx context.Context, r chat.ToolRun) chat.ToolResult {
	s.passes(string(r.Conversation), func(k *siegeTalk) *[]siegeCall { return &k.runs }, func() {
		select {
		case <-time.After(s.draw(0, 4*time.Second)):
		case <-ctx.Done():
		}
	})
	return chat.ToolResult{Content: "done"}
}

// Send implements Graph: some requests take long, are refused for now or get lost.
func (s *siege) Send(_ context.Context, out chat.Outbound) chat.SendOutcome {
	o := chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID("out." + out.Message)}
	during := func() {
		time.Sleep(s.draw(0, 2*time.Second))
		switch s.draw(0, 20) {
		case 0:
			o = chat.SendOutcome{Result: chat.SendAmbiguous}
		case 1:
			o = chat.SendOutcome{Result: chat.SendThrottled, RetryAfter: s.draw(0, time.Second)}
		}
	}
	if strings.HasPrefix(out.Text, "AI ") {
		id, _, _ := out.Message.Parse()
		s.passes(string(id), func(k *siegeTalk) *[]siegeCall { return &k.sends }, during)
	} else {
		during()
	}
	return o
}

// besiegedMoments is how many random moments are tried by default: CHUMI_TAKEOVERS.
const besiegedMoments = 1000

// After a takeover that was answered no message of the assistant starts and no tool is
// called for it, at whatever moment it comes: while the model thinks, tools run or a
// person is asked, between the steps, or while an answer is on its way. Attempts under
// way when it came have ended by then.
func TestSystem_TakeOverAtRandomMoments(t *testing.T) {
	want := besiegedMoments
	if n, err := strconv.Atoi(os.Getenv("CHUMI_TAKEOVERS")); err == nil {
		want = n
	}
	const each = 50
	var total struct{ moments, midModel, midTool, midApproval, midSend, sent, quiet int }
	for seed := range uint64((want + each - 1) / each) { // #nosec G115 -- positive
		g := &siege{rng: rand.New(rand.NewPCG(seed, 10)), talks: map[string]*siegeTalk{}}
		change := func(o *Options) {
			if o.Model, o.Toolbox, o.Graph = g, g, g; seed%2 == 1 {
				o.TurnsInFlightMax = each / 3 // the others wait for a place
			}
		}
		inBubble(t, change, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
			tooledForAll(t, store)
			var all sync.WaitGroup
			for i := range each {
				who := fmt.Sprint(1555000 + i)
				id := conversationOf(who)
				talk := &siegeTalk{}
				g.talks[string(id)] = talk
				all.Go(func() {
					deliver(t, s, textFrom(who, "wamid."+who, "hello"))
					time.Sleep(g.draw(0, 9*time.Second))
					if store.asks(id) && g.draw(0, 2) == 0 {
						_ = s.Ingress().Decide(t.Context(), "acme", id, chat.ToolDecision{Call: store.pending(id), Approved: true})
						time.Sleep(g.draw(0, 3*time.Second))
					}
					was, _, _ := store.Load("acme", id)
					talk.asked = g.order.Add(1)
					_, err := s.Ingress().TakeOver(t.Context(), "acme", id, chat.TakeOver{Member: "ann"})
					talk.returned = g.order.Add(1)
					if err != nil {
						t.Errorf("seed %d, %s: %v", seed, who, err)
					}
					waits := was.Work != nil && slices.ContainsFunc(was.Work.Calls, func(k chat.PendingCall) bool { return k.State == chat.CallAsked })
					g.mu.Lock()
					switch {
					case waits:
						total.midApproval++
					case was.Turn.Phase == chat.TurnWorking:
						total.midTool++
					case was.Turn.Phase == chat.TurnRunning:
						total.midModel++
					default:
						total.quiet++
					}
					g.mu.Unlock()
					if waits {
						err := s.Ingress().Decide(t.Context(), "acme", id, chat.ToolDecision{Call: was.Work.Calls[0].ID, Approved: true})
						if chat.KindOf(err) != chat.KindNotFound {
							t.Errorf("seed %d, %s: a call is approved after the takeover: %v", seed, who, err)
						}
					}
				})
			}
			all.Wait()
			settle(3 * time.Minute)
		})
		for who, k := range g.talks {
			total.moments++
			for _, c := range k.sends {
				switch total.sent++; {
				case c.began > k.returned:
					t.Errorf("seed %d, %s: a message of the assistant starts after the takeover returned", seed, who)
				case c.ended > k.returned:
					t.Errorf("seed %d, %s: the takeover returned while an attempt was under way", seed, who)
				case c.ended > k.asked:
					total.midSend++
				}
			}
			for _, c := range k.runs {
				if c.began > k.returned {
					t.Errorf("seed %d, %s: a tool is called after the takeover returned", seed, who)
				}
			}
		}
	}
	t.Logf("%d takeovers: while the model thought %d, tools ran %d, a person was asked %d, else %d; "+
		"%d messages of the assistant began, %d of them under way when the takeover came and ended before it returned, 0 after it",
		total.moments, total.midModel, total.midTool, total.midApproval, total.quiet, total.sent, total.midSend)
	if total.midModel < want/20 || total.midTool < want/20 || total.midApproval < want/20 || total.midSend < want/50 {
		t.Error("the moments are not spread over the turn")
	}
}

// tooledForAll publishes an assistant with tools of each class.
func tooledForAll(t *testing.T, store *memStore) {
	t.Helper()
	a := chat.Assistant{ID: chat.DefaultAssistant, Version: 1, Plain: true, Tools: []chat.ToolGrant{{Name: "look"}, {Name: "pay"}, {Name: "book"},
		{Name: "refund", Approval: true}}}
	docs := published(t, a)
	for _, tool := range []chat.Tool{{Name: "look"}, {Name: "pay", Acts: true}, {Name: "book", Acts: true, Repeatable: true}, {Name: "refund", Acts: true}} {
		tool.Kind = chat.ToolHTTP
		docs = append(docs, chat.Doc{Noun: chat.DocTool, ID: tool.Name, Value: jsonOf(t, tool)})
	}
	for _, d := range docs {
		store.setDoc(d.Noun, d.ID, d.Value)
	}
}

// pending is the first call of a tool that waits for a person, "" for none.
func (s *memStore) pending(id chat.ConversationID) string {
	st, _, _ := s.Load("acme", id)
	if st.Work != nil {
		for _, k := range st.Work.Calls {
			if k.State == chat.CallAsked {
				return k.ID
			}
		}
	}
	return ""
}

func (s *memStore) asks(id chat.ConversationID) bool { return s.pending(id) != "" }

// Five messages within four seconds get one answer, which was made of all five. A call
// that was under way when another came is cancelled on the wire.
func TestSystem_FiveMessagesInFourSeconds(t *testing.T) {
	calls, cancelled := 0, 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 11))
		var seen []chat.Prompt
		left := 0
		model := scriptModel{func(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
			seen = append(seen, p)
			select {
			case <-time.After(5 * time.Second):
				return chat.Answer{Text: "all of it", Model: "m"}, nil
			case <-ctx.Done():
				left++
				return chat.Answer{}, &chat.ModelError{Reason: "cancelled"}
			}
		}}
		inBubble(t, func(o *Options) { o.Model = model }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
			at := make([]time.Duration, 5)
			for i := range at[1:] {
				at[i+1] = time.Duration(rng.Int64N(int64(4 * time.Second)))
			}
			slices.Sort(at)
			began := time.Now()
			for i, d := range at {
				time.Sleep(time.Until(began.Add(d)))
				deliver(t, s, textFrom("1555", fmt.Sprint("wamid.", i), fmt.Sprint("part ", i)))
			}
			settle(30 * time.Second)
			synctest.Wait()
			if got := graph.texts(); !slices.Equal(got, []string{"all of it"}) {
				t.Fatalf("seed %d, at %v: sent %q", seed, at, got)
			}
			last := seen[len(seen)-1]
			for i := range at {
				if !slices.ContainsFunc(last.Lines, func(l chat.PromptLine) bool { return l.Text == fmt.Sprint("part ", i) }) {
					t.Errorf("seed %d: the answer does not know part %d: %+v", seed, i, last.Lines)
				}
			}
			if left != len(seen)-1 {
				t.Errorf("seed %d: %d calls, %d cancelled", seed, len(seen), left)
			}
		})
		calls, cancelled = calls+len(seen), cancelled+left
	}
	t.Logf("200 bursts, 200 answers: the model was called %d times, %d calls were cancelled", calls, cancelled)
	if cancelled == 0 {
		t.Error("no call was under way when a message came")
	}
}
