package metasim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Delivery is one webhook POST: the exact bytes, and where they go.
type Delivery struct {
	App       string
	Body      []byte
	Signature string
	Updates   []Update
	arrivals  []*Arrival
}

// PostMoment is a step in the life of a webhook POST.
type PostMoment string

// The moments of a POST.
const (
	PostStarting PostMoment = "starting" // nothing was written yet
	PostAnswered PostMoment = "answered" // the answer's status was read
	PostBroken   PostMoment = "broken"   // no answer came
)

// ErrGaveUp is returned when a delivery was not answered 200 in Attempts tries.
var ErrGaveUp = errors.New("metasim: webhook not accepted, gave up")

// errNoHooks is the try of a delivery while it is not known where to post.
var errNoHooks = errors.New("metasim: no callback address")

// NewDelivery encodes and signs updates, which must be of one app and kind, and
// writes them into the inbound ledger. It posts nothing.
func (s *Server) NewDelivery(updates ...Update) (*Delivery, error) {
	d, err := s.newDelivery(updates)
	if err != nil {
		return nil, err
	}
	for _, u := range updates {
		s.phone.wrote(u)
	}
	return d, nil
}

func (s *Server) newDelivery(updates []Update) (*Delivery, error) {
	updates = slices.Clone(updates)
	for i := range updates {
		s.files.add(&updates[i])
		s.people.met(&updates[i])
	}
	body, err := Body(updates...)
	if err != nil {
		return nil, err
	}
	app := updates[0].Account.App
	for _, u := range updates {
		if u.Account.App != app {
			return nil, fmt.Errorf("metasim: apps %q and %q in one body", app, u.Account.App)
		}
	}
	d := &Delivery{App: app, Body: body, Signature: Sign(updates[0].Account.AppSecret, body), Updates: updates}
	for _, u := range updates {
		d.arrivals = append(d.arrivals, s.ledger.addArrival(Arrival{
			Kind: u.Kind, Conversation: ConversationKey(u.Account, u.Customer), Number: u.Number,
			RemoteID: u.RemoteID, Status: u.Status, Text: u.Text,
		}))
	}
	return d, nil
}

// Deliver makes one delivery of the updates and posts it until it is answered
// 200, as Post does.
func (s *Server) Deliver(ctx context.Context, updates ...Update) error {
	d, err := s.NewDelivery(updates...)
	if err != nil {
		return err
	}
	return s.Post(ctx, d)
}

// Post posts a delivery, and again with backoff while the answer is not 200,
// at most Options.Attempts times. It returns nil after a 200, ctx's error, or
// ErrGaveUp. Posting a delivery again is a redelivery and is counted as such.
// Safe for concurrent use, also with the same delivery.
func (s *Server) Post(ctx context.Context, d *Delivery) error {
	var last error
	for n := 1; n <= s.o.Attempts; n++ {
		var status int
		if status, last = s.post(ctx, d); status == http.StatusOK {
			return nil
		}
		if last == nil {
			last = fmt.Errorf("status %d", status)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !sleep(ctx, s.stop, s.backoff(d, n)) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return http.ErrServerClosed
		}
	}
	return fmt.Errorf("%w: %w", ErrGaveUp, last)
}

// PostOnce posts a delivery once and returns the HTTP status.
func (s *Server) PostOnce(ctx context.Context, d *Delivery) (status int, err error) {
	return s.post(ctx, d)
}

// post makes one try.
func (s *Server) post(ctx context.Context, d *Delivery) (int, error) {
	if s.o.Subscriptions && s.office.unheard(d) {
		return http.StatusOK, nil // nobody asked for it: it is dropped
	}
	base := s.hook()
	if base == "" {
		return 0, errNoHooks
	}
	s.posting.Add(1)
	defer s.posting.Add(-1)
	if s.o.OnPost != nil {
		s.o.OnPost(PostStarting, d, 0)
	}
	s.ledger.posting(d.arrivals)
	status, err := s.exchange(ctx, base, d)
	first := s.ledger.posted(d.arrivals, status)
	if s.o.OnPost != nil {
		if err != nil {
			s.o.OnPost(PostBroken, d, 0)
		} else {
			s.o.OnPost(PostAnswered, d, status)
		}
	}
	if status == http.StatusOK {
		s.phone.delivered(d.Updates)
		if first {
			s.redeliver(d)
		}
	}
	return status, err
}

func (s *Server) exchange(ctx context.Context, base string, d *Delivery) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.PostTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/hooks/"+url.PathEscape(d.App), bytes.NewReader(d.Body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "facebookexternalua")
	req.Header.Set(SignatureHeader, d.Signature)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	// The status line has decided; the rest only lets the connection be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, nil
}

// redeliver posts an acknowledged delivery once more if the plan says so.
func (s *Server) redeliver(d *Delivery) {
	if s.o.Plan.Redelivered <= 0 {
		return
	}
	r := source(s.o.Plan.Seed, "redeliver", d.Signature)
	if r.Float64() < s.o.Plan.Redelivered {
		s.later(time.Duration(r.Int64N(int64(500*time.Millisecond))), func() { s.postLater(d, 2) })
	}
}

// postLater makes the nth try of a delivery nobody waits for, and arranges the
// next one.
func (s *Server) postLater(d *Delivery, n int) {
	select {
	case s.slots <- struct{}{}:
	case <-s.stop:
		return
	}
	status, _ := s.post(s.ctx, d)
	<-s.slots
	if status != http.StatusOK && n < s.o.Attempts {
		s.later(s.backoff(d, n), func() { s.postLater(d, n+1) })
	}
}

// backoff doubles from Backoff to BackoffMax, minus up to a quarter.
func (s *Server) backoff(d *Delivery, n int) time.Duration {
	b := s.o.BackoffMax
	if n < 32 && s.o.Backoff<<(n-1) > 0 {
		b = min(b, s.o.Backoff<<(n-1))
	}
	return b - time.Duration(source(s.o.Plan.Seed, "backoff", d.Signature, strconv.Itoa(n)).Int64N(int64(b)/4+1))
}

// Subscribe makes the verification handshake Meta makes when a callback is
// saved: nil when the engine echoes the challenge for this token.
func (s *Server) Subscribe(ctx context.Context, app, token string) error {
	base := s.hook()
	if base == "" {
		return errNoHooks
	}
	challenge := strconv.FormatUint(source(s.o.Seed, "challenge", app, token).Uint64()>>33, 10)
	q := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {challenge}, "hub.verify_token": {token}}
	ctx, cancel := context.WithTimeout(ctx, s.o.PostTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/hooks/"+url.PathEscape(app)+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(got) != challenge {
		return fmt.Errorf("metasim: verification of app %q answered %d", app, resp.StatusCode)
	}
	return nil
}
