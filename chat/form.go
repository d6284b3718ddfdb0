package chat

// Sentiments are the words of Response.Sentiment.
var Sentiments = []string{"positive", "neutral", "negative"}

// ResponseSchema is the JSON schema of Response, as models are asked for it: every
// property is required and no other is allowed, which strict servers insist on.
const ResponseSchema = `{"type":"object","additionalProperties":false,` +
	`"required":["messages","intent","sentiment","language","confidence","handoff","note","sources"],` +
	`"properties":{` +
	`"messages":{"type":"array","items":{"type":"string"},"description":"What the customer gets, in order; usually one message."},` +
	`"intent":{"type":"string","description":"What the customer wants, in at most five words."},` +
	`"sentiment":{"type":"string","enum":["positive","neutral","negative"],"description":"The customer's mood."},` +
	`"language":{"type":"string","description":"The language of the messages, as a BCP 47 tag."},` +
	`"confidence":{"type":"number","description":"From 0 to 1: how sure you are that the messages are right."},` +
	`"handoff":{"type":"string","description":"Why a person should take over; empty when none has to."},` +
	`"note":{"type":"string","description":"What that person should know; empty without a handoff."},` +
	`"sources":{"type":"array","items":{"type":"string"},"description":"Ids of the passages that the messages rest on."}}}`
