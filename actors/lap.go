package actors

import (
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

// lapMax bounds the replies that are measured at once.
const lapMax = 1 << 14

// laps measures the engine's own share of a reply: from the webhook to its
// durable message, from the end of the quiet period to the model call, and from
// the model's answer to the request to Graph. What it forgets is not measured.
type laps struct {
	mu   sync.Mutex // guards open
	open map[chat.ConversationID]lap
}

// lap is one reply in the making.
type lap struct {
	spent time.Duration
	// answered is when the model had answered; zero before.
	answered time.Time
}

// received starts the lap of a conversation whose message took d to be durable.
func (l *laps) received(id chat.ConversationID, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil || len(l.open) >= lapMax {
		l.open = make(map[chat.ConversationID]lap)
	}
	l.open[id] = lap{spent: d}
}

// answered adds d, spent before the model call, and waits for the request.
func (l *laps) answered(id chat.ConversationID, d time.Duration, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lap, ok := l.open[id]; ok {
		lap.spent += d
		lap.answered = at
		l.open[id] = lap
	}
}

// sent ends the lap of a conversation whose request begins now.
func (l *laps) sent(id chat.ConversationID, now time.Time) (total time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lap, ok := l.open[id]
	if !ok || lap.answered.IsZero() {
		return 0, false
	}
	delete(l.open, id)
	return lap.spent + now.Sub(lap.answered), true
}
