package chat

import "time"

// Usage is an amount to be added to one of a tenant's counters.
type Usage struct {
	Counter string
	Amount  int64
}

// UsageOf lists what the events of one commit add to the tenant's counters:
// messages by direction, turns, calls, tokens and money, per UTC day and channel, and
// what turns did also per version of an assistant. It depends on the events alone; a
// counter appears once. Names are what/day/channel or what/day/channel/version.
func UsageOf(events []Event) []Usage {
	var out []Usage
	add := func(e *Event, what string, amount int64) {
		if amount == 0 {
			return
		}
		var room [96]byte
		word := append(append(room[:0], what...), '/')
		word = append(e.Time.UTC().AppendFormat(word, time.DateOnly), '/')
		word = append(word, e.Channel...)
		if e.Turn != nil && e.Turn.Version != "" {
			word = append(append(word, '/'), e.Turn.Version...)
		}
		for i := range out {
			if out[i].Counter == string(word) {
				out[i].Amount += amount
				return
			}
		}
		out = append(out, Usage{Counter: string(word), Amount: amount})
	}
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case MessageReceived:
			add(e, "messages_in", 1)
		case MessageQueued, MessageEchoed:
			add(e, "messages_out", 1)
		case TurnStarted:
			add(e, "calls", 1)
			switch {
			case e.Turn == nil: // erased
			case e.Turn.Call == 1:
				add(e, "turns", 1)
			case e.Turn.Cost > 0:
				add(e, "calls_lost", 1)
			}
		case TurnAnswered, TurnCalled:
			if e.Turn != nil {
				add(e, "tokens_prompt", e.Turn.PromptTokens)
				add(e, "tokens_output", e.Turn.OutTokens)
			}
		case SummaryMade:
			if e.Summary == nil {
				break
			}
			add(e, "tokens_prompt", e.Summary.Tokens.Prompt)
			add(e, "tokens_output", e.Summary.Tokens.Output)
			add(e, "money", int64(e.Summary.Cost))
		case MediaTranscribed, ModelUsed:
			if used := e.Aside(); used != nil {
				add(e, "tokens_prompt", used.Tokens.Prompt)
				add(e, "tokens_output", used.Tokens.Output)
				add(e, "money", int64(used.Cost))
			}
		case ToolStarted:
			add(e, "tools", 1)
		}
		if e.Turn != nil {
			add(e, "money", int64(e.Turn.Cost))
		}
	}
	return out
}

// UsageKey is what a counter of UsageOf counts.
type UsageKey struct {
	// Day is as 2026-11-27, in UTC.
	Day     string
	Channel ChannelID
	// Assistant is empty for what no version of one did.
	Assistant AssistantRef
}

// UsageSum is what was counted under a key.
type UsageSum struct {
	MessagesIn, MessagesOut    int64
	Turns, Calls, CallsLost    int64
	Tools                      int64
	TokensPrompt, TokensOutput int64
	Cost                       Money
}

// UsageWords are the counters of UsageOf, by what they count.
var UsageWords = [...]string{"messages_in", "messages_out", "turns", "calls", "calls_lost", "tools", "tokens_prompt", "tokens_output", "money"}

// Add adds what a counter of UsageOf counts, by its word.
func (s *UsageSum) Add(word string, n int64) {
	for i, to := range [...]*int64{&s.MessagesIn, &s.MessagesOut, &s.Turns, &s.Calls, &s.CallsLost, &s.Tools, &s.TokensPrompt, &s.TokensOutput, (*int64)(&s.Cost)} {
		if UsageWords[i] == word {
			*to += n
		}
	}
}

// Plus adds another sum.
func (s *UsageSum) Plus(o UsageSum) {
	for i, n := range [...]int64{o.MessagesIn, o.MessagesOut, o.Turns, o.Calls, o.CallsLost, o.Tools, o.TokensPrompt, o.TokensOutput, int64(o.Cost)} {
		s.Add(UsageWords[i], n)
	}
}
