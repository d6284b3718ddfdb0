package chat

import (
	"strconv"
	"strings"
)

// TenantID names a tenant: a business whose data no other tenant may see. It is
// a plain word chosen by the operator, such as "acme".
type TenantID string

// AppID names a Meta app: its secrets and verify token, and the path
// /hooks/{app} its webhooks arrive on.
type AppID string

// ChannelID names one business endpoint of a tenant: a WhatsApp number or an
// Instagram account.
type ChannelID string

// ContactID names the person on the other side, within a tenant.
// It is never a phone number.
type ContactID string

// ConversationID names a conversation. It has the form conv_ and 26 base32
// characters and never changes.
type ConversationID string

// MessageID is the engine's own id of a message, in either direction:
// msg_, the 26 characters of its conversation, _ and its seq. The id of an
// outbound message is also its send id: it travels to Meta in
// biz_opaque_callback_data and leads a status back to its conversation.
type MessageID string

// TurnID names an assistant turn: turn_, the 26 characters of its
// conversation, _ and the seq of its turn_started event.
type TurnID string

// RemoteID is Meta's id of a message: a wamid on WhatsApp, a mid on Instagram.
// It is opaque.
type RemoteID string

// Seq is a position in one conversation's journal, gap-free from 1.
// Events that belong to no conversation have seq 0.
type Seq uint64

// Pos is a position in a tenant's feed. It rises within a tenant and may skip.
type Pos uint64

// Epoch is the leadership term an activation was born under. A commit with an
// epoch other than the group's current one is refused; that refusal is fencing.
type Epoch uint64

// Group is the unit of commitment and, in a cluster, of replication and
// leadership. A tenant belongs to exactly one group.
type Group uint16

// NodeID names a node of a cluster: the number in its certificate; never 0.
type NodeID uint64

const (
	conversationPrefix = "conv_"
	messagePrefix      = "msg_"
	turnPrefix         = "turn_"
)

// Body returns the 26 characters of the id without its prefix.
func (id ConversationID) Body() string { return strings.TrimPrefix(string(id), conversationPrefix) }

// ConversationIDFrom builds a conversation id from its 26-character body.
func ConversationIDFrom(body string) ConversationID { return ConversationID(conversationPrefix + body) }

// MessageIDAt is the id of the message whose event has the given seq.
func MessageIDAt(c ConversationID, s Seq) MessageID {
	return MessageID(messagePrefix + c.Body() + "_" + strconv.FormatUint(uint64(s), 10))
}

// TurnIDAt is the id of the turn whose turn_started event has the given seq.
func TurnIDAt(c ConversationID, s Seq) TurnID {
	return TurnID(turnPrefix + c.Body() + "_" + strconv.FormatUint(uint64(s), 10))
}

// Parse splits a message id into its conversation and seq. ok is false for
// anything this engine did not make, such as another app's callback data.
func (id MessageID) Parse() (c ConversationID, s Seq, ok bool) {
	return parseScoped(string(id), messagePrefix)
}

// Parse splits a turn id into its conversation and seq.
func (id TurnID) Parse() (c ConversationID, s Seq, ok bool) {
	return parseScoped(string(id), turnPrefix)
}

// idBodyLen is the length of 16 bytes in unpadded base32.
const idBodyLen = 26

func parseScoped(id, prefix string) (ConversationID, Seq, bool) {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok || len(rest) < idBodyLen+2 || rest[idBodyLen] != '_' {
		return "", 0, false
	}
	n, err := strconv.ParseUint(rest[idBodyLen+1:], 10, 64)
	if err != nil || n == 0 {
		return "", 0, false
	}
	return ConversationIDFrom(rest[:idBodyLen]), Seq(n), true
}
