package actors

import (
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// standings counts channels by how they stand, for the instruments.
type standings struct {
	sending, reauth, restricted, disconnected int
	// expires is when the first token of a channel in use ends; zero when none does.
	expires time.Time
}

func (n *standings) add(st *chat.ChannelState, now time.Time) {
	switch st.Sending(now) {
	case "":
		n.sending++
	case "reauth_required":
		n.reauth++
	case "restricted":
		n.restricted++
	case "disconnected":
		n.disconnected++
		return
	}
	if !st.TokenExpires.IsZero() && (n.expires.IsZero() || st.TokenExpires.Before(n.expires)) {
		n.expires = st.TokenExpires
	}
}

func (n *standings) report(m *metrics.Set) {
	by := m.Graph.Channels
	by.WithLabelValues("sending").Set(float64(n.sending))
	by.WithLabelValues("reauth_required").Set(float64(n.reauth))
	by.WithLabelValues("restricted").Set(float64(n.restricted))
	by.WithLabelValues("disconnected").Set(float64(n.disconnected))
	m.Graph.TokenExpiry.Set(0)
	if !n.expires.IsZero() {
		m.Graph.TokenExpiry.Set(float64(n.expires.Unix()))
	}
}
