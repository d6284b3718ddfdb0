package chat

import (
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Made names what a prompt was made of besides the events, the knowledge and the
// facts: with it a prompt can be made again after the configuration, a tool or a file
// has changed. It is recorded with the answer.
type Made struct {
	// First is the seq of the earliest event that was looked at.
	First Seq `json:"first,omitempty"`
	// Instructions are those of the configuration, when they are not
	// DefaultInstructions and no assistant of the tenant's own answered.
	Instructions string `json:"instructions,omitempty"`
	// Tools are the digests of the tools that were offered, Pictures those of the files
	// that were shown.
	Tools    []string `json:"tools,omitempty"`
	Pictures []string `json:"pictures,omitempty"`
}

// DocToolText is a ToolSpec, by its Digest: as a tool was told to models once. It is
// never changed and never deleted; the tool of its name may be.
const DocToolText DocNoun = 'q'

// Digest names a tool as models see it.
func (s *ToolSpec) Digest() string {
	return digestOf("chumi tool 1", s.Name, s.Description, string(s.Parameters))
}

// Spec is a tool as models see it.
func (t *Tool) Spec() ToolSpec {
	return ToolSpec{Name: t.Name, Description: t.Description, Parameters: t.Parameters}
}

// digestOf names a row of texts, in hex.
func digestOf(texts ...string) string {
	c := newChain()
	for _, t := range texts {
		c.text(t)
	}
	c.link()
	return hex.EncodeToString(c.last[:12])
}

// Made is what p, the prompt of the talk, was made of.
func (t *Talk) Made(p *Prompt) *Made {
	m := Made{}
	if len(t.Events) > 0 {
		m.First = t.Events[0].Seq
	}
	if t.Settings.Profile == nil && t.Settings.Instructions != DefaultInstructions {
		m.Instructions = t.Settings.Instructions
	}
	for i := range p.Tools {
		m.Tools = append(m.Tools, p.Tools[i].Digest())
	}
	for i := range p.Lines {
		for k := range p.Lines[i].Pictures {
			m.Pictures = append(m.Pictures, p.Lines[i].Pictures[k].digest())
		}
	}
	return &m
}

// toolText is the document that keeps a tool as models see it now.
func toolText(value []byte) (d Doc, ok bool) {
	var tool Tool
	if json.Unmarshal(value, &tool) != nil {
		return Doc{}, false
	}
	spec := tool.Spec()
	text, err := json.Marshal(spec)
	return Doc{Noun: DocToolText, ID: spec.Digest(), Value: text}, err == nil
}

// PicturesMax bounds the pictures of a prompt.
const PicturesMax = 4

// Files are the stored files, of some types, of the messages that the call answers.
func (t *Talk) Files(types ...string) (list []*MediaRecord) {
	wanted := map[MessageID]bool{}
	for i := range t.Events {
		e := &t.Events[i]
		switch {
		case e.Kind == MessageReceived && e.Seq >= t.From && e.Seq <= t.UpTo && !e.Message.Revoked:
			for _, k := range types {
				wanted[e.Message.ID] = wanted[e.Message.ID] || e.Message.Type == k
			}
		case e.Kind == MediaStored && wanted[e.Media.Message] && e.Media.Key != nil:
			list = append(list, e.Media)
		}
	}
	return list
}

// Show shows a picture with its message.
func (t *Talk) Show(f *MediaRecord, raw []byte) {
	_, seq, _ := f.Message.Parse()
	if t.Pictures == nil {
		t.Pictures = map[Seq][]Picture{}
	}
	t.Pictures[seq] = append(t.Pictures[seq], Picture{MIME: f.MIME, SHA256: f.SHA256, Bytes: raw})
}

// showAgain shows what m says was shown, without the bytes.
func (t *Talk) showAgain(m *Made) {
	if m == nil || len(m.Pictures) == 0 {
		return
	}
	files := t.Files("image")
	for i := len(files) - 1; i >= 0 && len(files)-i <= PicturesMax; i-- {
		if slices.Contains(m.Pictures, files[i].SHA256) {
			t.Show(files[i], nil)
		}
	}
}
