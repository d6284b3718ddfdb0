package meta

import (
	"time"

	"github.com/chumiai/chumi/chat"
)

// Policy is what a Graph error means for the send that got it.
type Policy struct {
	Result chat.SendResult
	// Reason is a word for people.
	Reason string
	// RetryAfter is when a throttled send is worth another attempt, or when a
	// blocked channel is worth a look; the sender backs off from there.
	RetryAfter time.Duration
	// Hold is what else waits with a throttled send.
	Hold chat.Hold
}

// How long to wait first. Graph says how long only in headers, and not always.
const (
	// soon is for failures inside Meta, which mostly pass in seconds.
	soon = 2 * time.Second
	// pace is for the throughput of a number, which is counted per second.
	pace = time.Second
	// pair is Meta's first wait after too many messages to one person; the next are
	// four times as long each.
	pair = time.Second
	// quota is for call quotas, which are counted over minutes to an hour.
	quota = time.Minute
	// crowded is for a portfolio's limit of persons, of which a part frees in an hour.
	crowded = time.Hour
	// maintenance is how long a throughput upgrade takes.
	maintenance = time.Minute
	// spam is for a number that Meta slowed down: no quick retry.
	spam = 15 * time.Minute
)

var (
	badRequest   = Policy{Result: chat.SendRefused, Reason: "bad_request"}
	tokenInvalid = Policy{Result: chat.SendBlocked, Reason: "token_invalid"}
	permission   = Policy{Result: chat.SendBlocked, Reason: "permission_missing"}
	notReady     = Policy{Result: chat.SendBlocked, Reason: "number_not_ready"}
	payment      = Policy{Result: chat.SendBlocked, Reason: "payment"}
	locked       = Policy{Result: chat.SendBlocked, Reason: "account_locked"}
	pin          = Policy{Result: chat.SendBlocked, Reason: "number_registration"}
	unavailable  = Policy{Result: chat.SendThrottled, Reason: "meta_unavailable", RetryAfter: soon}
	template     = Policy{Result: chat.SendRefused, Reason: "template_invalid"}
	feature      = Policy{Result: chat.SendRefused, Reason: "feature_not_available"}
	maybeSent    = Policy{Result: chat.SendAmbiguous, Reason: "meta_unsure"}
	restricted   = Policy{Result: chat.SendBlocked, Reason: "account_restricted"}
	appCalls     = Policy{Result: chat.SendThrottled, Reason: "call_limit", RetryAfter: quota, Hold: chat.HoldApp}
	// callLimit is of an account, or of whoever's token it is: one channel either way.
	callLimit = Policy{Result: chat.SendThrottled, Reason: "call_limit", RetryAfter: soon, Hold: chat.HoldChannel}

	// unknownCode is for codes Meta invents. An error that Graph named is an
	// answer: the message was not taken. Repeating it blindly could harm the
	// number, so people see it.
	unknownCode = Policy{Result: chat.SendRefused, Reason: "unknown_error"}
)

// graphErrors are codes that mean the same on both products.
var graphErrors = map[int]Policy{
	0:   tokenInvalid,
	3:   permission,
	4:   appCalls,
	10:  permission,
	17:  callLimit,
	33:  badRequest,
	100: badRequest,
	104: tokenInvalid,
	190: tokenInvalid,
	368: locked,
	613: callLimit,
}

