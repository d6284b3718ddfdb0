package api

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// assistantBody is the content of an assistant as people write it, in the API, in
// files and in answers: what is left out is as if nobody had said it.
type assistantBody struct {
	Note         string                 `json:"note,omitempty"`
	Instructions string                 `json:"instructions"`
	Tone         string                 `json:"tone,omitempty"`
	Business     string                 `json:"business,omitempty"`
	Scope        string                 `json:"scope,omitempty"`
	Forbidden    []string               `json:"forbidden_topics,omitempty"`
	Languages    []string               `json:"languages,omitempty"`
	Disclosure   string                 `json:"disclosure,omitempty"`
	Hours        *hoursBody             `json:"hours,omitempty"`
	Away         string                 `json:"away,omitempty"`
	Apology      string                 `json:"apology,omitempty"`
	Models       []modelBody            `json:"models,omitempty"`
	Tools        []grantBody            `json:"tools,omitempty"`
	Links        []string               `json:"link_domains,omitempty"`
	Limits       *limitsBody            `json:"limits,omitempty"`
	Vision       bool                   `json:"vision,omitempty"`
	Voice        bool                   `json:"voice,omitempty"`
	Plain        bool                   `json:"plain,omitempty"`
	Channels     map[string]variantBody `json:"channels,omitempty"`
}

// hoursBody is opening times, such as from "09:00" to "18:00" on mon and tue.
type hoursBody struct {
	Zone string     `json:"zone"`
	Open []spanBody `json:"open"`
}

type spanBody struct {
	Days []string `json:"days"`
	From string   `json:"from"`
	// To may be up to "48:00": the night belongs to the day it begins on.
	To string `json:"to"`
}

type modelBody struct {
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model"`
}

type grantBody struct {
	Name     string `json:"name"`
	Approval bool   `json:"approval,omitempty"`
	Max      int    `json:"max_per_conversation,omitempty"`
}

type limitsBody struct {
	Steps        int    `json:"steps,omitempty"`
	Tools        int    `json:"tool_calls,omitempty"`
	OutTokens    int64  `json:"output_tokens,omitempty"`
	PromptTokens int64  `json:"prompt_tokens,omitempty"`
	Cost         string `json:"cost,omitempty"`
	Seconds      int64  `json:"time_seconds,omitempty"`
}

type variantBody struct {
	Instructions string `json:"instructions,omitempty"`
	Tone         string `json:"tone,omitempty"`
	Disclosure   string `json:"disclosure,omitempty"`
	Off          bool   `json:"off,omitempty"`
}

// ReadAssistant reads the content of an assistant as the API takes it. Its error
// names the member that is wrong.
func ReadAssistant(body []byte) (chat.Assistant, error) {
	var in assistantBody
	if fail := decodeStrict(body, &in); fail != nil {
		return chat.Assistant{}, &chat.LimitError{Param: fail.param, Code: fail.code, Message: fail.message}
	}
	a, fail := in.read()
	if fail != nil {
		return a, &chat.LimitError{Param: fail.param, Code: fail.code, Message: fail.message}
	}
	return a, nil
}

func (in *assistantBody) read() (a chat.Assistant, fail *failure) {
	a = chat.Assistant{Note: in.Note, Instructions: in.Instructions, Tone: in.Tone, Business: in.Business, Scope: in.Scope,
		Forbidden: in.Forbidden, Languages: in.Languages, Disclosure: in.Disclosure, Away: in.Away, Apology: in.Apology, Links: in.Links,
		Vision: in.Vision, Voice: in.Voice, Plain: in.Plain}
	for _, m := range in.Models {
		a.Models = append(a.Models, chat.ModelRef(m))
	}
	for _, g := range in.Tools {
		a.Tools = append(a.Tools, chat.ToolGrant(g))
	}
	if in.Hours != nil {
		if a.Hours, fail = in.Hours.read(); fail != nil {
			return a, fail
		}
	}
	if l := in.Limits; l != nil {
		a.Limits = chat.TurnLimits{Steps: l.Steps, Tools: l.Tools, OutTokens: l.OutTokens, PromptTokens: l.PromptTokens}
		if l.Cost != "" {
			var err error
			if a.Limits.Cost, err = chat.ParseMoney(l.Cost); err != nil {
				return a, invalid("parameter_invalid", "limits.cost", "limits.cost must be an amount such as 0.05.")
			}
		}
		if l.Seconds < 0 || l.Seconds > int64(time.Hour/time.Second) {
			return a, invalid("parameter_invalid", "limits.time_seconds", "limits.time_seconds must be between 0 and 600.")
		}
		a.Limits.Time = time.Duration(l.Seconds) * time.Second
	}
	for ch, v := range in.Channels {
		if a.Channels == nil {
			a.Channels = make(map[chat.ChannelID]chat.AssistantVariant, len(in.Channels))
		}
		a.Channels[chat.ChannelID(ch)] = chat.AssistantVariant(v)
	}
	return a, nil
}

