package metasim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// manage serves the Graph edges that are not about messages. It reports whether
// the path is one of them.
func (s *Server) manage(w http.ResponseWriter, r *http.Request) bool {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) > 1 && version(parts[0]) {
		parts = parts[1:]
	}
	edge := ""
	if len(parts) > 1 {
		edge = parts[1]
	}
	var serve func(q *managed) (object, *graphError)
	switch method, first := r.Method, parts[0]; {
	case len(parts) > 2:
		return false
	case method == http.MethodGet && first == "debug_token" && edge == "":
		serve = s.debugToken
	case first == "oauth" && edge == "access_token":
		s.exchangeCode(w, r)
		return true
	case method == http.MethodGet && (first == "access_token" || first == "refresh_access_token") && edge == "":
		serve = s.longToken
	case method == http.MethodPost && strings.HasPrefix(first, "upload:") && edge == "":
		serve = s.upload
	case method == http.MethodPost && edge == "uploads":
		serve = s.startUpload
	case method == http.MethodGet && edge == "":
		serve = s.object
	case edge == "subscribed_apps":
		serve = s.subscriptions
	case method == http.MethodGet && edge == "phone_numbers":
		serve = s.numbers
	case method == http.MethodGet && edge == "message_templates":
		serve = s.templatePage
	case method == http.MethodPost && (edge == "register" || edge == "deregister"):
		serve = s.registration
	case edge == "whatsapp_business_profile":
		serve = s.profile
	default:
		return false
	}
	q := &managed{Request: r, id: parts[0], edge: edge, token: bearer(r)}
	if q.token == "" && q.edge == "" {
		q.token = r.URL.Query().Get("access_token")
	}
	answer, refusal := s.managed(q, serve)
	if refusal != nil {
		s.refuse(w, q.account.Kind, refusal)
		return true
	}
	body, err := raw(answer)
	if err != nil {
		panic(err) // strings and maps of them always encode
	}
	writeJSON(w, http.StatusOK, body)
	return true
}

// managed is a management request.
type managed struct {
	*http.Request
	id, edge, token string
	// account is whose token it is, or the one named.
	account Account
}

func bearer(r *http.Request) string {
	h := r.Header.Get("Authorization")
	for _, scheme := range [...]string{"Bearer ", "OAuth "} {
		if t, ok := strings.CutPrefix(h, scheme); ok {
			return t
		}
	}
	return ""
}

func (s *Server) managed(q *managed, serve func(*managed) (object, *graphError)) (object, *graphError) {
	s.office.mu.Lock()
	fault := s.office.fault
	t := s.office.tokens[q.token]
	s.office.mu.Unlock()
	if fault != nil {
		if code := fault(q.Method, q.URL.Path); code != 0 {
			return nil, &graphError{status: http.StatusBadRequest, code: code, message: "(#" + strconv.Itoa(code) + ") Fault"}
		}
	}
	if q.token == "" {
		return nil, badToken()
	}
	if t != nil {
		q.account, _ = s.Account(t.accounts[0])
	}
	return serve(q)
}

// owner finds the account of the given id that the token is good for. A WABA's id
// finds its first number.
func (s *Server) owner(q *managed) (Account, *graphError) {
	for _, a := range s.o.Accounts {
		if a.ID == q.id || a.Kind == WhatsApp && a.waba() == q.id {
			return a, s.office.refusal(a, q.token)
		}
	}
	if q.account.ID == "" {
		return Account{}, badToken()
	}
	return Account{}, unknownObject(q.id)
}

// appID is the id of an app at Meta.
func (s *Server) appID(app string) string {
	for _, a := range s.o.Accounts {
		if a.App == app && a.AppID != "" {
			return a.AppID
		}
	}
	return s.office.number("app", app)
}

// AppID returns the id at Meta of the app with a word: the client_id of logins.
func (s *Server) AppID(app string) string { return s.appID(app) }

var scopesOf = map[Kind][]string{
	WhatsApp:  {"whatsapp_business_management", "whatsapp_business_messaging"},
	Instagram: {"instagram_business_basic", "instagram_business_manage_messages"},
}

