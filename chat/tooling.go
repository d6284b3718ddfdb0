package chat

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// The nouns of documents that tools, products and orders are kept as.
const (
	DocToolServer  DocNoun = 'm' // ToolServer, by name
	DocToolSecret  DocNoun = 'x' // a secret as a JSON string, by name: no API returns it
	DocToolHosts   DocNoun = 'h' // ToolHosts, by "hosts"
	DocCatalogHead DocNoun = 'j' // CatalogHead, by "head"
	DocOrder       DocNoun = 'r' // OrderRecord, by id
	DocOrders      DocNoun = 'e' // OrderBook, by OrderOwner
)

// HeadID and HostsID name the only document of their noun.
const (
	CatalogHeadID = "head"
	ToolHostsID   = "hosts"
)

// ToolServer is a server of the Model Context Protocol that a business uses, with
// the tools it had when a person last looked at them.
type ToolServer struct {
	Name string `json:"name"`
	// URL is https and streamable HTTP.
	URL string `json:"url"`
	// Headers may hold {{secret:NAME}}.
	Headers map[string]string `json:"headers,omitempty"`
	// Tools are those a person approved, by name. A tool whose schema or description
	// is another now is not called until it is approved again: what a model is told
	// about a tool is the server's word, and may have changed its mind.
	Tools []PinnedTool `json:"tools,omitempty"`
}

// PinnedTool is a tool of a server as it was approved.
type PinnedTool struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Schema is the JSON schema of its arguments, Digest a hash of all three.
	Schema json.RawMessage `json:"schema"`
	Digest string          `json:"digest"`
}

// Pinned is the tool of a name; nil for one that nobody approved.
func (s *ToolServer) Pinned(name string) *PinnedTool {
	for i := range s.Tools {
		if s.Tools[i].Name == name {
			return &s.Tools[i]
		}
	}
	return nil
}

// ToolHosts are the hosts that a tenant's tools may talk to; none until somebody
// names one.
type ToolHosts struct {
	Hosts []string `json:"hosts"`
}

// Allows reports whether tools may talk to a host: one that is named, or that is
// below one named as *.example.com.
func (h *ToolHosts) Allows(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(h.Hosts, func(named string) bool {
		if below, ok := strings.CutPrefix(named, "*"); ok {
			return strings.HasPrefix(below, ".") && strings.HasSuffix(host, below) && len(host) > len(below)
		}
		return host == named
	})
}

// DocChange says what somebody changed of a tenant's documents.
type DocChange struct {
	// What is tool, tool_server, tool_secret, tool_hosts, product, order or budget.
	What string `json:"what"`
	// Put and Deleted count; IDs names them, at most DocIDsMax. Orders are not named.
	Put     int      `json:"put,omitempty"`
	Deleted int      `json:"deleted,omitempty"`
	IDs     []string `json:"ids,omitempty"`
	// By is the public id of the key, or the member.
	By string `json:"by,omitempty"`
}

// DocIDsMax bounds the ids that a DocChange names.
const DocIDsMax = 20

// ToolsPut is documents of one of the nouns of tools that somebody wrote, or
// deleted. It belongs to no conversation.
type ToolsPut struct {
	Docs []Doc
	By   string
}

func (ToolsPut) fact() {}

// toolWords are the nouns that ToolsPut may write.
var toolWords = map[DocNoun]string{DocTool: "tool", DocToolServer: "tool_server", DocToolSecret: "tool_secret", DocToolHosts: "tool_hosts"}

func (p *step) toolsPut(f ToolsPut) {
	change := DocChange{By: f.By}
	for _, doc := range f.Docs {
		word, ok := toolWords[doc.Noun]
		if !ok || change.What != "" && change.What != word {
			p.refuse("not_a_tool")
			return
		}
		change.What = word
		before := p.knownDoc(doc.Noun, doc.ID).Value
		switch {
		case doc.Value == nil && before == nil, bytes.Equal(before, doc.Value):
			continue
		case doc.Value == nil:
			change.Deleted++
		default:
			change.Put++
			if text, ok := toolText(doc.Value); ok && doc.Noun == DocTool {
				p.setDoc(text)
			}
		}
		change.name(doc.ID)
		p.d.Docs = append(p.d.Docs, doc)
	}
	p.changed(ToolsChanged, change)
}

// name adds an id while there is room.
func (c *DocChange) name(id string) {
	if len(c.IDs) < DocIDsMax {
		c.IDs = append(c.IDs, id)
	}
}

// changed records a change of documents; without one the fact was known already.
func (p *step) changed(kind EventKind, c DocChange) {
	if c.Put+c.Deleted == 0 {
		p.duplicate()
		return
	}
	p.emit(Event{Kind: kind, Change: &c})
}

// knownDoc is a document as this decision leaves it so far.
func (p *step) knownDoc(noun DocNoun, id string) Doc {
	for i := len(p.d.Docs) - 1; i >= 0; i-- {
		if d := p.d.Docs[i]; d.Noun == noun && d.ID == id {
			return d
		}
	}
	for _, d := range p.in.Known.Docs {
		if d.Noun == noun && d.ID == id {
			return d
		}
	}
	return Doc{Noun: noun, ID: id}
}

// setDoc makes a document part of the decision, in place of an earlier one.
func (p *step) setDoc(doc Doc) {
	for i := range p.d.Docs {
		if p.d.Docs[i].Noun == doc.Noun && p.d.Docs[i].ID == doc.ID {
			p.d.Docs[i] = doc
			return
		}
	}
	p.d.Docs = append(p.d.Docs, doc)
}
