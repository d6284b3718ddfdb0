package edge

import (
	"fmt"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Limits bounds what one listener accepts. Every field must be positive.
type Limits struct {
	// BodyMax is the largest request body, in bytes.
	BodyMax int
	// HeaderMax is the largest request header, in bytes. It is also each
	// connection's read buffer.
	HeaderMax int
	// ReadTimeout bounds reading one whole request from its first byte.
	ReadTimeout time.Duration
	// WriteTimeout bounds writing one response. Streams extend it per flush.
	WriteTimeout time.Duration
	// IdleTimeout closes a kept-alive connection without a request.
	IdleTimeout time.Duration
	// RequestsPerConnMax closes a connection after so many requests, so that
	// load spreads again behind a balancer.
	RequestsPerConnMax int
	// ConnsPerIPMax bounds connections from one address. Behind a proxy all
	// connections have the proxy's address: raise it there.
	ConnsPerIPMax int
	// ConnMax bounds connections; a sixteenth of them is kept for newcomers. ConnMax
	// times BodyMax bounds the memory of requests being read, of which only what has
	// arrived is taken.
	ConnMax int
}

// The limits of the three listeners. Meta's largest webhook is 3 MB; API bodies
// are one message.
var (
	DefaultHooksLimits = Limits{
		BodyMax: 4 << 20, HeaderMax: 8 << 10,
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 30 * time.Second,
		RequestsPerConnMax: 100_000, ConnsPerIPMax: 512, ConnMax: 4096,
	}
	DefaultAPILimits = Limits{
		BodyMax: 1 << 20, HeaderMax: 8 << 10,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 60 * time.Second,
		RequestsPerConnMax: 100_000, ConnsPerIPMax: 512, ConnMax: 4096,
	}
	DefaultOpsLimits = Limits{
		BodyMax: 64 << 10, HeaderMax: 8 << 10,
		ReadTimeout: 5 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 60 * time.Second,
		RequestsPerConnMax: 100_000, ConnsPerIPMax: 64, ConnMax: 128,
	}
)

// Validate names the first limit that is not positive.
func (l Limits) Validate() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"BodyMax", int64(l.BodyMax)},
		{"HeaderMax", int64(l.HeaderMax)},
		{"ReadTimeout", int64(l.ReadTimeout)},
		{"WriteTimeout", int64(l.WriteTimeout)},
		{"IdleTimeout", int64(l.IdleTimeout)},
		{"RequestsPerConnMax", int64(l.RequestsPerConnMax)},
		{"ConnsPerIPMax", int64(l.ConnsPerIPMax)},
		{"ConnMax", int64(l.ConnMax)},
	} {
		if f.value <= 0 {
			return chat.E("edge.New", chat.KindInvalid, fmt.Sprintf("limit %s is %d, it must be positive", f.name, f.value), nil)
		}
	}
	return nil
}
