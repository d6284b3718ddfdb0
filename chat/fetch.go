package chat

import (
	"encoding/json"
	"slices"
	"time"
)

// Limits of fetching files.
const (
	// FetchMax bounds the files a conversation waits for at once; of messages
	// beyond it the files are told as failed.
	FetchMax = 128
	// FetchWhatsApp is how long Meta keeps the file behind an id of a webhook,
	// less what a last attempt may take.
	FetchWhatsApp = 7*24*time.Hour - 10*time.Minute
	// FetchInstagram is how long a link of Instagram is tried. Meta does not say
	// how long it lives; nothing renews it.
	FetchInstagram = 48 * time.Hour
	// fetchLookMax is the longest a conversation waits before it looks again at a
	// file that is not there yet.
	fetchLookMax = time.Hour
)

// Fetch is a file of a message that is still to be had from Meta. Its attempts
// are not events: asking twice does no harm, and whoever asks keeps count.
type Fetch struct {
	// Seq is of the event with the message, Index the file among its media.
	Seq   Seq
	Index int
	// At is when it was wanted first, Deadline when Meta no longer has it.
	At, Deadline time.Time
}

// Fetching is what a conversation waits for, in the order it was wanted.
type Fetching struct{ Files []Fetch }

// Fetches are the files that are still to be had. Not to be changed.
func (c *Conversation) Fetches() []Fetch {
	if c.Fetching == nil {
		return nil
	}
	return c.Fetching.Files
}

// setFetches replaces them.
func (c *Conversation) setFetches(files []Fetch) {
	if c.Fetching = nil; len(files) > 0 {
		c.Fetching = &Fetching{files}
	}
}

// look is when a file that is not there at now is looked at again. The pauses
// grow with its age, so that they need no counter: a lost request costs half a
// minute at first and an hour at most.
func (f *Fetch) look(now time.Time) time.Time {
	if f.At.After(now) {
		return f.At
	}
	return earlier(now.Add(min(max(RewakeAfter, now.Sub(f.At)/2), fetchLookMax)), f.Deadline)
}

// Fetchable reports whether the engine keeps a copy of the file: what the person
// on the other side sent, not what they pointed at.
func (m *Media) Fetchable() bool {
	switch m.Kind {
	case "image", "video", "audio", "voice", "document", "file", "sticker":
		return m.ID != "" || m.URL != ""
	}
	return false
}

// fetchDeadline is when a file of a message that came at the given time is gone.
func fetchDeadline(m *Media, at time.Time) time.Time {
	if m.ID != "" {
		return at.Add(FetchWhatsApp)
	}
	return at.Add(FetchInstagram)
}

// applyFiles makes the files of a message wanted.
func (c *Conversation) applyFiles(e Event) {
	if e.Message.Content == nil {
		return
	}
	files := slices.Clone(c.Fetches())
	for i := range e.Message.Content.Media {
		if m := &e.Message.Content.Media[i]; m.Fetchable() && len(files) < FetchMax {
			files = append(files, Fetch{Seq: e.Seq, Index: i, At: e.Time, Deadline: fetchDeadline(m, e.Time)})
		}
	}
	c.setFetches(files)
}

// dropFetches forgets files that are wanted no more.
func (c *Conversation) dropFetches(drop func(Fetch) bool) {
	c.setFetches(slices.DeleteFunc(slices.Clone(c.Fetches()), drop))
}

func (c *Conversation) applyMedia(e Event) {
	if e.Media == nil || c.Fetching == nil {
		return
	}
	_, seq, _ := e.Media.Message.Parse()
	c.dropFetches(func(f Fetch) bool { return f.Seq == seq && f.Index == e.Media.Index })
}

// dropFilesOf forgets the files of a message that was taken back.
func (c *Conversation) dropFilesOf(e Event) {
	if e.Message == nil || c.Fetching == nil {
		return
	}
	_, seq, _ := e.Message.ID.Parse()
	c.dropFetches(func(f Fetch) bool { return f.Seq == seq })
}