// whatsappErrors are the Cloud API's codes.
var whatsappErrors = map[int]Policy{
	1: unavailable, 2: unavailable, 131000: unavailable, 131016: unavailable, 133004: unavailable,

	80007:   {chat.SendThrottled, "account_limit", quota, chat.HoldAccount},
	130429:  {chat.SendThrottled, "number_limit", pace, chat.HoldChannel},
	131056:  {chat.SendThrottled, "pair_limit", pair, chat.HoldPair},
	131064:  {chat.SendThrottled, "messaging_limit", crowded, chat.HoldPortfolio},
	131048:  {chat.SendBlocked, "spam_limit", spam, chat.HoldSend},
	131057:  {chat.SendThrottled, "maintenance", maintenance, chat.HoldChannel},
	2494100: {chat.SendThrottled, "maintenance", maintenance, chat.HoldChannel},
	131053:  {chat.SendThrottled, "media_failed", soon, chat.HoldSend},
	132069:  {chat.SendThrottled, "flow_limit", quota, chat.HoldSend},
	133015:  {chat.SendThrottled, "number_being_deleted", 5 * time.Minute, chat.HoldSend},
	134101:  {chat.SendThrottled, "marketing_syncing", 10 * time.Minute, chat.HoldSend},

	131005: permission,
	131037: notReady, 131045: notReady, 133000: notReady, 133006: notReady, 133010: notReady,
	131042: payment, 131044: payment,
	131031: locked,
	133005: pin, 133008: pin, 133009: pin,
	133016: {Result: chat.SendBlocked, Reason: "number_registration", RetryAfter: 72 * time.Hour},

	131047: {Result: chat.SendRefused, Reason: "window_closed"},
	131026: {Result: chat.SendRefused, Reason: "undeliverable"},
	131049: {Result: chat.SendRefused, Reason: "marketing_limit"},
	131050: {Result: chat.SendRefused, Reason: "opted_out"},
	130472: {Result: chat.SendRefused, Reason: "experiment"},
	130497: {Result: chat.SendRefused, Reason: "country_restricted"},
	131051: {Result: chat.SendRefused, Reason: "unsupported_type"},
	131052: {Result: chat.SendRefused, Reason: "media_unreadable"},
	131021: {Result: chat.SendRefused, Reason: "recipient_is_sender"},
	131030: {Result: chat.SendRefused, Reason: "recipient_not_allowed"},
	131055: {Result: chat.SendRefused, Reason: "wrong_endpoint"},
	131062: {Result: chat.SendRefused, Reason: "user_id_not_allowed"},
	131063: {Result: chat.SendRefused, Reason: "marketing_disabled"},
	137000: {Result: chat.SendRefused, Reason: "identity_changed"},

	131008: badRequest, 131009: badRequest, 135000: badRequest,
	132000: template, 132001: template, 132005: template, 132007: template, 132008: template, 132012: template,
	132015: {Result: chat.SendRefused, Reason: "template_paused"},
	132016: {Result: chat.SendRefused, Reason: "template_disabled"},
	132068: {Result: chat.SendRefused, Reason: "flow_blocked"},
	134100: {Result: chat.SendRefused, Reason: "marketing_only"},
	134102: {Result: chat.SendRefused, Reason: "marketing_not_available"},
	131020: feature, 131041: feature,
	2593107: {Result: chat.SendRefused, Reason: "sync_limit"},
	2593108: {Result: chat.SendRefused, Reason: "sync_window_closed"},
	2593109: {Result: chat.SendRefused, Reason: "sync_declined"},
}

// whatsappRanges are codes that come in families, first to last.
var whatsappRanges = []struct {
	from, to int
	policy   Policy
}{
	{131200, 131299, feature}, // groups
	{138000, 138999, feature}, // calling
	{139100, 139103, Policy{Result: chat.SendRefused, Reason: "block_list"}},
	{147001, 147005, Policy{Result: chat.SendRefused, Reason: "username"}},
	{2388000, 2388999, Policy{Result: chat.SendRefused, Reason: "template_invalid"}},
}

// instagramErrors are codes that mean something else, or only something, on
// Instagram. 1 and 2 may come after the message went out, and no callback data
// tells: only the echo does.
var instagramErrors = map[int]Policy{
	1: maybeSent, 2: maybeSent,
	230:   {Result: chat.SendRefused, Reason: "consent_missing"},
	551:   {Result: chat.SendRefused, Reason: "recipient_unavailable"},
	80002: callLimit, 80006: callLimit, // the account's and the messaging quota
	2534068: {Result: chat.SendRefused, Reason: "multiple_images_not_enabled"},
}

type codePair struct{ code, subcode int }

// instagramSubcodes decide where the code alone does not.
var instagramSubcodes = map[codePair]Policy{
	{1, 1357046}:   maybeSent,
	{10, 2534022}:  {Result: chat.SendRefused, Reason: "window_closed"},
	{10, 1893063}:  restricted,
	{100, 2534029}: restricted,
	{100, 2534014}: {Result: chat.SendRefused, Reason: "no_such_user"},
	{100, 2534068}: {Result: chat.SendRefused, Reason: "multiple_images_not_enabled"},
	{200, 2534041}: {Result: chat.SendBlocked, Reason: "access_switched_off"},
	{613, 2534040}: {Result: chat.SendThrottled, Reason: "pair_limit", RetryAfter: pair, Hold: chat.HoldPair},
	{4, 1349210}:   appCalls,
	{4, 1349211}:   appCalls,
	{4, 1349212}:   appCalls,
}

// Classify tells what a Graph error means. It looks at code and subcode only:
// HTTP statuses vary for one and the same error, and texts are localised.
// known is false for a code this version has no row for.
func Classify(kind chat.ChannelKind, code, subcode int) (p Policy, known bool) {
	specific := whatsappErrors
	if kind == chat.Instagram {
		specific = instagramErrors
		if p, ok := instagramSubcodes[codePair{code, subcode}]; ok {
			return p, true
		}
	}
	if p, ok := specific[code]; ok {
		return p, true
	}
	if p, ok := graphErrors[code]; ok {
		return p, true
	}
	if code >= 200 && code <= 299 {
		return permission, true
	}
	if kind == chat.Instagram {
		if code >= 36000 && code <= 36999 {
			return Policy{Result: chat.SendRefused, Reason: "media_rejected"}, true
		}
		return unknownCode, false
	}
	for _, r := range whatsappRanges {
		if code >= r.from && code <= r.to {
			return r.policy, true
		}
	}
	return unknownCode, false
}
