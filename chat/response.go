package chat

// Response is what a model says to a customer, with what it makes of the talk.
type Response struct {
	// Messages go to the customer, in order.
	Messages []string `json:"messages"`
	// Intent is a short phrase, Sentiment one of Sentiments, Language a BCP 47 tag.
	Intent    string `json:"intent"`
	Sentiment string `json:"sentiment"`
	Language  string `json:"language"`
	// Confidence is from 0 to 1.
	Confidence float64 `json:"confidence"`
	// Handoff asks for a person, with the reason; empty for none. Note is for that
	// person.
	Handoff string `json:"handoff"`
	Note    string `json:"note"`
	// Sources are the chunks that the messages rest on.
	Sources []string `json:"sources"`
}
