package metasim

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// graphError is a refusal in Meta's words. The HTTP status says little: Meta
// answers throttling with 400, and clients must look at the code.
type graphError struct {
	status        int
	code, subcode int
	message       string
	details       string
	transient     bool
}

func badParameter(details string) *graphError {
	return &graphError{status: http.StatusBadRequest, code: 100, message: "(#100) Invalid parameter", details: details}
}

func unknownObject(id string) *graphError {
	return &graphError{status: http.StatusBadRequest, code: 100, subcode: 33,
		message: "Unsupported post request. Object with ID '" + id + "' does not exist, cannot be loaded due to missing permissions, or does not support this operation."}
}

func badToken() *graphError {
	return &graphError{status: http.StatusUnauthorized, code: 190,
		message: "Invalid OAuth access token - Cannot parse access token"}
}

func throttled(k Kind) *graphError {
	if k == Instagram {
		return &graphError{status: http.StatusForbidden, code: 613, message: "(#613) Calls to this api have exceeded the rate limit.", transient: true}
	}
	return &graphError{status: http.StatusBadRequest, code: 130429, subcode: 2494055,
		message: "(#130429) Rate limit hit", details: "Cloud API message throughput has been reached."}
}

func pairLimited(k Kind) *graphError {
	if k == Instagram {
		return &graphError{status: http.StatusForbidden, code: 613, subcode: 2534040, message: "(#613) Too many messages to one thread.", transient: true}
	}
	return &graphError{status: http.StatusBadRequest, code: 131056,
		message: "(#131056) (Business Account, Consumer Account) pair rate limit hit",
		details: "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time."}
}

// encode returns the error envelope.
func (e *graphError) encode(k Kind, trace string) []byte {
	type data struct {
		Product string `json:"messaging_product"`
		Details string `json:"details"`
	}
	type body struct {
		Message   string `json:"message"`
		Type      string `json:"type"`
		Code      int    `json:"code"`
		Data      *data  `json:"error_data,omitempty"`
		Subcode   int    `json:"error_subcode,omitempty"`
		Transient bool   `json:"is_transient,omitempty"`
		Trace     string `json:"fbtrace_id"`
	}
	b := body{Message: e.message, Type: "OAuthException", Code: e.code, Subcode: e.subcode, Transient: e.transient, Trace: trace}
	switch {
	case k == Instagram:
		b.Type = "IGApiException"
		if e.details != "" {
			b.Message += ": " + e.details
		}
	case e.details != "":
		b.Data = &data{Product: "whatsapp", Details: e.details}
	}
	out, err := json.Marshal(struct {
		Error body `json:"error"`
	}{b})
	if err != nil {
		// Only invalid UTF-8 could do this, and Marshal replaces that.
		return []byte(`{"error":{"message":"unknown","type":"OAuthException","code":1}}`)
	}
	return Escape(out)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left learns nothing
}
