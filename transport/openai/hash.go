package openai

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/chumiai/chumi/chat"
)

// Hash names what a model saw: SHA-256, in hex, over each line's role, length
// and text. It depends on the lines alone, and no two lists of lines share the
// bytes it is taken over.
func Hash(p chat.Prompt) string {
	h := sha256.New()
	var head [9]byte
	for _, l := range p.Lines {
		head[0] = byte(l.Role)
		binary.BigEndian.PutUint64(head[1:], uint64(len(l.Text)))
		_, _ = h.Write(head[:])
		_, _ = h.Write([]byte(l.Text))
	}
	return hex.EncodeToString(h.Sum(nil))
}
