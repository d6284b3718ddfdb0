package openai

import (
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// settle writes the tokens into an answer: what the provider said, or an estimate
// where it said nothing.
func settle(a *chat.Answer, said *chat.Tokens, p *chat.Prompt) {
	if said != nil && (said.Prompt > 0 || said.Output > 0) {
		a.Tokens = *said
	} else {
		a.Tokens = estimate(a, p)
	}
	a.PromptTokens, a.OutTokens = a.Tokens.Prompt, a.Tokens.Output
}

func tokensOf(u *goopenai.Usage) *chat.Tokens {
	if u == nil {
		return nil
	}
	t := chat.Tokens{Prompt: int64(u.PromptTokens), Output: int64(u.CompletionTokens)}
	if d := u.PromptTokensDetails; d != nil {
		t.Cached = min(int64(d.CachedTokens), t.Prompt)
	}
	if d := u.CompletionTokensDetails; d != nil {
		t.Reasoning = min(int64(d.ReasoningTokens), t.Output)
	}
	return &t
}

func tokensOfResponse(u *goopenai.ResponseUsage) *chat.Tokens {
	if u == nil {
		return nil
	}
	t := chat.Tokens{Prompt: int64(u.InputTokens), Output: int64(u.OutputTokens)}
	if d := u.InputTokensDetails; d != nil {
		t.Cached = min(int64(d.CachedTokens), t.Prompt)
	}
	if d := u.OutputTokensDetails; d != nil {
		t.Reasoning = min(int64(d.ReasoningTokens), t.Output)
	}
	return &t
}

const (
	// lineTokens is what the framing of a message costs, pictureTokens a picture.
	lineTokens    = 4
	pictureTokens = 800
)

// estimate counts tokens without a tokenizer. It errs upwards, so that a budget is not
// overdrawn: a token has four letters in English, and fewer in every other language.
func estimate(a *chat.Answer, p *chat.Prompt) chat.Tokens {
	t := chat.Tokens{Estimated: true, Output: textTokens(a.Text)}
	for i := range a.Calls {
		t.Output += lineTokens + textTokens(a.Calls[i].Name) + textTokens(string(a.Calls[i].Args))
	}
	for i := range p.Lines {
		l := &p.Lines[i]
		t.Prompt += lineTokens + textTokens(l.Text) + int64(len(l.Pictures))*pictureTokens
		for j := range l.Calls {
			t.Prompt += lineTokens + textTokens(l.Calls[j].Name) + textTokens(string(l.Calls[j].Args))
		}
	}
	for i := range p.Tools {
		t.Prompt += lineTokens + textTokens(p.Tools[i].Name) + textTokens(p.Tools[i].Description) + textTokens(string(p.Tools[i].Parameters))
	}
	if p.Structured {
		t.Prompt += textTokens(chat.ResponseSchema)
	}
	return t
}

// textTokens counts four ASCII characters, or one other, as a token.
func textTokens(s string) int64 {
	ascii, other := 0, 0
	for _, r := range s {
		if r < utf8.RuneSelf {
			ascii++
		} else {
			other++
		}
	}
	return int64((ascii+3)/4 + other)
}
