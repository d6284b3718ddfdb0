package metasim

import (
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SendMoment is a step in the life of a send request.
type SendMoment string

// The moments of a send. At each of them the ledger already holds the entry.
const (
	SendReceived  SendMoment = "received"  // read and decided, before the latency
	SendAnswering SendMoment = "answering" // right before the answer is written or the connection cut
	SendAnswered  SendMoment = "answered"  // the answer was handed to the network; not reached by FaultDropped
)

// graph serves POST [/{version}]/{account}/messages, and what fileEdges does.
func (s *Server) graph(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.done()
	if s.fileEdges(w, r) || s.manage(w, r) {
		return
	}
	id, ok := messagesEdge(r.URL.Path)
	if !ok || r.Method != http.MethodPost {
		s.refuse(w, "", &graphError{status: http.StatusBadRequest, code: 100, message: "Unsupported " + strings.ToLower(r.Method) + " request."})
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		s.refuse(w, "", badToken())
		return
	}
	account, known := s.graphAccount(id, token)
	if !known && len(s.o.Accounts) > 0 {
		s.refuse(w, "", unknownObject(id))
		return
	}
	if known {
		if refusal := s.office.refusal(account, token); refusal != nil {
			s.refuse(w, account.Kind, refusal)
			return
		}
	}
	if proof := r.URL.Query().Get("appsecret_proof"); proof != "" && account.AppSecret != "" && "sha256="+proof != Sign(account.AppSecret, []byte(token)) {
		s.refuse(w, account.Kind, &graphError{status: http.StatusBadRequest, code: 100, message: "Invalid appsecret_proof provided in the API argument"})
		return
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		s.refuse(w, account.Kind, badParameter("The body must be application/json."))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
	if err != nil {
		s.refuse(w, account.Kind, badParameter("The body could not be read."))
		return
	}
	if account.Kind == "" {
		account.ID, account.Kind = id, guessKind(body)
	}
	s.serveRequest(w, account, body)
}

// messagesEdge finds the account id in [/{version}]/{id}/messages.
func messagesEdge(path string) (id string, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) == 3 && version(parts[0]) {
		parts = parts[1:]
	}
	return parts[0], len(parts) == 2 && parts[1] == "messages" && parts[0] != ""
}

func version(s string) bool {
	n, ok := strings.CutPrefix(s, "v")
	major, minor, dot := strings.Cut(n, ".")
	return ok && digits(major, 1, 3) && (!dot || digits(minor, 1, 3))
}

// graphAccount resolves an id; "me" is the account the token belongs to.
func (s *Server) graphAccount(id, token string) (Account, bool) {
	for _, a := range s.o.Accounts {
		if a.ID == id || id == "me" && a.AccessToken == token && a.Kind == Instagram {
			return a, true
		}
	}
	return Account{}, false
}

// guessKind tells the products apart when no account is configured.
func guessKind(body []byte) Kind {
	var in struct {
		Product *string `json:"messaging_product"`
	}
	if json.Unmarshal(body, &in) == nil && in.Product == nil {
		return Instagram
	}
	return WhatsApp
}

func (s *Server) serveRequest(w http.ResponseWriter, a Account, body []byte) {
	parse := parseWhatsApp
	if a.Kind == Instagram {
		parse = parseInstagram
	}
	req, refusal := parse(body)
	if refusal == nil && req.sign != "" {
		s.phone.sign(a, req)
		s.acknowledgeSign(w, a, req)
		return
	}
	if refusal == nil && s.office.restricted(a.ID) {
		refusal = locked(a.Kind)
	}
	if refusal == nil && s.o.Windows {
		refusal = s.windows.refusal(a, req, s.o.Now())
	}
	commented := ""
	if refusal == nil && req.comment {
		var by string
		commented = req.to
		if by, refusal = s.comments.claim(a, commented, s.o.Now()); by != "" {
			req.to = by
		}
		if refusal != nil {
			commented = ""
		}
	}
	s.answering.Add(1)
	defer s.answering.Add(-1)
	e := Send{Time: s.o.Now().UTC(), Kind: a.Kind, Account: a.ID, To: req.to, Type: req.kind, Text: req.text, Callback: req.callback, Private: req.comment}
	var pause time.Duration
	e, refusal, pause = s.decide(e, refusal)
	e = s.ledger.addSend(e)
	s.moment(SendReceived, e)
	sleep(s.ctx, s.stop, pause)
	if e.Accepted {
		s.accepted(a, req, e)
	} else if commented != "" {
		s.comments.release(a, commented)
	}
	s.moment(SendAnswering, e)
	switch {
	case s.ctx.Err() != nil:
		panic(http.ErrAbortHandler)
	case e.Fault == FaultReset:
		reset(w)
	case e.Fault == FaultDropped:
		panic(http.ErrAbortHandler)
	case e.Fault == FaultServerError:
		w.WriteHeader(http.StatusInternalServerError)
	case e.Fault == FaultBadGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><body><h1>502 Bad Gateway</h1></body></html>")
	case refusal != nil:
		writeJSON(w, refusal.status, refusal.encode(a.Kind, traceID(s.o.Seed, e.Receipt)))
	default:
		writeJSON(w, http.StatusOK, acceptance(a, req, e))
	}
	if e.Fault != FaultReset { // a reset connection is not the server's any more
		_ = http.NewResponseController(w).Flush()
	}
	s.moment(SendAnswered, e)
}

// decide completes the ledger entry: attempt, fault, answer, remote id.
func (s *Server) decide(e Send, refusal *graphError) (Send, *graphError, time.Duration) {
	e.Attempt = s.ledger.attempt(e)
	parts := []string{string(e.Kind), e.Account, e.To, e.Callback, e.Text, strconv.Itoa(e.Attempt)}
	r := source(s.o.Plan.Seed, parts...)
	pause := s.o.Plan.Latency.draw(r)
	if refusal == nil {
		refusal = s.tooFast(&e)
	}
	if refusal == nil {
		e.Fault = s.o.Plan.fault(e, r)
		switch e.Fault {
		case FaultThrottled:
			refusal = throttled(e.Kind)
		case FaultPairLimited:
			refusal = pairLimited(e.Kind)
		}
	}
	if refusal != nil {
		e.Answer, e.Code = AnswerRefused, refusal.code
		return e, refusal, pause
	}
	e.Answer, e.Accepted = AnswerAccepted, true
	switch e.Fault {
	case FaultServerError:
		e.Answer, e.Accepted = AnswerFailed, false
	case FaultBadGateway:
		e.Answer = AnswerFailed
	case FaultReset:
		e.Answer, e.Accepted = AnswerDropped, false
	case FaultDropped:
		e.Answer = AnswerDropped
	case FaultSlow:
		pause += s.o.Plan.slowBy()
	}
	if e.Accepted {
		e.RemoteID = remoteID(e.Kind, s.o.Seed, append(parts, "send")...)
	}
	return e, nil, pause
}

// tooFast is Meta's answer to a message that comes too fast, nil to another.
func (s *Server) tooFast(e *Send) *graphError {
	a, ok := s.Account(e.Account)
	if !ok {
		a = Account{Kind: e.Kind, ID: e.Account}
	}
	e.Over = s.pacer.Send(Message{Account: a, To: e.To, Type: e.Type, Private: e.Private,
		Outside: a.Kind == WhatsApp && s.windows.refusal(a, request{to: e.To}, e.Time) != nil}, e.Time)
	return e.Over.refusal(e.Kind)
}

// Over counts the messages that came too fast, by the limit they were over.
func (s *Server) Over() map[Limit]int64 { return s.pacer.Over() }

func (s *Server) moment(m SendMoment, e Send) {
	if s.o.OnSend != nil {
		s.o.OnSend(m, e)
	}
}

// acceptance is the body of a 200.
func acceptance(a Account, req request, e Send) []byte {
	o := object{"recipient_id": req.to, "message_id": e.RemoteID}
	if req.kind == "reaction" {
		delete(o, "message_id") // an Instagram reaction is no message
	}
	if a.Kind == WhatsApp {
		c := object{"input": req.input}
		if req.userID {
			c["user_id"] = req.to
		} else {
			c["wa_id"] = req.to
		}
		o = object{"messaging_product": "whatsapp", "contacts": []object{c}, "messages": []object{{"id": e.RemoteID}}}
	}
	body, err := raw(o)
	if err != nil {
		panic(err) // strings and maps of them always encode
	}
	return body
}

func (s *Server) acknowledgeSign(w http.ResponseWriter, a Account, req request) {
	if a.Kind == Instagram {
		b, err := raw(object{"recipient_id": req.to})
		if err == nil {
			writeJSON(w, http.StatusOK, b)
		}
		return
	}
	writeJSON(w, http.StatusOK, []byte(`{"success":true}`))
}

// refuse answers a request that is no send at all and is in no ledger.
func (s *Server) refuse(w http.ResponseWriter, k Kind, e *graphError) {
	writeJSON(w, e.status, e.encode(k, traceID(s.o.Seed, s.ledger.receipt())))
}

// reset ends the connection with RST instead of FIN where the transport allows.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
