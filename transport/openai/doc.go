// Package openai asks a model behind the OpenAI chat completions API for an
// answer. It is the only importer of go-openai.
//
// One Complete is one HTTP request: retries, budgets and what follows from an
// error are the caller's. The answer is streamed, so that a cut or a cancelled
// turn stops the provider's work, and handed on whole: nothing partial leaves
// this package. Tools are off; an answer that calls one is an error.
//
// Every error is a *chat.ModelError whose Reason is one of a closed set, so
// that it can be a metric label and holds no text of the provider, which may
// repeat the prompt:
//
//	bad_request       the provider refuses the request (permanent)
//	breaker_open      too many failures in a row; nothing was sent
//	cancelled         the caller gave up
//	content_filter    the provider's filter stopped the answer (permanent)
//	context_too_long  the prompt is too long for the model (permanent)
//	cut               the stream ended before the answer did
//	empty             an answer without text
//	malformed         what came back is not the API's format
//	model_not_found   no such model or path (permanent)
//	provider_error    the provider answered 5xx
//	quota_exceeded    the account is out of money (permanent)
//	redirected        the base URL redirects; set the address it leads to (permanent)
//	refused           the model declined to answer (permanent)
//	throttled         too many requests; RetryAfter when the provider says it
//	timeout           no whole answer in time
//	too_long          more text or bytes than allowed
//	tool_call         an answer that calls a tool
//	truncated         the answer reached the token limit
//	unauthorized      the key is wrong or may not use the model (permanent)
//	unreachable       no connection
package openai
