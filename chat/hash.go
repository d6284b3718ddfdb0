package chat

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// Hash names what a model sees of p, in hex. It covers the tools, the form that is
// asked for, the models and the bound of the answer, and then each line with its role,
// text, calls, result and pictures; a picture counts by its digest. Who it is for and
// which call it is are left out.
//
// It is the end of a chain: each line is hashed together with the hash before it, so
// that prompts that begin alike share the hashes up to where they part. Every part is
// preceded by its length, and every list by its own: no two prompts share the bytes
// that are hashed.
func (p *Prompt) Hash() string {
	c := newChain()
	c.text("chumi prompt 1")
	c.number(uint64(len(p.Tools)))
	for i := range p.Tools {
		t := &p.Tools[i]
		c.text(t.Name)
		c.text(t.Description)
		c.text(string(t.Parameters))
	}
	c.truth(p.Structured)
	c.number(uint64(len(p.Models)))
	for _, m := range p.Models {
		c.text(m.Provider)
		c.text(m.Model)
	}
	c.number(uint64(p.OutTokens)) // #nosec G115 -- one to one, which is all that counts
	c.link()
	for i := range p.Lines {
		c.line(&p.Lines[i])
		c.link()
	}
	return hex.EncodeToString(c.last[:])
}

// chain hashes parts up to a link, and goes on from there.
type chain struct {
	hash hash.Hash
	last [sha256.Size]byte
}

func newChain() *chain { return &chain{hash: sha256.New()} }

// link ends what was hashed since the link before.
func (c *chain) link() {
	c.hash.Sum(c.last[:0])
	c.hash.Reset()
	_, _ = c.hash.Write(c.last[:])
}

func (c *chain) number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, _ = c.hash.Write(b[:])
}

func (c *chain) text(s string) {
	c.number(uint64(len(s)))
	_, _ = c.hash.Write([]byte(s))
}

func (c *chain) truth(yes bool) {
	if yes {
		c.number(1)
		return
	}
	c.number(0)
}

func (c *chain) line(l *PromptLine) {
	c.number(uint64(l.Role))
	c.text(l.Text)
	c.number(uint64(len(l.Calls)))
	for i := range l.Calls {
		call := &l.Calls[i]
		c.text(call.ID)
		c.text(call.Name)
		c.text(string(call.Args))
		c.text(call.Invalid)
	}
	c.text(l.Result)
	c.number(uint64(len(l.Pictures)))
	for i := range l.Pictures {
		c.text(l.Pictures[i].MIME)
		c.text(l.Pictures[i].digest())
	}
}

// digest is the picture's SHA256, worked out where nobody did.
func (p *Picture) digest() string {
	if p.SHA256 != "" {
		return p.SHA256
	}
	sum := sha256.Sum256(p.Bytes)
	return hex.EncodeToString(sum[:])
}
