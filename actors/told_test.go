package actors

import (
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// What was made beside an answer is recorded and paid once, although the first answer
// of the store says that it may not be.
func TestSystem_PaysOnceForWhatIsBroughtTwice(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(9 * time.Second)
		id := conversationOf("1555")
		doubts := map[chat.EventKind]bool{}
		store.setBefore(func(c chat.Commit) (chat.Receipt, bool) {
			kind := c.Events[0].Kind
			if len(c.Events) != 1 || doubts[kind] || kind != chat.SummaryMade && kind != chat.MediaTranscribed {
				return chat.Receipt{}, false
			}
			doubts[kind] = true
			store.mu.Lock()
			defer store.mu.Unlock()
			store.apply(c)
			return chat.Receipt{Answer: chat.Unknown}, true
		})
		for _, f := range []chat.Fact{
			chat.Summarized{Summary: chat.Summary{UpTo: 2, Text: "they talked", Cost: 3}},
			chat.Transcribed{Message: chat.MessageIDAt(id, 2), Text: "hello", Used: chat.Spend{Cost: 4}},
			chat.Summarized{Summary: chat.Summary{UpTo: 2, Text: "they talked", Cost: 3}},
		} {
			s.insist("acme", s.opt.Leadership.Group("acme"), id, f)
		}
		settle(time.Minute)
		kinds := store.kinds(id)
		for _, want := range []string{"summary_made", "media_transcribed"} {
			if n := len(slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k != want })); n != 1 {
				t.Errorf("%s is recorded %d times: %v", want, n, kinds)
			}
		}
		store.mu.Lock()
		defer store.mu.Unlock()
		if paid := store.count[chat.BudgetCounter(time.Now())]; paid != 7 || len(doubts) != 2 {
			t.Errorf("%d is counted for what cost 7, in doubt were %v", paid, doubts)
		}
	})
}

// What was used outside conversations is counted once for each call, although the store
// says of each first answer that it may not be.
func TestSystem_ChargesEachCallOnce(t *testing.T) {
	prices := &chat.PriceList{Prices: map[chat.ModelRef]chat.Price{{Model: "small"}: {Input: 5}}}
	inBubble(t, func(o *Options) { o.Prices = prices }, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		doubts := map[string]bool{}
		store.setBefore(func(c chat.Commit) (chat.Receipt, bool) {
			if len(c.Events) != 1 || c.Events[0].Kind != chat.ModelUsed || doubts[c.Claims[0].Key] {
				return chat.Receipt{}, false
			}
			doubts[c.Claims[0].Key] = true
			store.mu.Lock()
			defer store.mu.Unlock()
			store.apply(c)
			return chat.Receipt{Answer: chat.Unknown}, true
		})
		for _, tokens := range []int64{2, 2, 7} {
			s.Charge("acme", chat.Spend{Operation: chat.OperationEmbeddings, Model: "small", Tokens: chat.Tokens{Prompt: tokens}})
		}
		s.Charge("acme", chat.Spend{Operation: chat.OperationEmbeddings, Model: "unpriced", Tokens: chat.Tokens{Prompt: 9}})
		settle(time.Minute)
		store.mu.Lock()
		defer store.mu.Unlock()
		if paid := store.count[chat.BudgetCounter(time.Now())]; paid != 55 || len(doubts) != 4 {
			t.Errorf("%d is counted for what cost 55, in doubt were %v", paid, doubts)
		}
	})
}
