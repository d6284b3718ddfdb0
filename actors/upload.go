package actors

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

// uploadMax bounds the uploads of one attempt: it must be over well before the
// attempt counts as lost. A file that takes longer is found uploaded by the next.
const uploadMax = 60 * time.Second

// uploadPause is when a send is tried again whose file could not be uploaded now.
const uploadPause = 30 * time.Second

// upload exchanges the engine's files in out for Meta's ids. An outcome with a result
// says that nothing may leave.
func (s *System) upload(out *chat.Outbound) (unsent chat.SendOutcome) {
	blobs := out.Content.Blobs()
	if len(blobs) == 0 {
		return unsent
	}
	if s.opt.Uploads == nil {
		return chat.SendOutcome{Result: chat.SendRefused, Reason: "files_not_supported"}
	}
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	defer s.opt.Clock.AfterFunc(uploadMax, cancel)()
	ids := make(map[string]string, len(blobs))
	for _, blob := range blobs {
		if ids[blob] != "" {
			continue
		}
		id, err := s.opt.Uploads.MediaID(ctx, out.Channel, blob)
		switch chat.KindOf(err) {
		case chat.KindInvalid, chat.KindNotFound, chat.KindCorrupt:
			return chat.SendOutcome{Result: chat.SendRefused, Reason: "file_unusable"}
		}
		if err != nil || id == "" {
			return chat.SendOutcome{Result: chat.SendThrottled, Reason: "file_not_uploaded", RetryAfter: uploadPause}
		}
		ids[blob] = id
	}
	content, err := out.Content.Uploaded(ids)
	if err != nil {
		return chat.SendOutcome{Result: chat.SendRefused, Reason: "file_unusable"}
	}
	out.Content = content
	return unsent
}
