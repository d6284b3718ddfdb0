package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
)

// verifiers keeps one verifier per app, rebuilt when the app's secrets change.
// It holds at most as many as there are registered apps.
type verifiers struct{ byApp sync.Map }

type keptVerifier struct {
	secrets   []chat.Secret
	instagram chat.Secret
	verifier  *meta.Verifier
}

func (v *verifiers) of(app *chat.App) *meta.Verifier {
	if k, ok := v.byApp.Load(app.ID); ok {
		if kept := k.(*keptVerifier); kept.instagram == app.InstagramSecret && slices.Equal(kept.secrets, app.Secrets) {
			return kept.verifier
		}
	}
	kept := &keptVerifier{secrets: slices.Clone(app.Secrets), instagram: app.InstagramSecret, verifier: meta.NewVerifier(app.Signing())}
	v.byApp.Store(app.ID, kept)
	return kept.verifier
}

// secretWord labels which of an app's secrets signed a body: "0" is the current
// one, "1" the one it replaces, and "instagram" that of Instagram Login.
func secretWord(app *chat.App, index int) string {
	if index >= len(app.Secrets) {
		return "instagram"
	}
	return strconv.Itoa(index)
}

// digestLen is the length of an Inbound's digest in bytes, before hex.
const digestLen = 16

// unreadable is the one update a signed body without readable content stands
// for. It carries an owned copy of the body, and a digest of it so that a
// repetition is kept once.
func unreadable(app chat.AppID, body []byte, cause error) chat.Inbound {
	problem := "not JSON"
	var e *chat.Error
	if errors.As(cause, &e) && e.Reason != "" {
		problem = e.Reason
	}
	sum := sha256.Sum256(body)
	return chat.Inbound{
		Kind:    chat.InboundUpdate,
		App:     app,
		Type:    "body",
		Digest:  hex.EncodeToString(sum[:digestLen]),
		Raw:     bytes.Clone(body),
		Problem: problem,
	}
}
