package meta

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/chumiai/chumi/chat"
)

// retryAfterMax bounds what headers may ask for: an answer that is an hour late
// is worth less than a person looking at it.
const retryAfterMax = time.Hour

// readOutcome judges an answer by its content. The HTTP status is not looked
// at: it varies for one and the same error. Whatever is neither an id nor a
// named error may have sent the message.
func readOutcome(sent *chat.Outbound, header http.Header, body []byte) chat.SendOutcome {
	kind := sent.Channel.Kind
	ambiguous := func(reason string) chat.SendOutcome {
		return chat.SendOutcome{Result: chat.SendAmbiguous, Reason: reason}
	}
	if checkLimits(body) != nil {
		return ambiguous("unrecognised_response")
	}
	w := works.Get().(*work)
	defer works.Put(w)
	v, err := w.parser.ParseBytes(body)
	if err != nil {
		return ambiguous("unrecognised_response")
	}
	remote := v.Get("message_id")
	if kind == chat.WhatsApp {
		remote = v.Get("messages", "0", "id")
	}
	id := idOf(remote)
	e := v.Get("error")
	code, coded := codeOf(e.Get("code"))
	switch {
	case !empty(e) && id != "":
		return ambiguous("contradictory_response")
	case id != "":
		return chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID(id), Reason: "accepted"}
	case kind == chat.Instagram && sent.Type == chat.TypeReaction && empty(e) && idOf(v.Get("recipient_id")) != "":
		// A reaction is no message there and has no id.
		return chat.SendOutcome{Result: chat.SendAccepted, Reason: "accepted"}
	case e.GetObject() == nil:
		return ambiguous("unrecognised_response")
	case !coded:
		return ambiguous("error_without_code")
	}
	subcode, _ := codeOf(e.Get("error_subcode"))
	p, _ := Classify(kind, code, subcode)
	out := chat.SendOutcome{Result: p.Result, Code: code, Subcode: subcode, Reason: p.Reason, RetryAfter: p.RetryAfter, Hold: p.Hold}
	if p.Result == chat.SendThrottled {
		out.RetryAfter = max(p.RetryAfter, wishOf(header))
	}
	return out
}

// wishOf is how long Graph asks to wait, in the headers that say it.
func wishOf(h http.Header) time.Duration {
	var wish time.Duration
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil && s > 0 {
		wish = time.Duration(min(s, int(retryAfterMax/time.Second))) * time.Second
	}
	// {"<waba>":[{"type":"messaging","estimated_time_to_regain_access":<minutes>,...}]}
	var usage map[string][]struct {
		Minutes float64 `json:"estimated_time_to_regain_access"`
	}
	if err := json.Unmarshal([]byte(h.Get("X-Business-Use-Case-Usage")), &usage); err == nil {
		for _, list := range usage {
			for _, u := range list {
				minutes := min(max(u.Minutes, 0), retryAfterMax.Minutes())
				wish = max(wish, time.Duration(minutes*float64(time.Minute)))
			}
		}
	}
	return wish
}

// metricCode is the label of an error: only codes that have a row, so that what
// Graph invents cannot grow the set.
func metricCode(kind chat.ChannelKind, out chat.SendOutcome) string {
	if _, known := Classify(kind, out.Code, out.Subcode); !known {
		return "other"
	}
	switch {
	case kind == chat.WhatsApp && inRange(out.Code):
		return strconv.Itoa(out.Code/1000) + "xxx"
	case out.Code >= 200 && out.Code <= 299:
		return "2xx"
	case kind == chat.Instagram && out.Code >= 36000 && out.Code <= 36999:
		return "36xxx"
	}
	return strconv.Itoa(out.Code)
}

func inRange(code int) bool {
	for _, r := range whatsappRanges {
		if code >= r.from && code <= r.to {
			return true
		}
	}
	return false
}
