package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// Workload says which messages a run posts.
type Workload struct {
	// Tenants and Conversations: every tenant has that many conversations.
	Tenants, Conversations int
	// Skew is the s of the Zipf distribution over all conversations; values up
	// to 1 mean that each conversation is as likely as any other.
	Skew float64
	// InTurn writes to one conversation after the other instead of drawing them.
	InTurn bool
	// Every leaves all conversations out but each Every-th, so that few are written to
	// that lie far apart; 0 leaves none out.
	Every int
	// Instagram is the share of conversations on Instagram, 0 to 1.
	Instagram float64
	// Noise is how many times as many messages the first tenant gets as each other one;
	// 0 for as many. It replaces Skew.
	Noise int
	// Seed makes the same workload again.
	Seed uint64
	// First is added to the index of each request, which its message's remote id ends in.
	First int
}

// instagram spreads the Instagram share evenly over conversations.
func (w *Workload) instagram(conv int) bool {
	return int(float64(conv+1)*w.Instagram) > int(float64(conv)*w.Instagram)
}

// Requests is a sequence of complete HTTP requests, each with a signed body
// that holds one text message no other request has. It is immutable and shared
// by all rounds of a run.
type Requests struct {
	arena []byte
	ends  []int
	convs []uint32
}

// remoteDigits is the width of the request's index at the end of a remote id.
const remoteDigits = 10

// BuildRequests signs n requests for the app of w.
func BuildRequests(world *child.World, w Workload, n int, now time.Time) *Requests {
	const sizeGuess = 1400
	r := &Requests{arena: make([]byte, 0, n*sizeGuess), ends: make([]int, 0, n), convs: make([]uint32, 0, n)}
	rng := rand.New(rand.NewPCG(w.Seed, 0x62656e6368))
	every := uint64(max(1, w.Every))
	total := uint64(w.Tenants*w.Conversations) / every
	pick := func() uint64 { return rng.Uint64N(total) }
	if w.Skew > 1 {
		pick = rand.NewZipf(rng, w.Skew, 1, total-1).Uint64
	}
	if w.Noise > 0 {
		pick = func() uint64 { return w.noisy(rng) }
	}
	app := &world.Apps[0]
	mac := hmac.New(sha256.New, []byte(app.Secret))
	sum := make([]byte, 0, sha256.Size)
	var body []byte
	for i := range n {
		conv := uint64(i) % total
		if !w.InTurn {
			conv = pick()
		}
		conv *= every
		body = w.appendBody(body[:0], world, conv, w.First+i, now)
		r.arena, sum = appendRequest(r.arena, app.ID, mac, sum, body)
		r.ends = append(r.ends, len(r.arena))
		r.convs = append(r.convs, uint32(conv))
	}
	return r
}

// appendRequest appends a POST of body, signed with mac; sum is room for the signature,
// to be given again.
func appendRequest(b []byte, app string, mac hash.Hash, sum, body []byte) (request, again []byte) {
	mac.Reset()
	mac.Write(body)
	sum = mac.Sum(sum[:0])
	b = append(b, "POST /hooks/"...)
	b = append(b, app...)
	b = append(b, " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\nX-Hub-Signature-256: sha256="...)
	b = hex.AppendEncode(b, sum)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...), sum
}

// noisy draws a conversation, of the first tenant Noise times as often as of each other.
func (w *Workload) noisy(rng *rand.Rand) uint64 {
	tenant := max(0, rng.IntN(w.Noise+w.Tenants-1)-w.Noise+1)
	return uint64(rng.IntN(w.Conversations)*w.Tenants + tenant)
}

// Len is the number of requests.
func (r *Requests) Len() int { return len(r.ends) }

// At is request i, headers and body. It must not be changed.
func (r *Requests) At(i int) []byte {
	begin := 0
	if i > 0 {
		begin = r.ends[i-1]
	}
	return r.arena[begin:r.ends[i]]
}

// Conversation is the number of the conversation request i writes to.
func (r *Requests) Conversation(i int) int { return int(r.convs[i]) }

// BodySize is the mean size of the bodies.
func (r *Requests) BodySize() int {
	if len(r.ends) == 0 {
		return 0
	}
	headers := strings.Index(string(r.At(0)), "\r\n\r\n") + 4
	return len(r.arena)/len(r.ends) - headers
}

// customerText is about as long as a chat message with one question in it.
const customerText = "Hello, I saw your shop yesterday and would like to know whether the blue one is still there in size M."

// appendBody writes request i's webhook, of the shape and size Meta sends.
// Conversations are dealt to tenants in turn, so that each has a share of the
// busy ones.
func (w *Workload) appendBody(b []byte, world *child.World, conv uint64, i int, now time.Time) []byte {
	tenant, local := int(conv)%w.Tenants, int(conv)/w.Tenants
	if w.instagram(local) {
		ch := &world.Channels[2*tenant+1]
		return fmt.Appendf(b, `{"object":"instagram","entry":[{"id":%q,"time":%d,"messaging":[{"sender":{"id":"77%013d"},`+
			`"recipient":{"id":%q},"timestamp":%d,"message":{"mid":"aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3ODQxNDA3%0*d","text":"%s #%d"}}]}]}`,
			ch.InstagramID, now.UnixMilli(), conv, ch.InstagramID, now.UnixMilli(), remoteDigits, i, customerText, i)
	}
	b = append(b, whatsAppBody...)
	b = w.appendWhatsApp(b, world, conv, i, now)
	return append(b, "]}"...)
}

const whatsAppBody = `{"object":"whatsapp_business_account","entry":[`

// appendBatch writes a webhook with n messages, one to each of the conversations from
// conv on, which are all on WhatsApp; the first has index i.
func (w *Workload) appendBatch(b []byte, world *child.World, conv uint64, i, n int, now time.Time) []byte {
	b = append(b, whatsAppBody...)
	for k := range n {
		if k > 0 {
			b = append(b, ',')
		}
		b = w.appendWhatsApp(b, world, conv+uint64(k), i+k, now)
	}
	return append(b, "]}"...)
}

// appendWhatsApp writes one entry of a WhatsApp webhook.
func (w *Workload) appendWhatsApp(b []byte, world *child.World, conv uint64, i int, now time.Time) []byte {
	tenant := int(conv) % w.Tenants
	ch := &world.Channels[2*tenant]
	from := fmt.Sprintf("49151%09d", conv)
	return fmt.Appendf(b, `{"id":%q,"changes":[{"value":{"messaging_product":"whatsapp",`+
		`"metadata":{"display_phone_number":"4930%08d","phone_number_id":%q},"contacts":[{"profile":{"name":"Customer %d"},"wa_id":%q,"user_id":"DE.%016d"}],`+
		`"messages":[{"from":%q,"from_user_id":"DE.%016d","id":"wamid.HBgNNDkxNTE2Nzg5MDEyFQIAEhgUM0EyQjRDNkQ4RTBGMTIzNDU2Nzg%0*d","timestamp":"%d","text":{"body":"%s #%d"},"type":"text"}]},"field":"messages"}]}`,
		ch.WABA, tenant, ch.PhoneNumberID, conv, from, conv, from, conv, remoteDigits, i, now.Unix(), customerText, i)
}

// requestOf is the request whose message has the given remote id.
func requestOf(remote string) (int, bool) {
	if len(remote) < remoteDigits {
		return 0, false
	}
	i, err := strconv.Atoi(remote[len(remote)-remoteDigits:])
	return i, err == nil
}
