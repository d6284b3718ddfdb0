package chat

import "time"

// Duty is something that a channel is due for, see Duties.
type Duty uint8

// The duties.
const (
	DutyCheck     Duty = 1 << iota // ask Meta how the channel stands
	DutyRefresh                    // get a token that ends later
	DutyTemplates                  // fetch the templates of its WABA
	DutyExpire                     // the token has ended: say so
)

// When a channel is due for what. All of it follows from its state: a crash
// forgets nothing, and nothing is done twice by who leads.
const (
	// CheckEvery is how often Meta is asked about a channel that sends, HeldEvery
	// about one that is held.
	CheckEvery = 24 * time.Hour
	HeldEvery  = 5 * time.Minute
	// TemplatesEvery is how often templates are fetched without news of them.
	TemplatesEvery = 24 * time.Hour
	// RefreshAhead is how long before its end an Instagram token, which lives 60
	// days, is replaced, and RefreshAge how old it must be for Meta to do that.
	RefreshAhead = 30 * 24 * time.Hour
	RefreshAge   = 24 * time.Hour
	// RefreshRetry is the pause after a refresh that failed: there are some 700 tries
	// before the token ends. One whose end is not known is tried once a day.
	RefreshRetry = time.Hour
	// ExpiryAlert is how long before its end people are told of a token that
	// nobody but they can replace.
	ExpiryAlert = 7 * 24 * time.Hour
)

// Duties is what a channel is due for at now. first is true for the first channel
// of its WABA by id, which fetches the templates for all.
func (s *ChannelState) Duties(kind ChannelKind, first bool, now time.Time) (d Duty) {
	every := CheckEvery
	if s.Sending(now) != "" {
		every = HeldEvery
	}
	if now.Sub(s.Checked) >= every {
		d |= DutyCheck
	}
	ended := !s.TokenExpires.IsZero() && !now.Before(s.TokenExpires)
	if ended && s.Reauth == "" {
		d |= DutyExpire
	}
	if kind == WhatsApp && first && s.Reauth == "" && (s.TemplatesStale || now.Sub(s.TemplatesSynced) >= TemplatesEvery) {
		d |= DutyTemplates
	}
	if kind == Instagram && !ended && s.Reauth == "" && s.refreshable(now) {
		d |= DutyRefresh
	}
	return d
}

// refreshable tells whether it is time to replace a token, and Meta would do it.
func (s *ChannelState) refreshable(now time.Time) bool {
	pause := RefreshRetry
	if s.TokenExpires.IsZero() {
		pause = RefreshAge
	}
	return !s.TokenIssued.IsZero() && now.Sub(s.TokenIssued) >= RefreshAge &&
		now.Sub(s.RefreshFailed) >= pause &&
		(s.TokenExpires.IsZero() || !now.Before(s.TokenExpires.Add(-RefreshAhead)))
}
