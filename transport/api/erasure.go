package api

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Erasures destroys what is stored of persons. Safe for concurrent use.
type Erasures interface {
	// Erase is durable when it returns: nothing of the person, under every contact that
	// is linked with the one named, can be read any more. Repeating it changes nothing.
	// KindNotFound: there is no such contact.
	Erase(ctx context.Context, t chat.TenantID, id chat.ContactID) (chat.Erasure, error)
	// Erasure is how far it is on every node. KindNotFound: the contact was not erased.
	Erasure(ctx context.Context, t chat.TenantID, id chat.ContactID) (chat.Erasure, error)
}

// eraseContact is POST /v1/contacts/{id}/erase.
func (r *call) eraseContact() *failure {
	ctx, cancel := r.writing()
	defer cancel()
	return r.erasure(r.opt.Erasures.Erase(ctx, r.principal.Tenant, r.contact()))
}

// showErasure is GET /v1/contacts/{id}/erasure.
func (r *call) showErasure() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	return r.erasure(r.opt.Erasures.Erasure(ctx, r.principal.Tenant, r.contact()))
}

func (r *call) erasure(e chat.Erasure, err error) *failure {
	if err != nil {
		return r.contactFailed(err)
	}
	b := appendString([]byte(`{"contact_id":`), string(e.Contact))
	b = appendTime(append(b, `,"erased_at":`...), e.At)
	left := e.Left
	if left == nil {
		left = []string{}
	}
	b = appendJSON(b, "left", left) // begins with a comma
	b = appendTime(append(b, `,"backups_until":`...), e.BackupsUntil())
	b = append(b, `,"complete":`...)
	if e.Complete(time.Now()) {
		b = append(b, "true}"...)
	} else {
		b = append(b, "false}"...)
	}
	r.json(b)
	return nil
}
