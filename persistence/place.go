package persistence

import (
	"encoding/binary"

	"github.com/chumiai/chumi/chat"
)

// The places sealed bytes can stand in. The place is bound to the ciphertext as
// associated data: moved elsewhere, it does not open. Stored within every
// sealed record; values never change.
const (
	placeTenantKey  byte = 1 // a tenant's key, wrapped
	placePepper     byte = 2 // a tenant's pepper, wrapped
	placeContactKey byte = 3 // a contact's key, wrapped by the tenant's
	placeEvent      byte = 4 // tenant, conversation, seq
	placeLoose      byte = 5 // tenant: an event without a conversation
	placeContact    byte = 6 // tenant, contact
	placeClaim      byte = 7 // tenant, claim hash
	placeDoc        byte = 8 // tenant, document hash
)

func tenantPlace(what byte, t chat.TenantID) []byte {
	return appendWord([]byte{what}, string(t))
}

// idPlace is the place of something of a tenant named by an id.
func idPlace(what byte, t chat.TenantID, id id16) []byte {
	return append(tenantPlace(what, t), id[:]...)
}

// appendEventPlace is the place of an event; an event without a conversation
// has the tenant only, for its position is not known when it is sealed.
func appendEventPlace(dst []byte, t chat.TenantID, c id16, seq chat.Seq) []byte {
	if seq == 0 {
		return appendWord(append(dst, placeLoose), string(t))
	}
	dst = appendWord(append(dst, placeEvent), string(t))
	return binary.BigEndian.AppendUint64(append(dst, c[:]...), uint64(seq))
}
