package metasim

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// How long after a comment it may be answered in private, and one on a broadcast.
const (
	commentWindow     = 7 * 24 * time.Hour
	liveCommentWindow = 4 * time.Hour
)

// comments knows the comments that were written here, and which of any had their
// private reply. Safe for concurrent use.
type comments struct {
	mu      sync.Mutex
	written map[commentKey]comment
	replied map[commentKey]bool
}

type commentKey struct{ account, id string }

type comment struct {
	by   string
	at   time.Time
	live bool
}

func newComments() *comments {
	return &comments{written: map[commentKey]comment{}, replied: map[commentKey]bool{}}
}

// Comment is a customer writing below a post of an Instagram account at a time, or on
// a broadcast of it. The update is the caller's to deliver.
func (s *Server) Comment(a Account, c Customer, text string, at time.Time, live bool) Update {
	m := s.comments
	m.mu.Lock()
	defer m.mu.Unlock()
	id := strconv.Itoa(17_900_000_000_000_001 + len(m.written))
	m.written[commentKey{a.ID, id}] = comment{by: c.ID, at: at, live: live}
	u := Update{Kind: UpdateComment, Account: a, Customer: c, RemoteID: id, Text: text, At: at}
	if live {
		u.Kind = UpdateLiveComment
	}
	return u
}

// claim takes the one private reply to a comment and tells who wrote that, "" for one
// that was not written here.
func (m *comments) claim(a Account, id string, now time.Time) (by string, refusal *graphError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := commentKey{a.ID, id}
	c, known := m.written[key]
	open := commentWindow
	if c.live {
		open = liveCommentWindow
	}
	switch {
	case known && now.Sub(c.at) > open:
		return c.by, &graphError{status: http.StatusForbidden, code: 10, subcode: 2534022,
			message: "(#10) This message is sent outside of allowed window."}
	case m.replied[key]:
		return c.by, badParameter("This comment already has a private reply.")
	}
	m.replied[key] = true
	return c.by, nil
}

// release gives back the reply of a request that sent nothing.
func (m *comments) release(a Account, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.replied, commentKey{a.ID, id})
}

// instagramComment is the change that tells of a comment.
func (u Update) instagramComment() (field string, value object) {
	value = object{"id": u.RemoteID, "text": u.Text, "from": object{"id": u.Customer.ID, "username": u.Customer.Name},
		"media": object{"id": "18000000000000001", "media_product_type": "FEED"}}
	if u.Kind == UpdateLiveComment {
		return "live_comments", value
	}
	return "comments", value
}
