package replica

import (
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// The data of a log entry. An entry without data is a leader's first.
//
//	version8 boot64 number64, then for each commit: uvarint length, recordpb.Commit
//
// boot and number name the proposal: the process that made it knows who waits.
// A held entry ends after the number: its commits never left the process.
const (
	entryFull byte = 1
	entryHeld byte = 2

	entryHead = 1 + 8 + 8
)

// ticket names a proposal: the process that made it and its number there.
type ticket struct{ boot, number uint64 }

func appendTicket(dst []byte, t ticket) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, t.boot), t.number)
}

func readTicket(b []byte) (ticket, bool) {
	if len(b) != 16 {
		return ticket{}, false
	}
	return ticket{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, true
}

// newEntry encodes the commits of one entry; held leaves them out.
func newEntry(t ticket, held bool, commits []*Proposal) ([]byte, error) {
	if held {
		return appendTicket([]byte{entryHeld}, t), nil
	}
	size := entryHead
	for _, p := range commits {
		size += binary.MaxVarintLen32 + proto.Size(p.commit)
	}
	data := appendTicket(append(make([]byte, 0, size), entryFull), t)
	// The sizes are those of a moment ago: nobody changes a commit that waits.
	options := proto.MarshalOptions{UseCachedSize: true}
	for _, p := range commits {
		data = binary.AppendUvarint(data, uint64(options.Size(p.commit)))
		var err error
		if data, err = options.MarshalAppend(data, p.commit); err != nil {
			return nil, chat.E("replica.entry", chat.KindOther, "cannot encode a commit", err)
		}
	}
	return data, nil
}

// entryTicket returns the name of an entry's proposal and the bytes behind it.
func entryTicket(data []byte) (t ticket, held bool, body []byte, err error) {
	if len(data) < entryHead || data[0] != entryFull && data[0] != entryHeld {
		return t, false, nil, errEntry("an entry is of an unknown version")
	}
	t, _ = readTicket(data[1:entryHead])
	return t, data[0] == entryHeld, data[entryHead:], nil
}

// entryCommits decodes the commits behind an entry's ticket.
func entryCommits(body []byte) (commits []*recordpb.Commit, err error) {
	for len(body) > 0 {
		size, n := binary.Uvarint(body)
		if n <= 0 || size > uint64(len(body)-n) {
			return nil, errEntry("an entry is cut")
		}
		c := new(recordpb.Commit)
		if err := proto.Unmarshal(body[n:n+int(size)], c); err != nil {
			return nil, errEntry("a commit in an entry is unreadable")
		}
		commits = append(commits, c)
		body = body[n+int(size):]
	}
	return commits, nil
}

func errEntry(detail string) error { return chat.E("replica.entry", chat.KindCorrupt, detail, nil) }
