package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Reason is why something was refused. The set is closed: it is a label.
type Reason string

// The reasons of chumi_peer_refused_total.
const (
	// Of connections.
	ReasonForeignCA     Reason = "foreign_ca"     // signed by another authority
	ReasonExpired       Reason = "expired"        // or not valid yet
	ReasonWrongCluster  Reason = "wrong_cluster"  // of our CA, for another cluster
	ReasonWrongNode     Reason = "wrong_node"     // not the node that was dialled, or our own number
	ReasonNoIdentity    Reason = "no_identity"    // a certificate without our URI
	ReasonNoCertificate Reason = "no_certificate" // a client that showed none
	ReasonPlaintext     Reason = "plaintext"      // not TLS at all
	ReasonHandshake     Reason = "handshake"      // any other failure before the first byte
	ReasonNotAdmitted   Reason = "not_admitted"   // Options.Admit said no
	ReasonTooMany       Reason = "too_many"       // more connections or snapshots than allowed
	ReasonFormat        Reason = "format"         // a binary that cannot write what is written
	// Of streams.
	ReasonOversized     Reason = "oversized"
	ReasonMalformed     Reason = "malformed"
	ReasonSpoofed       Reason = "spoofed"      // claims to be of another node
	ReasonUnknownType   Reason = "unknown_type" // mail that is not on the list
	ReasonUnknownMethod Reason = "unknown_method"
	ReasonPanic         Reason = "panic"
)

// Refusal is the error of a peer that is not served.
type Refusal struct {
	Reason Reason
	// Detail says what was seen and what was expected.
	Detail string
}

// Error joins reason and detail.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

func refusal(reason Reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// ReasonOf is the reason in err's chain, "" when it holds none.
func ReasonOf(err error) Reason {
	if r := (*Refusal)(nil); errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// sorted turns the errors of crypto/tls and crypto/x509 into a Refusal.
func sorted(err error) error {
	if ReasonOf(err) != "" {
		return err
	}
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var op *net.OpError
	switch {
	case errors.As(err, &record):
		return refusal(ReasonPlaintext, "the peer does not speak TLS; is peer TLS configured there, and is this its peer port?")
	case errors.As(err, &unknown):
		return refusal(ReasonForeignCA, "the peer's certificate is of another authority: %v", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return refusal(ReasonExpired, "the peer's certificate is not valid now: %s", invalid.Detail)
	// crypto/tls has no type for this one; a test watches the words.
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return refusal(ReasonNoCertificate, "the client shows no certificate")
	case errors.As(err, &op) && op.Op == "remote error":
		return refusal(ReasonHandshake, "the peer refused this node; its log says why (%v)", err)
	}
	return refusal(ReasonHandshake, "%v", err)
}

// keysMax bounds what a limiter remembers; strangers choose their addresses.
const keysMax = 1024

// limiter lets one line per key through in every period.
type limiter struct {
	now   func() time.Time
	every time.Duration

	mu   sync.Mutex
	keys map[string]*mark
}

type mark struct {
	at         time.Time
	suppressed int
}

func newLimiter(now func() time.Time, every time.Duration) *limiter {
	return &limiter{now: now, every: every, keys: map[string]*mark{}}
}

// allow reports whether key may log now, and how many it was denied since the
// last time.
func (l *limiter) allow(key string) (suppressed int, ok bool) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	m, known := l.keys[key]
	if !known && len(l.keys) >= keysMax {
		for k, old := range l.keys {
			if now.Sub(old.at) >= l.every {
				delete(l.keys, k)
			}
		}
		if len(l.keys) >= keysMax {
			key = ""
			m, known = l.keys[key]
		}
	}
	if !known {
		l.keys[key] = &mark{at: now}
		return 0, true
	}
	if now.Sub(m.at) < l.every {
		m.suppressed++
		return 0, false
	}
	suppressed = m.suppressed
	*m = mark{at: now}
	return suppressed, true
}

// refused counts a refusal and logs it unless the same host was logged for the
// same reason a moment ago. node is 0 when it was not proven.
func (t *Transport) refused(err error, remote net.Addr, node chat.NodeID) {
	reason := ReasonOf(err)
	t.o.Metrics.Refused.WithLabelValues(string(reason)).Inc()
	from := "unknown"
	if remote != nil {
		from = remote.String()
	}
	host, _, splitErr := net.SplitHostPort(from)
	if splitErr != nil {
		host = from
	}
	suppressed, ok := t.limit.allow(string(reason) + " " + host)
	if !ok {
		return
	}
	attrs := []any{"reason", string(reason), "remote", from, "error", err.Error()}
	if node != 0 {
		attrs = append(attrs, "node", node)
	}
	if suppressed > 0 {
		attrs = append(attrs, "suppressed", suppressed)
	}
	t.o.Log.Warn("a peer was refused", attrs...)
}
