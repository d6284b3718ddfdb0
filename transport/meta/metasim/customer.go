package metasim

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Said is what a customer is told to write through the simulator's own API.
type Said struct {
	// Channel is an account's id or name, or "whatsapp" or "instagram".
	Channel string `json:"channel"`
	// From is the customer's WhatsApp or Instagram-scoped id: digits.
	From string `json:"from"`
	Name string `json:"name"`
	// Type is an UpdateKind of what customers do, "text" when empty, or "echo".
	Type string `json:"type"`
	Text string `json:"text"`
	// About is the message it is about: needed by reaction, unreaction, edit and
	// revoke, and the message that is answered for others.
	About string `json:"about"`
	// ID, when set, is used as the message's id: writing the same id twice is
	// what a redelivery by Meta looks like.
	ID string `json:"id"`
}

// Heard is what became of it.
type Heard struct {
	ID           string `json:"id"`
	Conversation string `json:"conversation"`
	Number       int64  `json:"number"`
	// Acknowledged tells whether the webhook was answered 200; Status is its
	// HTTP status, 0 when no answer came. If it was not, it is retried.
	Acknowledged bool `json:"acknowledged"`
	Status       int  `json:"status"`
}

// Say lets a customer write: it posts a signed webhook, once before it returns
// and, if that is not answered 200, with backoff afterwards. The error says
// what is wrong with said.
func (s *Server) Say(ctx context.Context, said Said) (Heard, error) {
	u, err := s.compose(said)
	if err != nil {
		return Heard{}, err
	}
	d, err := s.NewDelivery(u)
	if err != nil {
		return Heard{}, err
	}
	h := Heard{ID: u.RemoteID, Conversation: ConversationKey(u.Account, u.Customer), Number: u.Number}
	h.Status, _ = s.post(ctx, d) // the status, or its absence, is the result
	if h.Acknowledged = h.Status == http.StatusOK; !h.Acknowledged {
		s.later(s.backoff(d, 1), func() { s.postLater(d, 2) })
	}
	return h, nil
}

func (s *Server) compose(said Said) (Update, error) {
	a, ok := s.Account(said.Channel)
	if !ok {
		return Update{}, fmt.Errorf("no account %q: use the id or name of one, whatsapp or instagram", said.Channel)
	}
	least, most := 5, 20
	if a.Kind == Instagram {
		least, most = 1, 40
	}
	if !digits(said.From, least, most) {
		return Update{}, fmt.Errorf("from must be %d to %d digits", least, most)
	}
	if !utf8.ValidString(said.Text) || utf8.RuneCountInString(said.Text) > WhatsAppTextMax {
		return Update{}, fmt.Errorf("text must be at most %d characters of UTF-8", WhatsAppTextMax)
	}
	c := Customer{ID: said.From, Name: said.Name}
	if said.Type == "" {
		said.Type = string(UpdateText)
	}
	if said.Type == string(UpdateText) && strings.TrimSpace(said.Text) == "" {
		return Update{}, fmt.Errorf("text is empty")
	}
	var u Update
	if said.Type == string(UpdateEcho) {
		u = s.Echo(a, c, said.Text)
	} else {
		var err error
		if u, err = s.Does(UpdateKind(said.Type), a, c, said.Text, said.About); err != nil {
			return Update{}, err
		}
	}
	if said.ID != "" {
		u.RemoteID = said.ID
	}
	return u, nil
}

// postMessage serves POST /simulator/api/messages. Only JSON is taken: a page
// of another origin cannot send that without asking first.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "the body must be application/json")
		return
	}
	var said Said
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&said); err != nil {
		problem(w, http.StatusBadRequest, "the body must be a JSON object with channel, from, name, text, type, about, id")
		return
	}
	heard, err := s.Say(r.Context(), said)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	status := http.StatusCreated
	if !heard.Acknowledged {
		status = http.StatusAccepted
	}
	answer(w, status, heard)
}

// streamWait is how long getStream waits for news unless told, and at most.
const (
	streamWait    = 25 * time.Second
	streamWaitMax = 55 * time.Second
)

// getStream serves GET /simulator/api/stream?after=N&run=RUN&wait=SECONDS: the
// phone events after N, waiting for one if there is none. RUN is the run of the
// answer that gave N; if that was another simulator's, N means nothing, and all
// events are returned at once.
func (s *Server) getStream(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, err := strconv.ParseUint(q.Get("after"), 10, 64)
	if err != nil && q.Get("after") != "" {
		problem(w, http.StatusBadRequest, "after must be a number")
		return
	}
	wait := streamWait
	if v := q.Get("wait"); v != "" {
		secs, err := strconv.Atoi(v)
		if err != nil || secs < 0 {
			problem(w, http.StatusBadRequest, "wait must be a number of seconds")
			return
		}
		wait = min(time.Duration(secs)*time.Second, streamWaitMax)
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if run := q.Get("run"); run != "" && run != s.phone.run {
		after = 0
		cancel()
	}
	events, next := s.phone.wait(ctx, after)
	if events == nil {
		events = []PhoneEvent{}
	}
	answer(w, http.StatusOK, struct {
		Events []PhoneEvent `json:"events"`
		Next   uint64       `json:"next"`
		Run    string       `json:"run"`
	}{events, next, s.phone.run})
}

// getLedger serves GET /simulator/api/ledger: DumpLedger.
func (s *Server) getLedger(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jsonl")
	_ = s.DumpLedger(w) // fails only when the client has left
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem(w, http.StatusInternalServerError, "the answer could not be encoded")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, body)
}

func problem(w http.ResponseWriter, status int, message string) {
	body, err := raw(object{"error": object{"message": message}})
	if err != nil {
		panic(err) // a string always encodes
	}
	writeJSON(w, status, body)
}
