package metasim

import (
	"net/http"
	"sync"
	"time"
)

// How long a business may write after a customer did.
const (
	serviceWindow = 24 * time.Hour
	humanWindow   = 7 * 24 * time.Hour // Instagram, with the tag HUMAN_AGENT
	// windowsMax is how many customers are remembered before those whose windows
	// are closed are forgotten.
	windowsMax = 100_000
)

// windows knows when each customer wrote last. Safe for concurrent use.
type windows struct {
	mu   sync.Mutex
	last map[windowKey]time.Time
}

// windowKey is an account's id with one of the ids of a customer.
type windowKey struct{ account, customer string }

func newWindows() *windows { return &windows{last: map[windowKey]time.Time{}} }

// wrote opens the windows of a customer.
func (w *windows) wrote(a Account, c Customer, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.last) >= windowsMax {
		for k, at := range w.last {
			if now.Sub(at) > humanWindow {
				delete(w.last, k)
			}
		}
	}
	for _, id := range []string{c.ID, c.UserID} {
		if id != "" {
			w.last[windowKey{a.ID, id}] = now
		}
	}
}

// refusal is Meta's answer to a message outside the windows; nil inside. Templates
// and the replies to comments may be sent at any time.
func (w *windows) refusal(a Account, r request, now time.Time) *graphError {
	if a.Kind == WhatsApp && r.kind == "template" || r.comment {
		return nil
	}
	w.mu.Lock()
	at, wrote := w.last[windowKey{a.ID, r.to}]
	w.mu.Unlock()
	open := serviceWindow
	if r.human {
		open = humanWindow
	}
	if wrote && now.Sub(at) <= open {
		return nil
	}
	if a.Kind == Instagram {
		return &graphError{status: http.StatusForbidden, code: 10, subcode: 2534022,
			message: "(#10) This message is sent outside of allowed window."}
	}
	return &graphError{status: http.StatusBadRequest, code: 131047, message: "(#131047) Re-engagement message",
		details: "Message failed to send because more than 24 hours have passed since the customer last replied to this number."}
}