// files follows what an event that was just applied says about files.
func (p *step) files(e *Event) {
	switch e.Kind {
	case MessageReceived, MessageEchoed, MessageImported:
		wanted := 0
		for _, f := range p.c.Fetches() {
			if f.Seq == e.Seq {
				p.effect(StartFetch{Seq: f.Seq, Index: f.Index, Late: e.Kind == MessageImported})
				wanted++
			}
		}
		for i := range e.Message.Content.Media {
			if m := &e.Message.Content.Media[i]; m.Fetchable() {
				if wanted--; wanted < 0 {
					p.emit(Event{Kind: MediaFailed, Media: &MediaRecord{Message: e.Message.ID, Index: i, Reason: "too_many"}})
				}
			}
		}
	case MessageRevoked:
		// Without its document a file that the effect does not reach is nobody's.
		p.d.Docs = append(p.d.Docs, Doc{Noun: DocFiles, ID: string(e.Message.ID)})
	}
}

// tickFetches asks again for what is not there, and gives up what cannot come.
func (p *step) tickFetches() {
	for _, f := range p.c.Fetches() {
		if f.Deadline.After(p.now) {
			p.effect(StartFetch{Seq: f.Seq, Index: f.Index})
			continue
		}
		p.emit(Event{Kind: MediaFailed, Media: &MediaRecord{Message: MessageIDAt(p.c.ID, f.Seq), Index: f.Index, Reason: "expired"}})
	}
}

// fetchFinished records what became of a file, once. A file that came twice, or
// for a message that was taken back meanwhile, is dropped.
func (p *step) fetchFinished(f FetchFinished) {
	if !slices.ContainsFunc(p.c.Fetches(), func(w Fetch) bool { return w.Seq == f.Seq && w.Index == f.Index }) {
		if f.Kept.Blob != "" {
			p.effect(DropFiles{Prefix: string(f.Kept.Blob)})
		}
		p.duplicate()
		return
	}
	m := MediaRecord{Message: MessageIDAt(p.c.ID, f.Seq), Index: f.Index, Reason: f.Reason}
	if f.Reason != "" {
		p.emit(Event{Kind: MediaFailed, Media: &m})
		return
	}
	m.Blob, m.Key, m.Size, m.SHA256 = string(f.Kept.Blob), f.Kept.Key, f.Kept.Size, f.Kept.SHA256
	m.MIME, m.Filename = f.MIME, f.Filename
	var files MessageFiles
	for _, d := range p.in.Known.Docs {
		if d.Value != nil {
			_ = json.Unmarshal(d.Value, &files) // what this engine wrote
		}
	}
	files.Files = append(files.Files, FileAt{Index: f.Index, Seq: p.next(), Blob: f.Kept.Blob})
	value, _ := json.Marshal(files) // made of texts and numbers: it can
	p.d.Docs = append(p.d.Docs, Doc{Noun: DocFiles, ID: string(m.Message), Value: value})
	p.emit(Event{Kind: MediaStored, Media: &m})
}

// MessageFiles is the document of a message whose files were stored: where their
// media_stored events are. A file that no document names is nobody's.
type MessageFiles struct {
	Files []FileAt `json:"files"`
}

// FileAt is one file of a message: its media_stored event is at Seq.
type FileAt struct {
	Index int    `json:"index"`
	Seq   Seq    `json:"seq"`
	Blob  BlobID `json:"blob"`
}

// MediaError is a file that was not fetched or not uploaded.
type MediaError struct {
	// Reason is a word without personal data: "too_large", "hash_mismatch", ...
	Reason string
	// Permanent is true when asking again cannot help; Stubborn when it rarely does.
	Permanent, Stubborn bool
	// RetryAfter is the other side's wish; zero means none.
	RetryAfter time.Duration
}

// Error names the reason.
func (e *MediaError) Error() string { return "media: " + e.Reason }
