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
		!oneOf(q.Peek("hub.verify_token"), app.VerifyTokens) ||
		!echoable(challenge) {
		ctx.SetStatusCode(fasthttp.StatusForbidden)
		return
	}
	ctx.SetBody(challenge)
}

// oneOf compares with every token, in a time that tells neither content nor length
// of any, nor which one it was.
func oneOf(got []byte, tokens []chat.Secret) bool {
	a, found := sha256.Sum256(got), 0
	for _, want := range tokens {
		if want != "" {
			b := sha256.Sum256([]byte(want.Reveal()))
			found |= subtle.ConstantTimeCompare(a[:], b[:])
		}
	}
	return found == 1
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
