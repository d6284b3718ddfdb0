package chat

// Prompt is what a model sees for one call. It is a pure function of its
// inputs; its hash is recorded with the answer.
type Prompt struct {
	Tenant       TenantID
	Conversation ConversationID
	Turn         TurnID
	Call         int
	Lines        []PromptLine
}

// PromptLine is one message of a prompt.
type PromptLine struct {
	Role PromptRole
	Text string
}

// PromptRole tells who speaks a PromptLine.
type PromptRole uint8

// The roles.
const (
	RoleSystem    PromptRole = 1
	RoleCustomer  PromptRole = 2
	RoleAssistant PromptRole = 3
)

// Outbound is one message ready for a channel: what a sender hands to Graph.
type Outbound struct {
	Channel Channel
	// To is where it goes: the best address of the contact.
	To      Address
	Message MessageID
	Text    string
	ReplyTo RemoteID
}
