package chat

// Prompt is what a model sees for one call. It is a pure function of its
// inputs; its hash is recorded with the answer.
type Prompt struct {
	Tenant       TenantID
	Conversation ConversationID
	Turn         TurnID
	Call         int
	Lines        []PromptLine
	// Models are tried in order; empty for the client's own.
	Models []ModelRef
	// Tools may be called; none for an answer in words.
	Tools []ToolSpec
	// Structured asks for a Response, in JSON.
	Structured bool
	// OutTokens bounds the answer; 0 for the client's own bound.
	OutTokens int64
}

// PromptLine is one message of a prompt.
type PromptLine struct {
	Role PromptRole
	Text string
	// Calls are what the assistant asked for, before or instead of a text.
	Calls []ToolCall
	// Result is the id of the call that a line of RoleTool answers.
	Result string
	// Pictures are shown with the text of a customer.
	Pictures []Picture
}

// Picture is a file that a model looks at.
type Picture struct {
	MIME string
	// SHA256 names Bytes, in hex: a prompt's hash covers it in their place.
	SHA256 string
	Bytes  []byte
}

// PromptRole tells who speaks a PromptLine.
type PromptRole uint8

// The roles.
const (
	RoleSystem    PromptRole = 1
	RoleCustomer  PromptRole = 2
	RoleAssistant PromptRole = 3
	RoleTool      PromptRole = 4
)

// PromptTextMax bounds the bytes of history a prompt carries; PromptEventMax
// bounds the events looked at for it.
const (
	PromptTextMax  = 24 << 10
	PromptEventMax = 400
)

// Recalled reports whether a prompt looks at what events of a kind say about the time
// before the messages it answers. Of others it needs no more than that they were: of what
// a turn does with its own answer everything comes after those messages.
func Recalled(k EventKind) bool {
	switch k {
	case MessageReceived, MessageEchoed, MessageQueued, MessageEdited, MessageRevoked, MessageImported,
		ToolEnded, SummaryMade, MediaStored, MediaTranscribed:
		return true
	}
	return false
}

func promptLine(e *Event, upTo Seq, texts map[MessageID]*Event) (PromptLine, bool) {
	if e.Message == nil || e.Message.Revoked || e.Message.Group != "" || !answerable(e.Message.Type, e.Message.Content) ||
		!answers(e.Message.Type) {
		return PromptLine{}, false
	}
	m := e.Message
	if edit, ok := texts[m.ID]; ok {
		if edit == nil {
			return PromptLine{}, false
		}
		m = edit.Message
	}
	switch e.Kind {
	case MessageReceived:
		return PromptLine{Role: RoleCustomer, Text: readable(m)}, e.Seq <= upTo
	case MessageQueued, MessageEchoed:
		return PromptLine{Role: RoleAssistant, Text: readable(m)}, true
	case MessageImported:
		if m.Direction == DirectionOut {
			return PromptLine{Role: RoleAssistant, Text: readable(m)}, true
		}
		return PromptLine{Role: RoleCustomer, Text: readable(m)}, true
	}
	return PromptLine{}, false
}

// newestTexts finds the latest edit of each message that has one; nil for one that
// was taken back. An edit counts from wherever it stands: it may have come after the
// messages to be answered.
func newestTexts(events []Event) map[MessageID]*Event {
	var texts map[MessageID]*Event
	for i := range events {
		e := &events[i]
		if e.Kind != MessageEdited && e.Kind != MessageRevoked {
			continue
		}
		if texts == nil {
			texts = map[MessageID]*Event{}
		}
		switch was, known := texts[e.Message.ID]; {
		case e.Kind == MessageRevoked, e.Message.Revoked:
			texts[e.Message.ID] = nil
		case !known, was != nil && newer(e, was):
			texts[e.Message.ID] = e
		}
	}
	return texts
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
