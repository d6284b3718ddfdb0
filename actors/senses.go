package actors

import (
	"context"
	"errors"
	"io"
	"path"
	"time"

	"github.com/chumiai/chumi/chat"
)

// What of files a model is shown.
const (
	pictureBytesMax = 4 << 20
	voiceBytesMax   = 16 << 20
	voiceWait       = 30 * time.Second
)

// hear has the voice notes that the call answers written down, and recorded: each is
// heard once, and paid when it is recorded. Without money for more, none is.
func (a *modelCall) hear() {
	sys := a.turns.sys
	if p := a.talk.Settings.Profile; p == nil || !p.Voice || sys.opt.Transcriber == nil || sys.opt.Opener == nil {
		return
	}
	heard := false
	for _, f := range a.talk.Files("audio", "voice") {
		if a.heard(f) {
			continue
		}
		if !sys.affords(a.call.tenant, 0) {
			sys.opt.Logger.Warn("a voice note is not listened to: the budget is used up", "tenant", a.call.tenant)
			break
		}
		text, used, err := a.transcribe(f)
		if err != nil {
			sys.opt.Logger.Warn("a voice note is not understood", "tenant", a.call.tenant, "error", err)
			continue
		}
		sys.insist(a.call.tenant, a.call.group, a.call.conversation,
			chat.Transcribed{Message: f.Message, Index: f.Index, Text: text, Used: used})
		heard = true
	}
	if !heard {
		return
	}
	// The prompt is made of what the journal holds, so that it can be made again: a
	// voice note that was not recorded is not known.
	events, err := a.events()
	if err != nil {
		sys.opt.Logger.Warn("a turn goes without what was heard", "tenant", a.call.tenant, "error", err)
		return
	}
	a.talk.Events = events
}

func (a *modelCall) heard(f *chat.MediaRecord) bool {
	for i := range a.talk.Events {
		e := &a.talk.Events[i]
		if e.Kind == chat.MediaTranscribed && e.Media.Message == f.Message && e.Media.Index == f.Index {
			return true
		}
	}
	return false
}

func (a *modelCall) transcribe(f *chat.MediaRecord) (text string, used chat.Spend, err error) {
	sys := a.turns.sys
	ctx, cancel := context.WithCancel(a.call.ctx)
	defer cancel()
	defer sys.opt.Clock.AfterFunc(voiceWait, cancel)()
	body, err := sys.opt.Opener.Open(ctx, a.call.tenant, chat.BlobID(f.Blob), f.Key, 0)
	if err != nil {
		return "", used, err
	}
	defer body.Close()
	name := path.Base("/" + f.Filename)
	if f.Filename == "" {
		name = "voice.ogg"
	}
	text, used, err = sys.opt.Transcriber.Transcribe(ctx, a.call.tenant, name, f.MIME, io.LimitReader(body, voiceBytesMax))
	used.Cost = sys.priceOf(&used)
	return text, used, err
}

// look brings the pictures that the call answers, latest first, as many as a model is
// shown.
func (a *modelCall) look() {
	sys := a.turns.sys
	if p := a.talk.Settings.Profile; p == nil || !p.Vision || sys.opt.Opener == nil {
		return
	}
	files := a.talk.Files("image")
	for i := len(files) - 1; i >= 0 && len(files)-i <= chat.PicturesMax; i-- {
		f := files[i]
		if f.Size > pictureBytesMax {
			continue
		}
		raw, err := a.picture(f)
		if err != nil {
			sys.opt.Logger.Warn("a picture is not shown to the model", "tenant", a.call.tenant, "error", err)
			continue
		}
		a.talk.Show(f, raw)
	}
}

// picture reads a file of at most pictureBytesMax.
func (a *modelCall) picture(f *chat.MediaRecord) ([]byte, error) {
	body, err := a.turns.sys.opt.Opener.Open(a.call.ctx, a.call.tenant, chat.BlobID(f.Blob), f.Key, 0)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(body)
	return raw, errors.Join(err, body.Close())
}
