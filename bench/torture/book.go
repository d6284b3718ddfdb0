package torture

import (
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// Book holds the accounts of one segment that the audit compares. It is filled
// when everything has stopped.
type Book struct {
	World *child.World
	// ReconcileAfter is what the engine was told: ambiguous sends may not be
	// repeated sooner.
	ReconcileAfter time.Duration
	// Skewed is true when the engine's clock was off: its times say nothing beside
	// those of the ledgers.
	Skewed bool
	// Arrivals and Sends are the Graph simulator's ledgers.
	Arrivals []metasim.Arrival
	Sends    []metasim.Send
	// Uses are calls of tools, as the server that carries them out saw them.
	Uses []Use
	// Requests are messages sent through the API; Takeovers are spans in which
	// a person held a conversation.
	Requests  []Request
	Takeovers []Takeover
	// Exported is each tenant's export, in its order.
	Exported map[string][]child.Event
	// Shown is what each tenant's feed showed, in its order; nil skips the
	// comparison of a tenant.
	Shown map[string][]child.Event
}

// Request is one message sent through the API, with one idempotency key.
type Request struct {
	Tenant string `json:"tenant"`
	// Text is unique in the segment.
	Text string `json:"text"`
	// Acknowledged is true when a 2xx was read.
	Acknowledged bool `json:"acknowledged"`
}

// Takeover is a span of simulator receipts in which no assistant message of the
// conversation may be accepted: from the answer to the takeover to the asking
// for the handback.
type Takeover struct {
	Tenant       string `json:"tenant"`
	Conversation string `json:"conversation"`
	From         uint64 `json:"from"`
	// Until is 0 when it was never handed back.
	Until uint64 `json:"until"`
}

// remoteKey is a remote id in a tenant.
type remoteKey struct{ tenant, remote string }

// statusKey is one distinct delivery report.
type statusKey struct{ tenant, remote, status string }

// thread is what the export says about one conversation of the engine.
type thread struct {
	tenant, id string
	lastSeq    uint64
	events     []*child.Event
	// customer is the ledger's conversation, from the messages stored in it.
	customer string
}

// index is the Book arranged for the audit.
type index struct {
	tenantOf  map[string]string // account id -> tenant
	instagram map[string]bool   // account ids
	arrivals  map[string]*metasim.Arrival
	received  map[remoteKey][]*child.Event
	statuses  map[statusKey]int
	threads   map[string]*thread // tenant + "/" + conversation
	order     []*thread
	// accepted lists Graph's accepted sends by callback, and by account,
	// recipient and text for those without.
	accepted map[string][]*metasim.Send
	remotes  map[string]*metasim.Send // accepted sends by remote id
	texts    map[string]int           // queued outbound texts by tenant + text
}

func (b *Book) index() *index {
	x := &index{
		tenantOf: map[string]string{}, instagram: map[string]bool{}, arrivals: map[string]*metasim.Arrival{},
		received: map[remoteKey][]*child.Event{}, statuses: map[statusKey]int{}, threads: map[string]*thread{},
		accepted: map[string][]*metasim.Send{}, remotes: map[string]*metasim.Send{}, texts: map[string]int{},
	}
	for i := range b.World.Channels {
		c := &b.World.Channels[i]
		x.tenantOf[c.Account()] = c.Tenant
		x.instagram[c.Account()] = c.Kind == child.Instagram
	}
	for i := range b.Arrivals {
		if a := &b.Arrivals[i]; a.Number > 0 {
			x.arrivals[a.RemoteID] = a
		}
	}
	for i := range b.Sends {
		if s := &b.Sends[i]; s.Accepted {
			x.accepted[sendKey(s)] = append(x.accepted[sendKey(s)], s)
			x.remotes[s.RemoteID] = s
		}
	}
	for _, t := range b.World.Tenants {
		events := b.Exported[t.ID]
		for i := range events {
			x.add(t.ID, &events[i])
		}
	}
	return x
}

func (x *index) add(tenant string, e *child.Event) {
	if e.Conversation != "" {
		key := tenant + "/" + e.Conversation
		th := x.threads[key]
		if th == nil {
			th = &thread{tenant: tenant, id: e.Conversation}
			x.threads[key] = th
			x.order = append(x.order, th)
		}
		th.events = append(th.events, e)
	}
	switch {
	case e.Kind == child.KindReceived && e.Message != nil:
		k := remoteKey{tenant, e.Message.Remote}
		x.received[k] = append(x.received[k], e)
	case e.Kind == child.KindStatus && e.Status != nil && e.Status.Remote != "":
		x.statuses[statusKey{tenant, e.Status.Remote, e.Status.Status}]++
	case e.Kind == child.KindQueued && e.Message != nil:
		x.texts[tenant+"/"+e.Message.Text]++
	}
}

// sendKey names a message at Graph: by the id that travels with it, or by where
// it goes and what it says.
func sendKey(s *metasim.Send) string {
	if s.Callback != "" {
		return s.Callback
	}
	return textKey(s.Account+"/"+s.To, s.Text)
}

func textKey(conversation, text string) string { return conversation + "\n" + text }

// accountOf is the account part of a ledger's conversation.
func accountOf(conversation string) string {
	account, _, _ := strings.Cut(conversation, "/")
	return account
}

// tokens returns the numbers of the "#<n>" in a text.
func tokens(text string) []int64 {
	var out []int64
	for {
		_, rest, ok := strings.Cut(text, "#")
		if !ok {
			return out
		}
		end := 0
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if n, err := strconv.ParseInt(rest[:end], 10, 64); err == nil {
			out = append(out, n)
		}
		text = rest[end:]
	}
}

// lastToken is the highest of them, 0 without one.
func lastToken(text string) int64 {
	last := int64(0)
	for _, n := range tokens(text) {
		last = max(last, n)
	}
	return last
}
