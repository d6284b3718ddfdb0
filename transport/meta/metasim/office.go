package metasim

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Template is a message template of a WABA.
type Template struct {
	ID         string              `json:"id"`
	Name       string              `json:"name"`
	Language   string              `json:"language"`
	Status     string              `json:"status"`
	Category   string              `json:"category"`
	Reason     string              `json:"rejected_reason,omitempty"`
	Format     string              `json:"parameter_format,omitempty"`
	Quality    *TemplateQuality    `json:"quality_score,omitempty"`
	Components []map[string]string `json:"components,omitempty"`
}

// TemplateQuality is how customers take a template.
type TemplateQuality struct {
	Score string `json:"score"`
}

// Business is an account as the business manager shows it. Empty members are those
// of a number in good order.
type Business struct {
	// Name is the verified name, or the Instagram user name.
	Name    string
	Quality string
	Tier    string
	// High is a number with 1,000 messages per second.
	High bool
	// Status and NameStatus are CONNECTED and APPROVED when empty.
	Status, NameStatus string
	// Restricted makes Meta refuse every message, with code 131031.
	Restricted bool
	// Subscribed says that the app gets the account's webhooks.
	Subscribed bool
	// PIN is what the number was registered with.
	PIN string
	// Profile is what customers see.
	Profile map[string]any
}

// token is an access token and whose it is.
type token struct {
	// accounts are those it was made for. It is good for every number of their WABA.
	accounts []string
	issued   time.Time
	// expires is zero for one that does not end; revoked is the subcode it is
	// refused with, 0 while it is not.
	expires time.Time
	revoked int
	// short is an Instagram token of an hour, to be exchanged.
	short bool
	// scopes are those of an account of its kind when nil.
	scopes []string
}

// code is what a login gives, good once.
type code struct {
	account string
	expires time.Time
}

// office is what Meta knows of accounts beside their messages: tokens, standing,
// templates, profiles. Safe for concurrent use.
type office struct {
	now  func() time.Time
	seed uint64

	mu       sync.Mutex // guards the fields below
	accounts map[string]*Business
	// wabas are those of the numbers.
	wabas  map[string]string
	tokens map[string]*token
	codes  map[string]code
	// templates are by WABA, in order.
	templates map[string][]Template
	// uploads are by session, and pictures by handle.
	uploads  map[string]int
	pictures map[string][]byte
	made     uint64
	// fault answers a management call instead; nil for none.
	fault func(method, path string) (code int)
}

func newOffice(o Options) *office {
	f := &office{now: o.Now, seed: o.Seed, accounts: map[string]*Business{}, wabas: map[string]string{}, tokens: map[string]*token{}, codes: map[string]code{},
		templates: map[string][]Template{}, uploads: map[string]int{}, pictures: map[string][]byte{}}
	for _, a := range o.Accounts {
		f.accounts[a.ID] = &Business{Subscribed: !o.Subscriptions, Profile: map[string]any{}}
		if a.AccessToken != "" {
			t := f.tokens[a.AccessToken]
			if t == nil {
				t = &token{issued: o.Now().Add(-48 * time.Hour)}
				f.tokens[a.AccessToken] = t
			}
			t.accounts = append(t.accounts, a.ID)
		}
		if a.Kind == WhatsApp {
			f.wabas[a.ID] = a.waba()
		}
		if a.Kind == WhatsApp && f.templates[a.waba()] == nil {
			f.templates[a.waba()] = []Template{{ID: f.number("template", a.waba()), Name: "hello_world", Language: "en_US", Status: "APPROVED", Category: "UTILITY",
				Format: "POSITIONAL", Components: []map[string]string{{"type": "BODY", "text": "Welcome and congratulations!"}}}}
		}
	}
	return f
}

// number makes an id of digits.
func (f *office) number(parts ...string) string {
	return strconv.FormatUint(source(f.seed, parts...).Uint64()>>14|1<<49, 10)
}

// fresh makes a word that was not made before. Called with mu held.
func (f *office) fresh(prefix string) string {
	f.made++
	d := digest(f.seed, prefix, strconv.FormatUint(f.made, 10))
	return prefix + base64.RawURLEncoding.EncodeToString(d[:18])
}

// refusal tells whether a token is good for an account, and the error when not.
// An account that names no token takes any that nobody revoked.
func (f *office) refusal(a Account, word string) *graphError {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tokens[word]
	switch {
	case t == nil && a.AccessToken == "" && word != "":
		return nil
	case t == nil || t.short:
		return badToken()
	}
	if e := f.ended(t); e != nil {
		return e
	}
	for _, id := range t.accounts {
		if id == a.ID || f.wabas[id] != "" && f.wabas[id] == f.wabas[a.ID] {
			return nil
		}
	}
	return unknownObject(a.ID)
}

// ended is the error of a token that is not accepted any more. Called with mu held.
func (f *office) ended(t *token) *graphError {
	switch {
	case t.revoked != 0:
		return refusedToken(t.revoked)
	case !t.expires.IsZero() && !f.now().Before(t.expires):
		return refusedToken(463)
	}
	return nil
}

func refusedToken(subcode int) *graphError {
	e := badToken()
	e.subcode, e.message = subcode, "Error validating access token"
	return e
}

// restricted tells whether messages of an account are refused.
func (f *office) restricted(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.accounts[id]
	return b != nil && b.Restricted
}

