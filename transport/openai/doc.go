// Package openai asks models behind the OpenAI API for answers. It is the only
// importer of go-openai.
//
// A prompt names the models that may answer it, in order; each is of a provider, which
// speaks Chat Completions, Responses or the dialect of Azure at any base URL. A model is
// asked once: retries of a turn, its budgets and what follows from an error are the
// caller's. A failure that another model may do better than leads to the next of the
// list. The answer is streamed, so that a cut or a cancelled turn stops the provider's
// work, and handed on whole: nothing partial leaves this package. Nothing is kept at a
// provider either, and the whole talk is sent each time.
//
// Tool calls are a stranger's input. Each is put together from its pieces, its
// arguments are held against the schema of the tool and written in one canonical form;
// what cannot be made says so in Invalid. An answer to a prompt without tools that
// calls one is an error.
//
// A structured answer is asked for in the strictest form that the server takes, down
// to words in the prompt, and that is remembered for a while. The text is handed on as
// it came.
//
// A provider that fails several times in a row is left alone for a while, as is one
// that throttles; all tenants with the same address and key share what is known of it.
// A second model of a provider that just failed is asked only while few are. A machine
// without descriptors to spare makes calls wait, not fail.
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
//	no_provider       nobody knows the provider that the prompt names (permanent)
//	provider_error    the provider answered 5xx
//	quota_exceeded    the account is out of money (permanent)
//	redirected        the base URL redirects; set the address it leads to (permanent)
//	refused           the model declined to answer (permanent)
//	throttled         too many requests; RetryAfter when the provider says it
//	timeout           no whole answer in time
//	too_long          more text or bytes than allowed
//	tool_call         an answer that calls a tool where none is offered, or more than 64
//	truncated         the answer reached the token limit
//	unauthorized      the key is wrong or may not use the model (permanent)
//	unreachable       no connection
package openai
