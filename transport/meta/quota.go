package meta

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// usageFull is the percentage of a quota at which management calls stop by
	// themselves: the rest belongs to sends.
	usageFull = 95
	// usagePause is how long they stop when Graph does not say: quotas are
	// counted over a sliding hour.
	usagePause = time.Minute
	// usageMax bounds the accounts that are remembered.
	usageMax = 4096
)

// usage remembers whose call quota is used up, by the headers of answers. It
// belongs to one Client; safe for concurrent use.
type usage struct {
	mu    sync.Mutex
	until map[usageKey]time.Time
	// now is time.Now, except in tests.
	now func() time.Time
}

// usageKey is an app, or a token of an app: the quota of an app is shared by all
// its tokens, that of an account belongs to who acts for it.
type usageKey struct {
	app   chat.AppID
	token [8]byte
}

func tokenKey(app chat.AppID, token chat.Secret) usageKey {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return usageKey{app, [8]byte(sum[:8])}
}

// hold is how long calls of an app with a token have to wait; 0 for not at all.
func (u *usage) hold(app chat.AppID, token chat.Secret) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.until) == 0 {
		return 0
	}
	now := u.now()
	return max(u.until[usageKey{app: app}].Sub(now), u.until[tokenKey(app, token)].Sub(now), 0)
}

// note looks at the headers of an answer.
func (u *usage) note(app chat.AppID, token chat.Secret, h http.Header) {
	if d := appUsage(h); d > 0 {
		u.stop(usageKey{app: app}, d)
	}
	if d := accountUsage(h); d > 0 {
		u.stop(tokenKey(app, token), d)
	}
}

func (u *usage) stop(key usageKey, d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	if len(u.until) >= usageMax {
		for k, t := range u.until {
			if !t.After(now) {
				delete(u.until, k)
			}
		}
	}
	if len(u.until) < usageMax {
		u.until[key] = now.Add(d)
	}
}

// quotaUse is one quota in a usage header: percentages, and minutes.
type quotaUse struct {
	Calls   float64 `json:"call_count"`
	CPU     float64 `json:"total_cputime"`
	Time    float64 `json:"total_time"`
	Minutes float64 `json:"estimated_time_to_regain_access"`
}

func (q quotaUse) pause() time.Duration {
	switch {
	case q.Minutes > 0:
		return time.Duration(min(q.Minutes, retryAfterMax.Minutes()) * float64(time.Minute))
	case max(q.Calls, q.CPU, q.Time) >= usageFull:
		return usagePause
	}
	return 0
}

// appUsage is how long an app should pause: {"call_count":28,"total_time":25,...}.
func appUsage(h http.Header) time.Duration {
	var use quotaUse
	if json.Unmarshal([]byte(h.Get("X-App-Usage")), &use) != nil {
		return 0
	}
	return use.pause()
}

// accountUsage is how long an account's caller should pause:
// {"<account>":[{"type":"whatsapp","call_count":3,...}]}.
func accountUsage(h http.Header) (pause time.Duration) {
	var use map[string][]quotaUse
	if json.Unmarshal([]byte(h.Get("X-Business-Use-Case-Usage")), &use) != nil {
		return 0
	}
	for _, list := range use {
		for _, q := range list {
			pause = max(pause, q.pause())
		}
	}
	return pause
}