func (s *Server) debugToken(q *managed) (object, *graphError) {
	word := q.URL.Query().Get("input_token")
	s.office.mu.Lock()
	t := s.office.tokens[word]
	asker := s.office.tokens[q.token]
	s.office.mu.Unlock()
	if _, _, asApp := strings.Cut(q.token, "|"); !asApp && asker == nil {
		return nil, badToken()
	}
	if t == nil {
		return object{"data": object{"is_valid": false, "scopes": []string{}, "error": object{"code": 190, "message": "Malformed access token"}}}, nil
	}
	a, _ := s.Account(t.accounts[0])
	s.office.mu.Lock()
	ended, d := s.office.ended(t), object{"app_id": s.appID(a.App), "type": "SYSTEM_USER", "is_valid": true,
		"issued_at": t.issued.Unix(), "expires_at": 0, "scopes": t.scopes}
	if !t.expires.IsZero() {
		d["expires_at"] = t.expires.Unix()
	}
	s.office.mu.Unlock()
	if t.scopes == nil {
		d["scopes"] = scopesOf[a.Kind]
	}
	if a.Kind == WhatsApp {
		granted := []object{}
		for _, scope := range scopesOf[WhatsApp] {
			granted = append(granted, object{"scope": scope, "target_ids": []string{a.waba()}})
		}
		d["granular_scopes"] = granted
	}
	if ended != nil {
		d["is_valid"], d["error"] = false, object{"code": 190, "message": ended.message, "subcode": ended.subcode}
	}
	return object{"data": d}, nil
}

// exchangeCode is the end of a login: of an embedded signup by GET, of Instagram by
// POST, whose errors have a shape of their own.
func (s *Server) exchangeCode(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	word := r.Form.Get("code")
	s.office.mu.Lock()
	c, ok := s.office.codes[word]
	delete(s.office.codes, word)
	ok = ok && s.office.now().Before(c.expires)
	s.office.mu.Unlock()
	a, known := s.Account(c.account)
	instagram := r.Method == http.MethodPost
	ok = ok && known && (a.Kind == Instagram) == instagram && r.Form.Get("client_id") == s.appID(a.App) && r.Form.Get("client_secret") == a.AppSecret
	switch {
	case !ok && instagram:
		writeJSON(w, http.StatusBadRequest, []byte(`{"error_type":"OAuthException","code":400,"error_message":"Matching code was not found or was already used"}`))
		return
	case !ok:
		s.refuse(w, WhatsApp, &graphError{status: http.StatusBadRequest, code: 100, subcode: 36009, message: "This authorization code has been used."})
		return
	}
	s.office.mu.Lock()
	answer := object{"access_token": s.office.issue([]string{a.ID}, 0, false, nil), "token_type": "bearer"}
	if instagram {
		answer = object{"data": []object{{"access_token": s.office.issue([]string{a.ID}, time.Hour, true, nil), "user_id": a.scoped(),
			"permissions": strings.Join(scopesOf[Instagram], ",")}}}
	}
	s.office.mu.Unlock()
	if body, err := raw(answer); err == nil {
		writeJSON(w, http.StatusOK, body)
	}
}

// scoped is the id that an app has of an Instagram account, beside the one webhooks
// use.
func (a Account) scoped() string {
	d := digest(0, "scoped", a.ID)
	return strconv.FormatUint(uint64(d[0])<<40|uint64(d[1])<<32|1<<52, 10)
}

// longTokenLife is how long Instagram's tokens live.
const longTokenLife = 60 * 24 * time.Hour

// longToken turns Instagram's short token into a long one, or a long one into a
// newer one: that must be a day old, and must not have ended.
func (s *Server) longToken(q *managed) (object, *graphError) {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	t := s.office.tokens[q.URL.Query().Get("access_token")]
	if t == nil {
		return nil, badToken()
	}
	if e := s.office.ended(t); e != nil {
		return nil, e
	}
	refresh := q.id == "refresh_access_token"
	switch {
	case refresh && (t.short || s.office.now().Sub(t.issued) < 24*time.Hour):
		return nil, badParameter("The token must be a long-lived one, at least 24 hours old.")
	case !refresh && (!t.short || q.URL.Query().Get("client_secret") != q.account.AppSecret):
		return nil, badParameter("Session key invalid.")
	}
	word := s.office.issue(t.accounts, longTokenLife, false, t.scopes)
	return object{"access_token": word, "token_type": "bearer", "expires_in": int(longTokenLife / time.Second)}, nil
}