func locked(k Kind) *graphError {
	if k == Instagram {
		return &graphError{status: 400, code: 10, subcode: 1893063, message: "(#10) The account is restricted."}
	}
	return &graphError{status: 403, code: 131031, message: "(#131031) Business account has been locked"}
}

// RevokeToken makes a token be refused, with a subcode of code 190 such as 460 or
// 467. 463 is that of a token that has ended.
func (s *Server) RevokeToken(word string, subcode int) {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	if t := s.office.tokens[word]; t != nil {
		t.revoked = subcode
	}
}

// ExpireToken sets when a token ends.
func (s *Server) ExpireToken(word string, at time.Time) {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	if t := s.office.tokens[word]; t != nil {
		t.expires = at
	}
}

// IssueToken makes a token for an account that ends after life, never when that is
// 0, with these scopes, or all it needs when there are none.
func (s *Server) IssueToken(account string, life time.Duration, scopes ...string) string {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	return s.office.issue([]string{account}, life, false, scopes)
}

// issue makes a token. Called with mu held.
func (f *office) issue(accounts []string, life time.Duration, short bool, scopes []string) string {
	word := f.fresh("EAA")
	t := &token{accounts: accounts, issued: f.now(), short: short, scopes: scopes}
	if life > 0 {
		t.expires = f.now().Add(life)
	}
	f.tokens[word] = t
	return word
}

// The lives of codes.
const (
	signupCodeLife    = 30 * time.Second
	instagramCodeLife = time.Hour
)

// IssueCode logs somebody in: what it returns is exchanged, once, for a token of
// the account.
func (s *Server) IssueCode(account string) (string, error) {
	a, ok := s.Account(account)
	if !ok {
		return "", errors.New("metasim: no account " + account)
	}
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	life := signupCodeLife
	if a.Kind == Instagram {
		life = instagramCodeLife
	}
	word := s.office.fresh("AQ")
	s.office.codes[word] = code{account: a.ID, expires: s.office.now().Add(life)}
	return word, nil
}

// Business returns how an account stands.
func (s *Server) Business(account string) Business {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	if b := s.office.accounts[account]; b != nil {
		return *b
	}
	return Business{}
}

// ChangeBusiness changes how an account stands. No webhook tells of it.
func (s *Server) ChangeBusiness(account string, change func(*Business)) {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	if b := s.office.accounts[account]; b != nil {
		change(b)
	}
}

// FailManagement answers management calls with a Graph error code, for as long as
// f returns one for their method and path.
func (s *Server) FailManagement(f func(method, path string) (code int)) {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	s.office.fault = f
}

// Restrict has Meta refuse an account's messages, or lift that, and posts the
// webhook that says so until it is taken.
func (s *Server) Restrict(ctx context.Context, a Account, on bool) error {
	s.ChangeBusiness(a.ID, func(b *Business) { b.Restricted = on })
	state := "REINSTATE"
	if on {
		state = "DISABLE"
	}
	return s.PostField(ctx, a, "account_update", object{"event": "DISABLED_UPDATE",
		"ban_info": object{"waba_ban_state": state, "waba_ban_date": s.o.Now().UTC().Format("January 2, 2006")}})
}

// Templates returns the templates of an account's WABA.
func (s *Server) Templates(a Account) []Template {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	return slices.Clone(s.office.templates[a.waba()])
}

// PutTemplate adds or replaces a template and posts the webhook of its status
// until it is taken. A status of DELETED removes it.
func (s *Server) PutTemplate(ctx context.Context, a Account, t Template) error {
	s.office.mu.Lock()
	list := s.office.templates[a.waba()]
	if t.ID == "" {
		t.ID = s.office.number("template", a.waba(), t.Name, t.Language)
	}
	list = slices.DeleteFunc(list, func(o Template) bool { return o.Name == t.Name && o.Language == t.Language })
	if t.Status != "DELETED" {
		list = append(list, t)
	}
	s.office.templates[a.waba()] = list
	s.office.mu.Unlock()
	id, err := strconv.ParseUint(t.ID, 10, 64)
	if err != nil {
		return err
	}
	reason := t.Reason
	if reason == "" {
		reason = "NONE"
	}
	// Meta writes the id as a number beyond what a float holds.
	return s.PostField(ctx, a, "message_template_status_update", object{"event": t.Status, "message_template_id": id,
		"message_template_name": t.Name, "message_template_language": t.Language, "reason": reason, "message_template_category": t.Category})
}

// PostField posts a webhook of a field of an account's WABA until it is taken. It
// is in no ledger: no customer wrote it.
func (s *Server) PostField(ctx context.Context, a Account, field string, value any) error {
	body, err := raw(object{"object": "whatsapp_business_account", "entry": []object{{"id": a.waba(), "time": s.o.Now().Unix(),
		"changes": []object{{"field": field, "value": value}}}}})
	if err != nil {
		return err
	}
	body = Escape(body)
	return s.Post(ctx, &Delivery{App: a.App, Body: body, Signature: Sign(a.AppSecret, body)})
}

// unheard tells whether nobody asked for the webhooks of a delivery.
func (f *office) unheard(d *Delivery) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range d.Updates {
		if b := f.accounts[u.Account.ID]; b == nil || b.Subscribed {
			return false
		}
	}
	return len(d.Updates) > 0
}
