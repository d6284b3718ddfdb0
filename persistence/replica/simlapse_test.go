package replica

import "github.com/chumiai/chumi/chat"

// lapse is a mistake of an engine that the tests make on purpose, to show that the
// simulator of a town notices it.
type lapse int

// The lapses.
const (
	lapseEarlyDuplicate lapse = iota + 1 // a duplicate is acknowledged before its original is durable
	lapseResend                          // sends under way when a process died are sent again by the next
	lapseNoAgenda                        // whoever becomes leader later does not look at the agenda
	lapseKeepsState                      // an activation goes on after a refused append
	lapseRetriesDoubt                    // a request without an answer is taken for one that never left
	lapses                               // how many there are, and one
)

// resend does what a sender must not that finds attempts under way in the store:
// it takes them for its own.
func (e *engine) resend(g chat.Group) {
	rows, _, err := e.node.store.Live(g, nil, 256)
	if err != nil {
		return
	}
	for _, row := range rows {
		st, found, err := e.node.store.Load(row.Tenant, row.Conversation)
		if err != nil || !found {
			continue
		}
		for i := range st.Outbox {
			if o := &st.Outbox[i]; o.State == chat.SendAttempting {
				e.attempt(e.now(), &st, chat.StartAttempt{Message: o.Message, N: o.N, Seq: o.Seq})
			}
		}
	}
}
