package actors

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Patience of a sender. All of it is for things that should not happen; the
// agenda wakes an entry again whatever the sender forgets.
const (
	// askLost is when an AttemptDue mail without any effect counts as lost.
	askLost = 10 * time.Second
	// askRetry is the pause after a refused AttemptDue mail.
	askRetry = 200 * time.Millisecond
	// attemptLost is when an attempt whose outcome was never released stops
	// holding its place.
	attemptLost = 2 * time.Minute
	// blockPause is how long a refused channel rests before one attempt probes it.
	blockPause = 5 * time.Minute
)

// SenderCore decides which send of a channel may be attempted, and when. It
// keeps one queue per conversation, at most one attempt in flight in each, and
// serves conversations in the order they became ready, within the channel's
// pace and window. It does no I/O and reads no clock; it is owned by one
// goroutine.
type SenderCore struct {
	pace   *pace
	window int
	queues map[chat.ConversationID]*queue
	ready  readyHeap
	// turn orders conversations that are ready at the same time.
	turn uint64
	// asked holds the conversations with an attempt in flight; at most window.
	asked map[chat.ConversationID]*queue
	// waiting counts the messages in queues.
	waiting int
	// blockedUntil holds the whole channel; probing lets one attempt through
	// after it.
	blockedUntil time.Time
	probing      bool
	// held is set while the channel's standing forbids sends.
	held bool
	// restUntil keeps everything back for as long as Meta wants.
	restUntil time.Time
	// places is about the portfolio's messaging limit.
	places reservations
}

// Ask tells the caller to mail AttemptDue for a message.
type Ask struct {
	Conversation chat.ConversationID
	Message      chat.MessageID
}

// queue is what one conversation has to send. The first entry is next.
type queue struct {
	id      chat.ConversationID
	waiting []waitingSend
	// begun is when the conversation began.
	begun time.Time
	// asked is the message an attempt is asked for or under way; empty for none.
	asked chat.MessageID
	was   waitingSend // of asked
	// started is true once the conversation committed the attempt.
	started bool
	// patience ends the wait for the asked message.
	patience time.Time

	at    time.Time // when it is ready, while in the heap
	turn  uint64
	index int // in the heap; -1 when not
}

type waitingSend struct {
	message   chat.MessageID
	seq       chat.Seq
	notBefore time.Time
	lane      chat.Lane
	// free and contact are as in chat.WakeSender.
	free    time.Time
	contact chat.ContactID
}

// NewSenderCore returns the sender of a channel of the given kind with at most
// window attempts in flight. It knows nothing of what was sent before now and
// begins slowly. Since born nobody but senders of this node has sent for the channel,
// each of them only while the next one would not grant more.
func NewSenderCore(now, born time.Time, kind chat.ChannelKind, window int) *SenderCore {
	return &SenderCore{pace: newPace(kind, now, born), window: window, places: newReservations(),
		queues: make(map[chat.ConversationID]*queue), asked: make(map[chat.ConversationID]*queue)}
}

// Wake makes a message known, to be attempted not before the given time.
// Messages of a conversation go in the order of their seq.
func (c *SenderCore) Wake(now time.Time, id chat.ConversationID, w chat.WakeSender) {
	q := c.queue(id)
	if q.asked == w.Message {
		return
	}
	if i := q.find(w.Message); i >= 0 {
		one := &q.waiting[i]
		one.notBefore, one.lane, one.free, one.contact = w.NotBefore, w.Lane, w.Free, w.Contact
	} else {
		_, seq, _ := w.Message.Parse()
		i, _ := slices.BinarySearchFunc(q.waiting, seq, func(w waitingSend, s chat.Seq) int {
			return int(int64(w.seq) - int64(s))
		})
		q.waiting = slices.Insert(q.waiting, i, waitingSend{w.Message, seq, w.NotBefore, w.Lane, w.Free, w.Contact})
		c.waiting++
	}
	if !w.Begun.IsZero() {
		q.begun = w.Begun
	}
	c.schedule(now, q)
}

