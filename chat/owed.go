package chat

import "time"

// Owed is one row of the agenda: a conversation's earliest obligation.
type Owed struct {
	Tenant       TenantID
	Conversation ConversationID
	At           time.Time
}