// object is a number, a WABA, or whoever a token belongs to.
func (s *Server) object(q *managed) (object, *graphError) {
	if q.id == "me" {
		if e := s.office.refusal(q.account, q.token); e != nil || q.account.Kind != Instagram {
			return nil, badTokenUnless(e)
		}
		b := s.Business(q.account.ID)
		name := b.Name
		if name == "" {
			name = "demo.shop"
		}
		return object{"user_id": q.account.ID, "id": q.account.scoped(), "username": name}, nil
	}
	a, e := s.owner(q)
	switch {
	case e != nil:
		return nil, e
	case a.ID != q.id:
		return object{"id": a.waba(), "name": "Demo", "owner_business_info": object{"id": s.portfolio(a), "name": "Demo"}}, nil
	case a.Kind == Instagram:
		return object{"id": a.ID, "username": s.Business(a.ID).Name}, nil
	}
	return s.numberObject(a), nil
}

// portfolio is the id of the business that owns an account.
func (s *Server) portfolio(a Account) string {
	if a.Portfolio != "" {
		return a.Portfolio
	}
	return s.office.number("portfolio", a.waba())
}

func badTokenUnless(e *graphError) *graphError {
	if e == nil {
		e = badToken()
	}
	return e
}

func (s *Server) numberObject(a Account) object {
	b := s.Business(a.ID)
	or := func(v, otherwise string) string {
		if v == "" {
			return otherwise
		}
		return v
	}
	level, sends := "STANDARD", "AVAILABLE"
	if b.High {
		level = "HIGH"
	}
	entity := object{"entity_type": "WABA", "id": a.waba()}
	if b.Restricted {
		sends = "BLOCKED"
		entity["errors"] = []object{{"error_code": 141010, "error_description": "The account is disabled.", "possible_solution": "Ask for a review."}}
	}
	entity["can_send_message"] = sends
	return object{"id": a.ID, "display_phone_number": a.display(), "verified_name": or(b.Name, "Demo Shop"),
		"quality_rating": or(b.Quality, "GREEN"), "status": or(b.Status, "CONNECTED"), "name_status": or(b.NameStatus, "APPROVED"),
		"throughput": object{"level": level}, "is_on_biz_app": false, "platform_type": "CLOUD_API",
		"whatsapp_business_manager_messaging_limit": or(b.Tier, s.o.Pace.tier()),
		"health_status": object{"can_send_message": sends, "entities": []object{entity}}}
}

func (s *Server) numbers(q *managed) (object, *graphError) {
	a, e := s.owner(q)
	if e != nil {
		return nil, e
	}
	list := []object{}
	for _, o := range s.o.Accounts {
		if o.Kind == WhatsApp && o.waba() == a.waba() {
			list = append(list, s.numberObject(o))
		}
	}
	return object{"data": list}, nil
}

func (s *Server) subscriptions(q *managed) (object, *graphError) {
	a, e := s.owner(q)
	if e != nil {
		return nil, e
	}
	set := func(on bool) {
		for _, o := range s.o.Accounts {
			if o.ID == a.ID || a.Kind == WhatsApp && o.Kind == WhatsApp && o.waba() == a.waba() {
				s.ChangeBusiness(o.ID, func(b *Business) { b.Subscribed = on })
			}
		}
	}
	switch q.Method {
	case http.MethodPost:
		if a.Kind == Instagram && q.FormValue("subscribed_fields") == "" {
			return nil, badParameter("subscribed_fields is required.")
		}
		set(true)
		return object{"success": true}, nil
	case http.MethodDelete:
		set(false)
		return object{"success": true}, nil
	}
	list := []object{}
	if s.Business(a.ID).Subscribed {
		app := object{"id": s.appID(a.App), "name": a.App, "link": "https://www.facebook.com/games/?app_id=" + s.appID(a.App)}
		list = append(list, object{"whatsapp_business_api_data": app})
	}
	return object{"data": list}, nil
}

// templatePageMax is how many templates a page has at most.
const templatePageMax = 20

