package actors

import (
	"time"

	"github.com/chumiai/chumi/chat"
)

// restedAfter is how long after a whole burst nothing of it counts any more.
const restedAfter = pairBurst * pairEvery

// rested reports whether nothing was sent in a conversation for so long before this
// node began to reign that nothing of it counts. Every attempt leaves an event: the
// latest one tells. It is read only for who seems to be at rest, and only as long as
// a sender that does not know them would grant less than a whole burst.
func (c *core) rested(st *chat.Conversation, g chat.Group) bool {
	born := time.UnixMilli(c.reigns[g].Load())
	latest := born.Add(-restedAfter)
	if st.Kind == chat.Instagram || !st.Active.Before(latest) || c.opt.Clock.Now().Sub(born) > restedAfter {
		return false
	}
	events, err := c.opt.Journal.Events(st.Tenant, st.ID, st.Seq-1, 1)
	return err == nil && len(events) > 0 && events[0].Time.Before(latest)
}

// wake is what the sender is told of an entry. To it, who has rested is as new as who
// came under this reign.
func (a *activation) wake(e chat.WakeSender) chat.WakeSender {
	if a.rested {
		e.Begun = time.UnixMilli(a.core.reigns[a.group].Load())
	}
	return e
}
