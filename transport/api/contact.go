package api

import (
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// proofMax bounds what a client gives as the reason of a link, in characters.
const proofMax = 200

var errNoContact = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "contact_not_found",
	message: "There is no such contact."}

// contact is the contact that the path names.
func (r *call) contact() chat.ContactID { return chat.ContactID(r.object) }

// contactFailed is failed for requests about a contact.
func (r *call) contactFailed(err error) *failure {
	if chat.KindOf(err) == chat.KindNotFound {
		return &errNoContact
	}
	return r.failed(err)
}

// showContact is GET /v1/contacts/{id}.
func (r *call) showContact() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	v, err := r.opt.People.Contact(ctx, r.principal.Tenant, r.contact())
	if err != nil {
		return r.contactFailed(err)
	}
	r.json(appendContactView(nil, &v))
	return nil
}

// listContactEvents is GET /v1/contacts/{id}/events: the history of a person over
// every channel and linked contact.
func (r *call) listContactEvents() *failure {
	after, limit, fail := r.page("after")
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	events, err := r.opt.People.ContactEvents(ctx, r.principal.Tenant, r.contact(), chat.Pos(after), limit+1)
	if err != nil {
		return r.contactFailed(err)
	}
	r.events(events, limit, func(e *chat.Event) uint64 { return uint64(e.Pos) })
	return nil
}

// linkRequest is the body of a merge or a split.
type linkRequest struct {
	Contact string `json:"contact_id"`
	Proof   string `json:"proof"`
}

// mergeContacts is POST /v1/contacts/{id}/merge.
func (r *call) mergeContacts() *failure { return r.link(false) }

// splitContacts is POST /v1/contacts/{id}/split.
func (r *call) splitContacts() *failure { return r.link(true) }

// link says whether two contacts are one person. Saying it again changes nothing and
// is answered alike.
func (r *call) link(apart bool) *failure {
	var body linkRequest
	if fail := decode(r.ctx.PostBody(), &body, false); fail != nil {
		return fail
	}
	switch {
	case body.Contact == "":
		return invalid("parameter_missing", "contact_id", "contact_id must name the other contact.")
	case apart && body.Proof != "":
		return invalid("parameter_unknown", "proof", "A split takes no proof.")
	case utf8.RuneCountInString(body.Proof) > proofMax:
		return invalid("parameter_too_long", "proof", "proof must be at most 200 characters.")
	}
	ctx, cancel := r.writing()
	defer cancel()
	verdict, err := r.opt.Links.Link(ctx, r.principal.Tenant, r.contact(), chat.Link{
		Other: chat.ContactID(body.Contact), Apart: apart, Proof: body.Proof, Member: r.principal.Key})
	if err != nil {
		return r.contactFailed(err)
	}
	if verdict.Kind == chat.VerdictRefused {
		return refused(verdict.Reason)
	}
	v, err := r.opt.People.Contact(ctx, r.principal.Tenant, r.contact())
	if err != nil {
		return r.contactFailed(err)
	}
	// Ids only: a key that may write need not be one that may read.
	linked := make([]chat.ContactID, len(v.Linked))
	for i := range v.Linked {
		linked[i] = v.Linked[i].ID
	}
	b := appendString([]byte(`{"contact_id":`), string(r.contact()))
	b = appendJSON(b, "linked", linked)
	r.json(append(b, '}'))
	return nil
}

func appendContactView(dst []byte, v *chat.ContactView) []byte {
	dst = appendContact(dst, &v.Contact)
	dst = append(dst[:len(dst)-1], `,"linked_contacts":[`...)
	for i := range v.Linked {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendContact(dst, &v.Linked[i])
	}
	dst = append(dst, `],"conversations":[`...)
	for i := range v.Conversations {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendConversation(dst, &v.Conversations[i])
	}
	return append(dst, ']', '}')
}