func (s *Server) templatePage(q *managed) (object, *graphError) {
	a, e := s.owner(q)
	if e != nil {
		return nil, e
	}
	list := s.Templates(a)
	from, _ := strconv.Atoi(q.URL.Query().Get("after"))
	limit, err := strconv.Atoi(q.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > templatePageMax {
		limit = templatePageMax
	}
	from = min(max(from, 0), len(list))
	to := min(from+limit, len(list))
	paging := object{"cursors": object{"before": strconv.Itoa(from), "after": strconv.Itoa(to)}}
	if to < len(list) {
		// As Meta does, with the token in it.
		paging["next"] = "https://graph.facebook.com/v25.0/" + q.id + "/message_templates?access_token=" + q.token + "&after=" + strconv.Itoa(to)
	}
	return object{"data": list[from:to], "paging": paging}, nil
}

func (s *Server) registration(q *managed) (object, *graphError) {
	a, e := s.owner(q)
	if e != nil {
		return nil, e
	}
	var in struct{ PIN string }
	if err := json.NewDecoder(http.MaxBytesReader(nil, q.Body, requestMax)).Decode(&in); err != nil {
		return nil, badParameter("The body must be JSON.")
	}
	b := s.Business(a.ID)
	switch {
	case q.edge == "deregister":
		s.ChangeBusiness(a.ID, func(b *Business) { b.Status = "DISCONNECTED" })
	case !digits(in.PIN, 6, 6):
		return nil, badParameter("pin must have six digits.")
	case b.PIN != "" && b.PIN != in.PIN:
		return nil, &graphError{status: http.StatusBadRequest, code: 133005, message: "(#133005) Two step verification PIN Mismatch"}
	default:
		s.ChangeBusiness(a.ID, func(b *Business) { b.PIN, b.Status = in.PIN, "CONNECTED" })
	}
	return object{"success": true}, nil
}

func (s *Server) profile(q *managed) (object, *graphError) {
	a, e := s.owner(q)
	if e != nil {
		return nil, e
	}
	if q.Method == http.MethodGet {
		p := object{"messaging_product": "whatsapp"}
		for k, v := range s.Business(a.ID).Profile {
			p[k] = v
		}
		return object{"data": []object{p}}, nil
	}
	var in map[string]any
	if err := json.NewDecoder(http.MaxBytesReader(nil, q.Body, requestMax)).Decode(&in); err != nil || in["messaging_product"] != "whatsapp" {
		return nil, badParameter("The body must be JSON with messaging_product.")
	}
	if about, ok := in["about"].(string); ok && (about == "" || len(about) > 139) {
		return nil, badParameter("about must have 1 to 139 characters.")
	}
	if handle, ok := in["profile_picture_handle"].(string); ok {
		s.office.mu.Lock()
		picture, found := s.office.pictures[handle]
		s.office.mu.Unlock()
		if !found {
			return nil, badParameter("profile_picture_handle is not one of an upload.")
		}
		sum := sha256.Sum256(picture)
		in["profile_picture_url"] = "https://pps.whatsapp.net/v/" + hex.EncodeToString(sum[:])
		delete(in, "profile_picture_handle")
	}
	delete(in, "messaging_product")
	s.ChangeBusiness(a.ID, func(b *Business) {
		next := map[string]any{}
		for k, v := range b.Profile {
			next[k] = v
		}
		for k, v := range in {
			next[k] = v
		}
		b.Profile = next
	})
	return object{"success": true}, nil
}

func (s *Server) startUpload(q *managed) (object, *graphError) {
	if e := s.office.refusal(q.account, q.token); e != nil {
		return nil, e
	}
	n, err := strconv.Atoi(q.URL.Query().Get("file_length"))
	kind := q.URL.Query().Get("file_type")
	if err != nil || n < 1 || kind != "image/jpeg" && kind != "image/png" || q.id != s.appID(q.account.App) {
		return nil, badParameter("file_length and file_type are required, and the app must be the token's.")
	}
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	id := s.office.fresh("upload:")
	s.office.uploads[id] = n
	return object{"id": id + "?sig=" + s.office.fresh("AR")}, nil
}

func (s *Server) upload(q *managed) (object, *graphError) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, q.Body, 8<<20))
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	n, ok := s.office.uploads[q.id]
	if err != nil || !ok || len(body) != n || q.Header.Get("file_offset") != "0" || q.URL.Query().Get("sig") == "" {
		return nil, badParameter("The upload does not continue its session.")
	}
	delete(s.office.uploads, q.id)
	handle := s.office.fresh("4:")
	s.office.pictures[handle] = body
	return object{"h": handle}, nil
}

// postCode logs somebody in: {"channel": "shop-wa"} is answered with a code.
func (s *Server) postCode(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Channel string `json:"channel"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestMax)).Decode(&in)
	if err != nil {
		http.Error(w, "the body must be JSON", http.StatusBadRequest)
		return
	}
	word, err := s.IssueCode(in.Channel)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if body, err := raw(object{"code": word}); err == nil {
		writeJSON(w, http.StatusOK, body)
	}
}