// Started tells that the attempt that was asked for is committed.
func (c *SenderCore) Started(now time.Time, id chat.ConversationID, m chat.MessageID) {
	q := c.queue(id)
	if q.asked != m {
		c.drop(q, m)
		q.asked, q.was, c.asked[id] = m, waitingSend{}, q
	}
	q.started, q.patience = true, now.Add(attemptLost)
	c.unschedule(q)
}

// Release takes a message out of the sender's hands.
func (c *SenderCore) Release(now time.Time, id chat.ConversationID, r chat.ReleaseSend) {
	if r.Blocked {
		c.blockedUntil, c.probing = now.Add(blockPause), true
	}
	if r.Hold.Channels() {
		c.pace.drain(now)
		c.Rest(now.Add(r.RetryAfter))
	}
	q := c.queues[id]
	if q == nil {
		return
	}
	if q.asked == r.Message {
		if !r.Blocked && q.started {
			c.probing = false
		}
		c.free(q)
	} else {
		c.drop(q, r.Message)
	}
	c.settle(now, q)
}

// Refused tells that the AttemptDue mail for a message was not processed: it
// goes back to the front of its queue.
func (c *SenderCore) Refused(now time.Time, id chat.ConversationID, m chat.MessageID) {
	q := c.queues[id]
	if q == nil || q.asked != m || q.started {
		return
	}
	again := q.was.wake(now.Add(askRetry))
	c.free(q)
	c.Wake(now, id, again)
}

// Rate sets how many messages a second Meta allows the channel; 0 keeps what it is.
func (c *SenderCore) Rate(now time.Time, perSecond int) {
	if perSecond > 0 {
		c.pace.rate(now, perSecond)
	}
}

// Heard tells how many messages customers wrote to the channel at a time, those of
// earlier times before those of later ones: its throughput counts them too.
func (c *SenderCore) Heard(at time.Time, n int) { c.pace.hear(at, n) }

// Rest lets nothing be asked for before the given time. It never shortens a rest.
func (c *SenderCore) Rest(until time.Time) {
	if until.After(c.restUntil) {
		c.restUntil = until
	}
}

// Unblock lets a blocked channel be probed at once: its token changed.
func (c *SenderCore) Unblock(now time.Time) {
	if now.Before(c.blockedUntil) {
		c.blockedUntil = now
	}
}

// Blocked reports whether the channel rests after it was refused as a whole.
func (c *SenderCore) Blocked(now time.Time) bool { return now.Before(c.blockedUntil) }

// Hold keeps everything back, or lets it go again. An attempt under way ends.
func (c *SenderCore) Hold(held bool) { c.held = held }

// Idle reports whether there is nothing to send, no attempt in flight, and nothing
// to remember: another sender in its place would not go faster than this one.
func (c *SenderCore) Idle(now time.Time) bool {
	return len(c.queues) == 0 && !now.Before(c.restUntil) && !c.pace.spent(now)
}

// Waiting is the number of messages that are not under way.
func (c *SenderCore) Waiting() int { return c.waiting }

// Poll returns what may be attempted now and when to poll again if nothing else
// happens before; zero when there is nothing to wait for.
func (c *SenderCore) Poll(now time.Time) (asks []Ask, next time.Time) {
	next = c.expire(now)
	if c.held {
		return nil, next
	}
	for _, until := range [...]time.Time{c.blockedUntil, c.restUntil} {
		if now.Before(until) {
			return nil, sooner(next, until)
		}
	}
	// others counts the conversations of this poll that wait for their lane.
	var others [chat.LaneTemplate + 1]int
	c.places.behind = 0
	for len(c.ready) > 0 && len(c.asked) < c.limit() {
		q := c.ready[0]
		if q.at.After(now) {
			return asks, sooner(next, q.at)
		}
		if at := c.pace.channel(now); at.After(now) {
			return asks, sooner(next, at)
		}
		lane := q.waiting[0].lane
		if at := c.pace.pair(now, q.id); at.After(now) {
			q.at = at
			heap.Fix(&c.ready, q.index)
			continue
		}
		if at := c.pace.lane(now, lane, others[lane]); at.After(now) {
			others[lane]++
			q.at = at
			heap.Fix(&c.ready, q.index)
			continue
		}
		if at := c.place(now, q); at.After(now) {
			q.at = at
			heap.Fix(&c.ready, q.index)
			continue
		}
		c.pace.take(now, q, lane)
		heap.Pop(&c.ready)
		q.asked, q.was, q.started, q.patience = q.waiting[0].message, q.waiting[0], false, now.Add(askLost)
		q.waiting = slices.Delete(q.waiting, 0, 1)
		c.waiting--
		c.asked[q.id] = q
		next = sooner(next, q.patience)
		asks = append(asks, Ask{Conversation: q.id, Message: q.asked})
	}
	return asks, next
}