var dayWords = [...]string{time.Sunday: "sun", time.Monday: "mon", time.Tuesday: "tue", time.Wednesday: "wed",
	time.Thursday: "thu", time.Friday: "fri", time.Saturday: "sat"}

func (in *hoursBody) read() (*chat.Hours, *failure) {
	h := &chat.Hours{Zone: in.Zone, Open: []chat.OpenSpan{}}
	for i, s := range in.Open {
		at := "hours.open[" + strconv.Itoa(i) + "]"
		from, ok := readClock(s.From)
		if !ok {
			return nil, invalid("parameter_invalid", at+".from", at+".from must be a time such as 09:00.")
		}
		to, ok := readClock(s.To)
		if !ok {
			return nil, invalid("parameter_invalid", at+".to", at+".to must be a time such as 18:00, or 26:00 for two at night.")
		}
		if len(s.Days) == 0 {
			return nil, missing(at + ".days")
		}
		for _, word := range s.Days {
			day := -1
			for d, w := range dayWords {
				if w == word {
					day = d
				}
			}
			if day < 0 {
				return nil, invalid("parameter_invalid", at+".days", at+".days must be of mon, tue, wed, thu, fri, sat and sun.")
			}
			h.Open = append(h.Open, chat.OpenSpan{Day: time.Weekday(day), From: from, To: to})
		}
	}
	return h, nil
}

// readClock reads a time of the day in minutes.
func readClock(text string) (minutes int, ok bool) {
	if len(text) != 5 || text[2] != ':' || strings.ContainsAny(text, "+-") {
		return 0, false
	}
	hour, err := strconv.Atoi(text[:2])
	minute, err2 := strconv.Atoi(text[3:])
	return hour*60 + minute, err == nil && err2 == nil && hour <= 48 && minute < 60
}

// bodyOf is the inverse of read.
func bodyOf(a *chat.Assistant) assistantBody {
	out := assistantBody{Note: a.Note, Instructions: a.Instructions, Tone: a.Tone, Business: a.Business, Scope: a.Scope,
		Forbidden: a.Forbidden, Languages: a.Languages, Disclosure: a.Disclosure, Away: a.Away, Apology: a.Apology, Links: a.Links,
		Vision: a.Vision, Voice: a.Voice, Plain: a.Plain}
	for _, m := range a.Models {
		out.Models = append(out.Models, modelBody(m))
	}
	for _, g := range a.Tools {
		out.Tools = append(out.Tools, grantBody(g))
	}
	if a.Hours != nil {
		out.Hours = &hoursBody{Zone: a.Hours.Zone, Open: []spanBody{}}
		for _, s := range a.Hours.Open {
			out.Hours.Open = append(out.Hours.Open, spanBody{Days: []string{dayWords[s.Day]}, From: clockWord(s.From), To: clockWord(s.To)})
		}
	}
	if l := a.Limits; l != (chat.TurnLimits{}) {
		out.Limits = &limitsBody{Steps: l.Steps, Tools: l.Tools, OutTokens: l.OutTokens, PromptTokens: l.PromptTokens,
			Seconds: int64(l.Time / time.Second)}
		if l.Cost > 0 {
			out.Limits.Cost = l.Cost.String()
		}
	}
	for ch, v := range a.Channels {
		if out.Channels == nil {
			out.Channels = make(map[string]variantBody, len(a.Channels))
		}
		out.Channels[string(ch)] = variantBody(v)
	}
	return out
}

func clockWord(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }
