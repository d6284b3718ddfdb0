package chat

import (
	"slices"
	"time"
)

// Participant is somebody who wrote in a conversation.
type Participant struct {
	Author Author
	// Member is who wrote, of a person of the team.
	Member string
	// Model names what wrote, of the assistant; Simulated is true for the built-in
	// simulator.
	Model     string
	Simulated bool
	// Messages counts what they wrote, First and Last say when.
	Messages    int
	First, Last time.Time
}

// Attendance is who wrote in a conversation, and from when to when. It is a pure
// function of the events added, in order. What was withdrawn was written all the same;
// what was never attempted was not.
type Attendance struct {
	// People are in the order of their first message.
	People []Participant
	// First and Last are of all messages; zero when there are none.
	First, Last time.Time

	// models says what answered each turn, queued what waits to be sent.
	models map[TurnID]TurnRecord
	queued map[MessageID]Participant
}

// Duration is how long the conversation took, from its first message to its last.
func (a *Attendance) Duration() time.Duration { return a.Last.Sub(a.First) }

// Add makes an event part of it. Messages count when they were written; those from
// before the channel was connected when Meta says they were. Facts about other
// messages are no messages here.
func (a *Attendance) Add(e *Event) {
	switch e.Kind {
	case TurnAnswered:
		if a.models == nil {
			a.models = map[TurnID]TurnRecord{}
		}
		a.models[e.Turn.ID] = TurnRecord{Model: e.Turn.Model, Simulated: e.Turn.Simulated}
	case MessageReceived, MessageEchoed:
		a.wrote(e.Message, Participant{Author: e.Message.Author}, e.Time)
	case MessageImported:
		a.wrote(e.Message, Participant{Author: e.Message.Author}, occurred(e.Message.ProviderTime, e.Time))
	case MessageQueued:
		a.queue(e)
	case AttemptStarted:
		if who, ok := a.queued[e.Attempt.Message]; ok {
			delete(a.queued, e.Attempt.Message)
			a.seen(who, e.Time)
		}
	case MessageCancelled:
		delete(a.queued, e.Attempt.Message)
	}
}

// queue keeps who wrote an outbound message until it is attempted.
func (a *Attendance) queue(e *Event) {
	m := e.Message
	who := Participant{Author: m.Author, Simulated: m.Simulated}
	switch m.Author {
	case AuthorMember:
		who.Member = m.Name
	case AuthorAssistant:
		who.Model = a.models[m.Turn].Model
	}
	if a.queued == nil {
		a.queued = map[MessageID]Participant{}
	}
	a.queued[m.ID] = who
}

func (a *Attendance) wrote(m *Message, who Participant, at time.Time) {
	if targetOf(m.Content) == "" && answerable(m.Type, m.Content) {
		a.seen(who, at)
	}
}

// seen counts one message of a participant.
func (a *Attendance) seen(who Participant, at time.Time) {
	i := slices.IndexFunc(a.People, func(p Participant) bool {
		return p.Author == who.Author && p.Member == who.Member && p.Model == who.Model && p.Simulated == who.Simulated
	})
	if i < 0 {
		who.First = at
		a.People = append(a.People, who)
		i = len(a.People) - 1
	}
	p := &a.People[i]
	p.Messages++
	p.First, p.Last = earlier(p.First, at), later(p.Last, at)
	if a.First.IsZero() {
		a.First = at
	}
	a.First, a.Last = earlier(a.First, at), later(a.Last, at)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