// limit is how many attempts may be in flight: one while a channel that was
// refused is being probed.
func (c *SenderCore) limit() int {
	if c.probing {
		return 1
	}
	return c.window
}

// expire gives up on answers that never came, in the order they were asked for,
// and tells when the next patience ends.
func (c *SenderCore) expire(now time.Time) (next time.Time) {
	var lost []*queue
	for _, q := range c.asked {
		if now.Before(q.patience) {
			next = sooner(next, q.patience)
		} else {
			lost = append(lost, q)
		}
	}
	slices.SortFunc(lost, func(a, b *queue) int { return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.id, b.id)) })
	for _, q := range lost {
		again, started := q.was.wake(now), q.started
		c.free(q)
		if started {
			c.settle(now, q)
		} else {
			c.Wake(now, q.id, again)
		}
	}
	return next
}

func (c *SenderCore) queue(id chat.ConversationID) *queue {
	q := c.queues[id]
	if q == nil {
		q = &queue{id: id, index: -1}
		c.queues[id] = q
	}
	return q
}

func (c *SenderCore) free(q *queue) {
	q.asked, q.started = "", false
	delete(c.asked, q.id)
}

func (c *SenderCore) drop(q *queue, m chat.MessageID) {
	if i := q.find(m); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		c.waiting--
	}
}

// settle forgets an empty queue, or makes it ready for its next message.
func (c *SenderCore) settle(now time.Time, q *queue) {
	if q.asked == "" && len(q.waiting) == 0 {
		c.unschedule(q)
		delete(c.queues, q.id)
		delete(c.places.refused, q.id)
		return
	}
	c.schedule(now, q)
}

// schedule puts a conversation among the ready ones at the time its first
// message may go; one that was ready before keeps its place.
func (c *SenderCore) schedule(now time.Time, q *queue) {
	if q.asked != "" || len(q.waiting) == 0 {
		c.unschedule(q)
		return
	}
	at := q.waiting[0].notBefore
	if at.Before(now) {
		at = now
	}
	if q.index >= 0 {
		if at.After(now) || q.at.After(now) {
			q.at = at
			heap.Fix(&c.ready, q.index)
		}
		return
	}
	c.turn++
	q.at, q.turn = at, c.turn
	heap.Push(&c.ready, q)
}

func (c *SenderCore) unschedule(q *queue) {
	if q.index >= 0 {
		heap.Remove(&c.ready, q.index)
	}
}

// wake asks for the message again, not before a time.
func (w *waitingSend) wake(notBefore time.Time) chat.WakeSender {
	return chat.WakeSender{Message: w.message, NotBefore: notBefore, Lane: w.lane, Free: w.free, Contact: w.contact}
}

func (q *queue) find(m chat.MessageID) int {
	return slices.IndexFunc(q.waiting, func(w waitingSend) bool { return w.message == m })
}

// sooner is the earlier of two times, where zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// readyHeap orders conversations by when they are ready, then by turn.
type readyHeap []*queue

func (h readyHeap) Len() int { return len(h) }
func (h readyHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].turn < h[j].turn
}
func (h readyHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *readyHeap) Push(x any) {
	q := x.(*queue)
	q.index = len(*h)
	*h = append(*h, q)
}

// Pop implements heap.Interface.
func (h *readyHeap) Pop() any {
	old := *h
	q := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	q.index = -1
	return q
}
