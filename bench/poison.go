package bench

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// Poison is a kind of request that an edge must not be harmed by. Name says what is wrong
// with it, Status what it is answered when the edge is well: a body that Meta has signed
// is answered 200 whatever is in it, since Meta repeats for days what is not.
type Poison struct {
	Name   string
	Status int
	// Quarantined tells that it is kept aside, and given to no tenant.
	Quarantined bool

	// share of a flood, in thousandths.
	share int
	write func(p *poisoner, i int) []byte
}

// What poison is made of.
const (
	// poisonText is longer than an edge takes bodies, longText longer than a message's
	// text can be and shorter than that.
	poisonText = 10 << 20
	longText   = 200 << 10
	// poisonDepth is deeper than any body of Meta's.
	poisonDepth = 5_000
	// poisonPeople write what is decoded, and poisonIDs is how many ids those have that
	// come with another content each time.
	poisonPeople = 500
	poisonIDs    = 20
)

// poisons lists every kind. Most of a flood is refused or kept aside: what is taken is as
// much work as any message, which the part noisy measures.
func poisons() []Poison {
	return []Poison{
		{Name: "wrong signature", Status: 401, share: 400, write: func(p *poisoner, i int) []byte {
			return p.request(p.world.Apps[0].ID, "not-the-secret", p.message(i, "hello"))
		}},
		{Name: "no signature", Status: 401, share: 150, write: func(p *poisoner, i int) []byte {
			head, body, _ := bytes.Cut(p.signed(p.message(i, "hello")), []byte("X-Hub-Signature-256: "))
			return append(append(head, "X-Other: "...), body...)
		}},
		{Name: "unknown app", Status: 404, share: 60, write: func(p *poisoner, i int) []byte {
			return p.request("nobody", p.world.Apps[0].Secret, p.message(i, "hello"))
		}},
		{Name: "two lengths", Status: 400, share: 30, write: func(p *poisoner, i int) []byte {
			return bytes.Replace(p.signed(p.message(i, "hello")), []byte("\r\n"), []byte("\r\nContent-Length: 1\r\n"), 1)
		}},
		{Name: "body over the limit", Status: 413, share: 2, write: func(p *poisoner, _ int) []byte {
			if p.huge == nil {
				p.huge = p.request(p.world.Apps[0].ID, "not-the-secret", p.message(0, strings.Repeat("x", poisonText)))
			}
			return p.huge
		}},
		{Name: "signed, not JSON", Status: 200, Quarantined: true, share: 118, write: func(p *poisoner, i int) []byte {
			body := p.message(i, "hello")
			return p.signed(body[:len(body)-1-i%20])
		}},
		{Name: "signed, nested deep", Status: 200, Quarantined: true, share: 20, write: func(p *poisoner, i int) []byte {
			return p.signed(fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":%s%d%s}`,
				strings.Repeat("[", poisonDepth), i, strings.Repeat("]", poisonDepth)))
		}},
		{Name: "signed, unknown number", Status: 200, Quarantined: true, share: 120, write: func(p *poisoner, i int) []byte {
			return p.signed(bytes.ReplaceAll(p.message(i, "hello"), []byte(p.channel().PhoneNumberID), fmt.Appendf(nil, "9990%010d", i)))
		}},
		{Name: "signed, not UTF-8", Status: 200, share: 33, write: func(p *poisoner, i int) []byte {
			return p.signed(p.message(i, "\xff\xfe\xc0\x80 \xed\xa0\x80 \\ud800 \\u0000"))
		}},
		{Name: "signed, absurd time", Status: 200, share: 32, write: func(p *poisoner, i int) []byte {
			absurd := []string{`"99999999999999999999"`, `"-1"`, `"0"`, `"253402300800"`, `-9223372036854775808`, `1e300`, `"now"`, `{}`}
			at := fmt.Appendf(nil, `"timestamp":"%d"`, p.now.Unix())
			return p.signed(bytes.Replace(p.message(i, "hello"), at, []byte(`"timestamp":`+absurd[i%len(absurd)]), 1))
		}},
		{Name: "signed, an id again with other content", Status: 200, share: 33, write: func(p *poisoner, i int) []byte {
			id := fmt.Appendf(nil, "-%d-poison", i)
			return p.signed(bytes.Replace(p.message(i, fmt.Sprintf("hello %d", i)), id, fmt.Appendf(nil, "-%d-again", i%poisonIDs), 1))
		}},
		{Name: "signed, text of 200 KB", Status: 200, share: 2, write: func(p *poisoner, i int) []byte {
			return p.signed(p.message(i, p.long))
		}},
	}
}

// poisoner writes poison for the last tenant of a world.
type poisoner struct {
	world *child.World
	now   time.Time
	long  string
	huge  []byte
	sum   []byte
}

func newPoisoner(world *child.World, now time.Time) *poisoner {
	return &poisoner{world: world, now: now, long: strings.Repeat("x", longText)}
}

// channel is the number that poison is written to.
func (p *poisoner) channel() *child.Channel { return &p.world.Channels[len(p.world.Channels)-2] }

// message is a webhook that would be right with another text. No remote id of poison is
// taken for that of a request.
func (p *poisoner) message(i int, text string) []byte {
	ch, from := p.channel(), fmt.Sprintf("49161%09d", i%poisonPeople)
	return fmt.Appendf(nil, `%s{"id":%q,"changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"4930",`+
		`"phone_number_id":%q},"contacts":[{"profile":{"name":"Mallory"},"wa_id":%q}],"messages":[{"from":%q,"id":"wamid.HBg-%d-poison",`+
		`"timestamp":"%d","text":{"body":"%s"},"type":"text"}]},"field":"messages"}]}]}`,
		whatsAppBody, ch.WABA, ch.PhoneNumberID, from, from, i, p.now.Unix(), text)
}

func (p *poisoner) signed(body []byte) []byte {
	return p.request(p.world.Apps[0].ID, p.world.Apps[0].Secret, body)
}

func (p *poisoner) request(app, secret string, body []byte) []byte {
	var request []byte
	request, p.sum = appendRequest(nil, app, hmac.New(sha256.New, []byte(secret)), p.sum, body)
	return request
}

// PoisonFlood is a Source of poison of every kind, each as often as its share.
type PoisonFlood struct {
	kinds    []Poison
	requests [][]byte
	of       []int // the kind of each request
}

// NewPoisonFlood writes n requests to the last tenant of world. No two of one kind are
// the same, but those over the limit.
func NewPoisonFlood(world *child.World, n int, seed uint64, now time.Time) *PoisonFlood {
	f := &PoisonFlood{kinds: poisons(), requests: make([][]byte, n), of: make([]int, n)}
	var deck []int
	for k := range f.kinds {
		for range f.kinds[k].share {
			deck = append(deck, k)
		}
	}
	rng := rand.New(rand.NewPCG(seed, 0x706f69736f6e))
	p := newPoisoner(world, now)
	for i := range n {
		f.of[i] = deck[rng.IntN(len(deck))]
		f.requests[i] = f.kinds[f.of[i]].write(p, i)
	}
	return f
}

// Kind is what request i is.
func (f *PoisonFlood) Kind(i int) Poison { return f.kinds[f.of[i]] }

// Len implements Source.
func (f *PoisonFlood) Len() int { return len(f.requests) }

// At implements Source.
func (f *PoisonFlood) At(i int) []byte { return f.requests[i] }
