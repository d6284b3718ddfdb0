package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
)

// Bounds of a tenant's assistants.
const (
	AssistantsMax = 20
	// VersionsMax bounds the versions of one assistant. Every turn names the one it
	// used, so that none is deleted.
	VersionsMax = 10_000
	// publicationsMax bounds AssistantHead.Past.
	publicationsMax = 50
)

// DraftAssistant writes the draft of an assistant: the next version, until it is
// published. Saying what is drafted, or published, already is a duplicate.
type DraftAssistant struct {
	// Draft is the content; its Version and Created are decided here.
	Draft Assistant
	// Match is the DocTag of what the draft was made from: of the draft before it, or
	// else of the published version. Empty for whatever there is.
	Match string
}

// PublishAssistant lets a version answer, from the next turn on. A version that
// answers already is a duplicate.
type PublishAssistant struct {
	ID AssistantID
	// Version is 0 for the draft. Match is the DocTag of the version, empty for any.
	Version int
	Match   string
	By      string
	Note    string
}

// RollBackAssistant lets a version answer that did before.
type RollBackAssistant struct {
	ID AssistantID
	// Version is what shall answer, 0 for the configuration of the engine; with
	// Previous it is the one published before the one that answers.
	Version  int
	Previous bool
	// From is the version that must answer now, 0 for any.
	From int
	By   string
	Note string
}

// PlaceAssistant says on which channels an assistant answers instead of
// DefaultAssistant, and no other does. Saying it again is a duplicate.
type PlaceAssistant struct {
	ID       AssistantID
	Channels []ChannelID
	By       string
}

func (DraftAssistant) fact()    {}
func (PublishAssistant) fact()  {}
func (RollBackAssistant) fact() {}
func (PlaceAssistant) fact()    {}

// AssistantChange is what became of an assistant. The version itself is a document.
type AssistantChange struct {
	Assistant AssistantID `json:"assistant_id"`
	// Version is the one drafted, or the one that answers now: 0 for the configuration.
	Version int `json:"version"`
	// Before answered until now.
	Before int    `json:"before,omitempty"`
	By     string `json:"by,omitempty"`
	Note   string `json:"note,omitempty"`
	// Channels are where it answers, in AssistantPlaced.
	Channels []ChannelID `json:"channels,omitempty"`
}

// DocTag tells states of a document apart; empty for none.
func DocTag(value []byte) string {
	if value == nil {
		return ""
	}
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:12])
}

// HeadOf is the head of an assistant among documents; found is false when there is
// none.
func HeadOf(docs []Doc, id AssistantID) (h AssistantHead, found bool) {
	for _, d := range docs {
		if d.Noun == DocAssistant && d.ID == string(id) && d.Value != nil {
			return h, json.Unmarshal(d.Value, &h) == nil
		}
	}
	return AssistantHead{ID: id}, false
}

// On reports whether the assistant answers on a channel; the default one does where
// no other is placed.
func (h *AssistantHead) On(ch ChannelID) bool { return slices.Contains(h.Channels, ch) }

// SameContent reports whether two versions say the same, whoever wrote them when.
func (a *Assistant) SameContent(b *Assistant) bool {
	x, y := *a, *b
	for _, v := range [...]*Assistant{&x, &y} {
		v.Version, v.Created, v.Author, v.Note = 0, b.Created, "", ""
	}
	return reflect.DeepEqual(x, y)
}

// version is the known document of a version.
func (p *step) version(ref AssistantRef) (a Assistant, tag string, found bool) {
	for _, d := range p.in.Known.Docs {
		if d.Noun == DocVersion && d.ID == string(ref) && d.Value != nil {
			return a, DocTag(d.Value), json.Unmarshal(d.Value, &a) == nil
		}
	}
	return a, "", false
}

// draftAssistant is about a draft: the content that others agreed to is checked by
// who brings it; what is unbounded is refused here too.
func (p *step) draftAssistant(f DraftAssistant) {
	next := f.Draft
	if CheckAssistant(&next) != nil {
		p.refuse("assistant_invalid")
		return
	}
	head, found := HeadOf(p.in.Known.Docs, next.ID)
	base := head.Draft
	if base == 0 {
		base = head.Published
	}
	was, tag, known := p.version(RefOf(next.ID, base))
	switch {
	case f.Match != "" && f.Match != tag:
		p.refuse("version_conflict")
		return
	case known && was.SameContent(plain(&next)):
		p.duplicate()
		p.d.Verdict.Version = base
		return
	case !found && p.heads() >= AssistantsMax:
		p.refuse("too_many_assistants")
		return
	case head.Draft == 0 && head.Latest >= VersionsMax:
		p.refuse("too_many_versions")
		return
	}
	if head.Draft == 0 {
		head.Latest++
		head.Draft = head.Latest
	}
	next.Version, next.Created = head.Draft, p.now
	p.emit(Event{Kind: AssistantDrafted, Assistant: &AssistantChange{Assistant: next.ID, Version: next.Version, By: next.Author, Note: next.Note}})
	p.putDoc(Doc{Noun: DocVersion, ID: string(next.Ref())}, &next)
	p.putHead(&head)
	p.d.Verdict.Version = next.Version
}

