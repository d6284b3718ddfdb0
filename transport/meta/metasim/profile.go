package metasim

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// people are the customers who wrote on Instagram: only their profiles are shown.
type people struct {
	mu    sync.Mutex
	names map[string]string
}

func newPeople() *people { return &people{names: map[string]string{}} }

// met notes that a customer wrote.
func (p *people) met(u *Update) {
	if u.Account.Kind != Instagram || u.Customer.ID == "" || u.Kind == UpdateEcho || u.Kind == UpdateRead {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.Customer.Name != "" || p.names[u.Customer.ID] == "" {
		p.names[u.Customer.ID] = shown("Customer "+u.Customer.ID, u.Customer.Name)
	}
}

func (p *people) known(id string) bool { return p.name(id) != "" }

func (p *people) name(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.names[id]
}

// PictureType is the type of every profile picture.
const PictureType = "image/jpeg"

// showPerson serves the profile of a customer. One whose FileFault for "profile" is
// missing has not consented.
func (s *Server) showPerson(w http.ResponseWriter, r *http.Request, id, token string) {
	fault := s.fileFault("profile", id, token != "")
	switch {
	case token == "":
		s.refuse(w, Instagram, badToken())
		return
	case fault == FileFaultMissing:
		s.refuse(w, Instagram, &graphError{status: http.StatusForbidden, code: 230, message: "(#230) Requires user consent"})
		return
	}
	picture := &storedFile{id: id, mime: PictureType, body: FileContents("picture of "+id, PictureType)}
	s.files.mu.Lock()
	name := linkName("picture of " + id)
	s.files.links[name] = fileLink{picture, s.o.Now().Add(3 * 24 * time.Hour)}
	s.files.mu.Unlock()
	all := object{"name": s.people.name(id), "username": "user." + id, "follower_count": 42, "is_verified_user": false,
		"is_user_follow_business": true, "is_business_follow_user": false,
		"profile_pic": "http://" + r.Host + "/simulator/ig/" + name}
	o := object{"id": id}
	for field := range strings.SplitSeq(r.URL.Query().Get("fields"), ",") {
		if v, ok := all[field]; ok {
			o[field] = v
		}
	}
	body, err := raw(o)
	if err != nil {
		panic(err) // texts always encode
	}
	writeJSON(w, http.StatusOK, body)
}
