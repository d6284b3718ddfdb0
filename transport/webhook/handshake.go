package webhook

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// challengeMax is far above Meta's ten digits.
const challengeMax = 64

// handshake answers the subscription check. An app without a verify token
// refuses every one: an unset token must not be matched by an empty one.
func handshake(ctx *fasthttp.RequestCtx, app *chat.App) {
	q := ctx.QueryArgs()
	challenge := q.Peek("hub.challenge")
	if string(q.Peek("hub.mode")) != "subscribe" ||
		!sameToken(q.Peek("hub.verify_token"), app.VerifyToken) ||
		!echoable(challenge) {
		ctx.SetStatusCode(fasthttp.StatusForbidden)
		return
	}
	ctx.SetBody(challenge)
}

// sameToken compares in a time that tells neither content nor length.
func sameToken(got []byte, want chat.Secret) bool {
	if want == "" {
		return false
	}
	a, b := sha256.Sum256(got), sha256.Sum256([]byte(want.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// echoable admits what cannot be markup: the answer repeats it.
func echoable(challenge []byte) bool {
	if len(challenge) == 0 || len(challenge) > challengeMax {
		return false
	}
	for _, c := range challenge {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