// plain is a version as it is read back: a list without members is none.
func plain(a *Assistant) *Assistant {
	var b Assistant
	if text, err := json.Marshal(a); err != nil || json.Unmarshal(text, &b) != nil {
		return a
	}
	return &b
}

// heads counts the assistants that are known.
func (p *step) heads() (n int) {
	for _, d := range p.in.Known.Docs {
		if d.Noun == DocAssistant && d.Value != nil {
			n++
		}
	}
	return n
}

func (p *step) putHead(h *AssistantHead) { p.putDoc(Doc{Noun: DocAssistant, ID: string(h.ID)}, h) }

func (p *step) publishAssistant(f PublishAssistant) {
	head, found := HeadOf(p.in.Known.Docs, f.ID)
	version := f.Version
	if version == 0 {
		version = head.Draft
	}
	_, tag, known := p.version(RefOf(f.ID, version))
	switch {
	case !found:
		p.refuse("no_such_assistant")
	case version == 0:
		p.refuse("no_draft")
	case !known:
		p.refuse("no_such_version")
	case f.Match != "" && f.Match != tag:
		p.refuse("version_conflict")
	default:
		p.answerWith(head, version, AssistantPublished, f.By, f.Note)
	}
}

func (p *step) rollBackAssistant(f RollBackAssistant) {
	head, found := HeadOf(p.in.Known.Docs, f.ID)
	version := f.Target(&head)
	_, _, known := p.version(RefOf(f.ID, version))
	switch {
	case !found:
		p.refuse("no_such_assistant")
	case f.From != 0 && f.From != head.Published:
		p.refuse("version_conflict")
	case version == head.Draft && version != 0:
		p.refuse("never_published")
	case version != 0 && !known:
		p.refuse("no_such_version")
	default:
		p.answerWith(head, version, AssistantRolledBack, f.By, f.Note)
	}
}

// Target is the version that shall answer.
func (f *RollBackAssistant) Target(h *AssistantHead) int {
	if f.Previous {
		return h.Previous()
	}
	return f.Version
}

// Previous is the latest version published that is older than the one that answers;
// 0 for the configuration of the engine.
func (h *AssistantHead) Previous() (version int) {
	for _, past := range h.Past {
		if past.Version < h.Published {
			version = max(version, past.Version)
		}
	}
	return version
}

// answerWith makes a version of an assistant the one that answers.
func (p *step) answerWith(head AssistantHead, version int, kind EventKind, by, note string) {
	p.d.Verdict.Version = version
	if head.Published == version {
		p.duplicate()
		return
	}
	p.emit(Event{Kind: kind, Assistant: &AssistantChange{Assistant: head.ID, Version: version, Before: head.Published, By: by, Note: note}})
	head.Published = version
	if head.Draft == version {
		head.Draft = 0
	}
	head.Past = append(slices.Clone(head.Past), Publication{Version: version, At: p.now, By: by})
	head.Past = head.Past[max(len(head.Past)-publicationsMax, 0):]
	p.putHead(&head)
}

func (p *step) placeAssistant(f PlaceAssistant) {
	head, found := HeadOf(p.in.Known.Docs, f.ID)
	channels := slices.Compact(slices.Sorted(slices.Values(f.Channels)))
	switch {
	case !found:
		p.refuse("no_such_assistant")
		return
	case f.ID == DefaultAssistant:
		p.refuse("default_assistant")
		return
	case slices.Equal(channels, head.Channels):
		p.duplicate()
		return
	}
	p.emit(Event{Kind: AssistantPlaced, Assistant: &AssistantChange{Assistant: f.ID, Version: head.Published, By: f.By, Channels: channels}})
	for _, d := range p.in.Known.Docs {
		other, ok := HeadOf([]Doc{d}, AssistantID(d.ID))
		if d.Noun != DocAssistant || !ok || other.ID == f.ID {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(other.Channels), func(ch ChannelID) bool { return slices.Contains(channels, ch) })
		if len(left) != len(other.Channels) {
			other.Channels = left
			p.putHead(&other)
		}
	}
	head.Channels = channels
	p.putHead(&head)
}
