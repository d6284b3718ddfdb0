// Package meta holds everything the engine knows about Meta's platform, in both
// directions:
//
//	signature.go            is this body from Meta?            Verifier
//	decode*.go, envelope.go webhook body -> []chat.Inbound     Decode
//	client.go, request.go   chat.Outbound -> one Graph call    Client
//	response.go, errors.go  Graph's answer -> SendOutcome      Classify
//	call.go, quota.go       management calls: JSON or forms, pages, quotas
//	manage.go, login.go     how a channel stands, how one is connected
//	profile.go              what customers see of a number
//	limits.go               what the platform allows
//
// Decoding never loses anything: what has no mapping comes out as an update
// with its JSON, what cannot be understood comes out with a Problem, and one
// bad item leaves its neighbours alone. No string of the result points into the
// body.
//
// A send is judged by Graph's code and subcode only. Nothing here logs, and no
// error or outcome holds a token, a number or a text.
package meta
