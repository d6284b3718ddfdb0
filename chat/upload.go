package chat

import "encoding/json"

// files are the files of what the business offers, beside Media; c may be nil.
func (c *Content) files() (list []*File) {
	if c == nil || c.Offer == nil {
		return nil
	}
	if in := c.Offer.Interactive; in != nil {
		list = appendHeader(list, in.Header)
		for i := range in.Action.Cards {
			list = appendHeader(list, in.Action.Cards[i].Header)
		}
	}
	if t := c.Offer.Template; t != nil {
		list = appendParts(list, t.Components)
	}
	return list
}

func appendParts(list []*File, parts []TemplatePart) []*File {
	for i := range parts {
		for j := range parts[i].Parameters {
			if file := parts[i].Parameters[j].File(); file != nil {
				list = append(list, file)
			}
		}
		for j := range parts[i].Cards {
			list = appendParts(list, parts[i].Cards[j].Components)
		}
	}
	return list
}

func appendHeader(list []*File, h *Header) []*File {
	if h == nil || h.File() == nil {
		return list
	}
	return append(list, h.File())
}

// Blobs lists the files of the engine in c, which may be nil.
func (c *Content) Blobs() (blobs []string) {
	if c == nil {
		return nil
	}
	for i := range c.Media {
		if b := c.Media[i].Blob; b != "" {
			blobs = append(blobs, b)
		}
	}
	for _, f := range c.files() {
		if f.Blob != "" {
			blobs = append(blobs, f.Blob)
		}
	}
	return blobs
}

// Uploaded returns c with every file of the engine exchanged for the id that ids
// has for it. Without any it returns c itself, which it never changes.
func (c *Content) Uploaded(ids map[string]string) (*Content, error) {
	if len(c.Blobs()) == 0 {
		return c, nil
	}
	return c.exchanged(func(id, blob *string) { *id, *blob = ids[*blob], "" })
}

// Renamed returns c with the files of the engine that names has exchanged for others.
// Without any it returns c itself, which it never changes.
func (c *Content) Renamed(names map[string]string) (*Content, error) {
	if len(names) == 0 {
		return c, nil
	}
	return c.exchanged(func(_, blob *string) {
		if other := names[*blob]; other != "" {
			*blob = other
		}
	})
}

// exchanged is a copy in which change was called for every file of the engine.
func (c *Content) exchanged(change func(id, blob *string)) (*Content, error) {
	const op = "chat.Content"
	b, err := json.Marshal(c)
	if err != nil {
		return nil, E(op, KindCorrupt, "the content cannot be copied", err)
	}
	var copied Content
	if err := json.Unmarshal(b, &copied); err != nil {
		return nil, E(op, KindCorrupt, "the content cannot be copied", err)
	}
	for i := range copied.Media {
		if m := &copied.Media[i]; m.Blob != "" {
			change(&m.ID, &m.Blob)
		}
	}
	for _, f := range copied.files() {
		if f.Blob != "" {
			change(&f.ID, &f.Blob)
		}
	}
	return &copied, nil
}
