package persistence

import (
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// encodeWork writes recordpb.Work.
func encodeWork(w *wire, k *chat.Work) {
	w.text(1, string(k.Version))
	w.stamp(2, k.Since)
	w.int(3, int64(k.Steps))
	w.int(4, int64(k.Tools))
	w.bool(5, k.Acted)
	w.bool(6, k.Repaired)
	w.int(7, int64(k.Spent))
	w.int(8, int64(k.Reserved))
	w.stamp(9, k.Called)
	for i := range k.Calls {
		c, at := &k.Calls[i], w.open(10)
		w.text(1, c.ID)
		w.text(2, c.Tool)
		w.uint(3, uint64(c.State))
		w.bool(4, c.Acts)
		w.bool(5, c.Repeatable)
		w.int(6, int64(c.N))
		w.uint(7, uint64(c.Epoch))
		w.stamp(8, c.At)
		w.close(at)
	}
}

// decodeWork is the inverse of encodeWork.
func decodeWork(r *recordpb.Work) *chat.Work {
	if r == nil {
		return nil
	}
	k := &chat.Work{Version: chat.AssistantRef(r.Version), Since: unstamp(r.Since), Steps: int(r.Steps), Tools: int(r.Tools),
		Acted: r.Acted, Repaired: r.Repaired, Spent: chat.Money(r.Spent), Reserved: chat.Money(r.Reserved), Called: unstamp(r.Called)}
	for _, c := range r.Calls {
		k.Calls = append(k.Calls, chat.PendingCall{ID: string(c.Id), Tool: string(c.Tool), State: chat.CallState(c.State), Acts: c.Acts, // #nosec G115 -- as written
			Repeatable: c.Repeatable, N: int(c.N), Epoch: chat.Epoch(c.Epoch), At: unstamp(c.At)})
	}
	return k
}
