// Package api is the REST API under /v1, its event stream, the specification
// that describes both, and the door of the console.
//
// openapi.yaml is the contract: it is written first, served as /openapi.json,
// and every route is tested against it. Reads go through Views and Feed and see
// only what is durable. Writes go through Commands, the road webhooks take too;
// when one is answered it is durable.
//
// A request acts as the principal of its bearer token, and every call names
// that principal's tenant: what belongs to another tenant is not found.
//
// Nothing of a request's memory is kept: every value that outlives the handler
// is a copy.
package api
