package api

import (
	"strconv"

	"github.com/chumiai/chumi/chat"
)

func appendTurn(dst []byte, t *chat.TurnRecord) []byte {
	dst = append(dst, `,"turn":{"id":`...)
	dst = appendString(dst, string(t.ID))
	dst = append(dst, `,"call":`...)
	dst = strconv.AppendInt(dst, int64(t.Call), 10)
	dst = appendOptionalInt(dst, "from_seq", int64(t.From)) // #nosec G115 -- seqs count events
	dst = appendOptionalInt(dst, "to_seq", int64(t.UpTo))   // #nosec G115
	dst = appendOptional(dst, "version", string(t.Version))
	dst = appendOptional(dst, "answer", t.Answer)
	dst = appendOptional(dst, "provider", t.Provider)
	dst = appendOptional(dst, "model", t.Model)
	dst = appendOptional(dst, "provider_request", t.Request)
	dst = appendOptional(dst, "prompt_hash", t.PromptHash)
	dst = appendOptionalInt(dst, "prompt_tokens", t.PromptTokens)
	dst = appendOptionalInt(dst, "output_tokens", t.OutTokens)
	if t.Tokens != (chat.Tokens{}) {
		dst = appendJSON(dst, "tokens", t.Tokens)
	}
	dst = appendOptionalInt(dst, "reserved_nanos", int64(t.Reserved))
	dst = appendOptionalInt(dst, "cost_nanos", int64(t.Cost))
	if len(t.Calls) > 0 {
		dst = appendJSON(dst, "tool_calls", t.Calls)
	}
	if t.Response != nil {
		dst = appendJSON(dst, "response", t.Response)
	}
	if len(t.Saw) > 0 {
		dst = appendJSON(dst, "saw", t.Saw)
	}
	if len(t.Facts) > 0 {
		dst = appendJSON(dst, "facts", t.Facts)
	}
	dst = appendOptionalInt(dst, "horizon_seq", int64(t.Horizon)) // #nosec G115
	if t.Simulated {
		dst = append(dst, `,"simulated":true`...)
	}
	dst = appendOptional(dst, "reason", t.Reason)
	return append(dst, '}')
}

func appendTool(dst []byte, t *chat.ToolRecord) []byte {
	dst = append(dst, `,"tool":{"turn_id":`...)
	dst = appendString(dst, string(t.Turn))
	dst = appendMember(dst, "call_id", t.ID)
	dst = appendMember(dst, "name", t.Name)
	dst = appendOptionalInt(dst, "n", int64(t.N))
	if t.Acts {
		dst = append(dst, `,"acts":true`...)
	}
	if t.Member != "" {
		dst = append(dst, `,"approved":`...)
		dst = strconv.AppendBool(dst, t.Approved)
		dst = appendMember(dst, "member", t.Member)
	}
	if t.Result != nil {
		dst = appendJSON(dst, "result", t.Result)
	}
	if t.Late {
		dst = append(dst, `,"late":true`...)
	}
	return append(dst, '}')
}

func appendSummary(dst []byte, s *chat.Summary) []byte {
	dst = append(dst, `,"summary":{"up_to_seq":`...)
	dst = strconv.AppendUint(dst, uint64(s.UpTo), 10)
	dst = appendMember(dst, "text", s.Text)
	dst = appendOptional(dst, "model", s.Model)
	dst = appendJSON(dst, "tokens", s.Tokens)
	dst = appendOptionalInt(dst, "cost_nanos", int64(s.Cost))
	if s.Simulated {
		dst = append(dst, `,"simulated":true`...)
	}
	return append(dst, '}')
}
