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

// PromptTextMax bounds the bytes of history a prompt carries; PromptEventMax
// bounds the events looked at for it.
const (
	PromptTextMax  = 24 << 10
	PromptEventMax = 400
)

// Assemble builds the lines of a prompt for a turn that answers the customer
// messages from..upTo: the instructions, then as much of the latest history as
// fits, in order. Customer messages after upTo belong to the next turn.
func Assemble(set *Settings, events []Event, from, upTo Seq) []PromptLine {
	var history []PromptLine
	size := 0
	for i := len(events) - 1; i >= 0; i-- {
		line, ok := promptLine(&events[i], upTo)
		if !ok {
			continue
		}
		if size += len(line.Text); size > PromptTextMax && events[i].Seq < from {
			break
		}
		history = append(history, line)
	}
	lines := make([]PromptLine, 0, len(history)+1)
	lines = append(lines, PromptLine{Role: RoleSystem, Text: set.Instructions})
	for i := len(history) - 1; i >= 0; i-- {
		lines = append(lines, history[i])
	}
	return lines
}

func promptLine(e *Event, upTo Seq) (PromptLine, bool) {
	switch e.Kind {
	case MessageReceived:
		if e.Seq > upTo || e.Message.Group != "" || !answerable(e.Message.Type) {
			return PromptLine{}, false
		}
		return PromptLine{Role: RoleCustomer, Text: readable(e.Message)}, true
	case MessageQueued, MessageEchoed:
		return PromptLine{Role: RoleAssistant, Text: readable(e.Message)}, true
	}
	return PromptLine{}, false
}

// readable is what a model can read of a message.
func readable(m *Message) string {
	if m.Text != "" {
		return m.Text
	}
	return "[" + m.Type + "]"
}

// Sign tells a customer that their messages up to one were read and, with Typing,
// that an answer is being written. It is no message.
type Sign struct {
	Channel Channel
	// To is the customer.
	To      Address
	Message RemoteID
	Typing  bool
}

// Outbound is one message ready for a channel: what a sender hands to Graph.
type Outbound struct {
	Channel Channel
	// To is where it goes: the best address of the contact.
	To      Address
	Message MessageID
	// Type, Text, Content and ReplyTo are of the Message. Files of the engine in
	// Content have been exchanged for Meta's ids.
	Type    string
	Text    string
	Content *Content
	ReplyTo RemoteID
}
