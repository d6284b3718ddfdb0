package actors

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// TestStandings_CountChannels counts each channel once, and shows the first end of a
// token of those in use.
func TestStandings_CountChannels(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	in := func(days int) time.Time { return now.AddDate(0, 0, days) }
	var n standings
	for _, st := range []chat.ChannelState{
		{TokenExpires: in(9)}, {}, {Reauth: "token_invalid", TokenExpires: in(5)},
		{Restricted: "limited"}, {Restricted: "limited", RestrictedUntil: in(-1)},
		{Disconnected: in(-2), TokenExpires: in(1)},
	} {
		n.add(&st, now)
	}
	m := metrics.New(nil)
	n.report(m)
	for state, want := range map[string]float64{"sending": 3, "reauth_required": 1, "restricted": 1, "disconnected": 1} {
		if got := testutil.ToFloat64(m.Graph.Channels.WithLabelValues(state)); got != want {
			t.Errorf("%s: %v channels, want %v", state, got, want)
		}
	}
	if got := testutil.ToFloat64(m.Graph.TokenExpiry); got != float64(in(5).Unix()) {
		t.Errorf("the first token ends at %v", got)
	}
}
