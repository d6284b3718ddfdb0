// Package webhook receives Meta's webhooks at /hooks/{app}.
//
//	GET   the subscription handshake: token compared, challenge echoed
//	POST  limit → signature over the raw bytes → decode → Ingress.Deliver → 200
//
// A POST is answered 200 if and only if every update in it is durable: applied,
// a duplicate, or quarantined. A signed body that is not JSON is kept as one
// quarantined update and answered 200 too: any other answer would make Meta
// repeat the same bytes for days. The answers:
//
//	200  durable
//	401  the signature is missing, malformed or made with another secret
//	403  the handshake's token or challenge is wrong
//	404  no such app
//	405  neither GET nor POST
//	503  not durable, or too much at once; Meta repeats the POST
//
// # Who owns the bytes
//
// The request and every slice of it belong to fasthttp, which uses them again
// for another tenant's request as soon as the handler returned. Nothing of it
// leaves this package: meta.Decode copies each string it keeps, and a body kept
// whole is cloned here.
package webhook
