package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
)

// redoWith drives a redo to its end.
func redoWith(ctx context.Context, redo *chat.Redo, model actors.Model, prices *chat.PriceList) error {
	for {
		prompt, more := redo.Prompt()
		if !more {
			return nil
		}
		began := wallClock{}.Now()
		answer, err := model.Complete(ctx, prompt)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			word := "failed"
			var known *chat.ModelError
			if errors.As(err, &known) {
				word = known.Reason
			}
			redo.Failed(word)
			continue
		}
		redo.Answered(answer, priced(prices, &answer), wallClock{}.Now().Sub(began))
	}
}

// priced is what an answer cost by a price list; zero where it is not on it.
func priced(prices *chat.PriceList, a *chat.Answer) chat.Money {
	if prices == nil {
		return 0
	}
	p, _ := prices.Price(chat.ModelRef{Provider: a.Provider, Model: a.Model})
	return p.Of(a.Tokens)
}

// replaySum adds conversations up.
type replaySum struct {
	conversations, calls, same int
	verdicts                   map[chat.Worth]int
	lost                       map[string]int
	// worse are those whose answers got worse, at most namedMax.
	worse []chat.ConversationID
	// was and now add up what the turns took.
	was, now chat.Outcome
}

func (s *replaySum) add(o *replayed) {
	s.conversations++
	s.calls += o.Calls
	s.same += o.Same
	s.verdicts[o.Verdict]++
	for word, n := range o.Lost {
		s.lost[word] += n
	}
	if o.Verdict == chat.WorthWorse && len(s.worse) < namedMax {
		s.worse = append(s.worse, o.Conversation)
	}
	for i := range o.Turns {
		if t := &o.Turns[i]; t.Now != nil {
			s.was.Cost += t.Was.Cost
			s.was.Took += t.Was.Took
			s.now.Cost += t.Now.Cost
			s.now.Took += t.Now.Took
		}
	}
}

// tell prints the sum, and fails when something is wrong.
func (r *replay) tell(s *replaySum) error {
	w := r.cli.stdout
	if r.opt.asJSON {
		w = r.cli.stderr
	}
	fmt.Fprintf(w, "%d conversations, %d model calls: %d prompts are the same, byte for byte", s.conversations, s.calls, s.same)
	for _, word := range sortedKeys(s.lost) {
		fmt.Fprintf(w, ", %d %s", s.lost[word], word)
	}
	fmt.Fprintln(w)
	if r.model != nil {
		fmt.Fprintf(w, "answers: %d same, %d changed, %d worse; cost %s, was %s; time %s, was %s\n", s.verdicts[chat.WorthSame], s.verdicts[chat.WorthChanged],
			s.verdicts[chat.WorthWorse], s.now.Cost.String(), s.was.Cost.String(), s.now.Took.Round(1e6), s.was.Took.Round(1e6))
	}
	switch {
	case len(s.worse) > 0:
		return &exitError{code: exitViolation, err: fmt.Errorf("%d conversations are worse: %v", s.verdicts[chat.WorthWorse], s.worse)}
	case s.lost[chat.PromptDiffers] > 0:
		return &exitError{code: exitViolation, err: fmt.Errorf("%d prompts are not what they were", s.lost[chat.PromptDiffers])}
	}
	return nil
}
