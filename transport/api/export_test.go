package api

import (
	"context"
	"log/slog"

	"github.com/chumiai/chumi/chat"
)

// RouteList is every route as "METHOD /path".
func RouteList() (list []string) {
	for _, r := range routes {
		list = append(list, r.method+" "+r.path)
	}
	return list
}

// ErrorCodes is every code an error can have.
func ErrorCodes() (codes []string) {
	for _, f := range []failure{errNoRoute, errMethod, errNoKey, errBadKey, errScope, errRate, errStreams, errDraining, errVersion, errKeyReused, errNotFound, errNoChannel, errNoAssistant, errNoVersion, errVersionConflict, errNoTurn, errBudgetChanged, errNoTool, errNoItem, errTooMany} {
		codes = append(codes, f.code)
	}
	for reason := range refusals {
		codes = append(codes, reason)
	}
	r := &call{API: &API{log: slog.New(slog.DiscardHandler)}}
	for k := chat.KindOther; k <= chat.KindCorrupt; k++ {
		codes = append(codes, r.failed(chat.E("x", k, "", context.Canceled)).code)
	}
	return append(codes, "parameter_invalid", "parameter_missing", "parameter_unknown", "body_missing", "body_invalid",
		"cursor_invalid", "idempotency_key_invalid", "parameter_too_long", "parameter_too_many", "type_not_supported", "meta_unavailable", "meta_refused", "model_unpriced",
		"url_unsafe", "host_not_allowed", "header_unsafe", "secret_in_definition", "schema_invalid", "tool_acts", "tool_not_approved", "tool_changed", "tool_server_failed")
}

// AppendString quotes s.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }
