package chat_test

import (
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// A message may wait for days: it is not sent by an id that Meta forgets meanwhile.
func TestUpload_IsRenewedBeforeItIsForgotten(t *testing.T) {
	u := chat.Upload{Remote: map[chat.ChannelID]chat.RemoteFile{"wa": {ID: "1", Until: start.Add(chat.UploadLife)}}}
	for passed, want := range map[time.Duration]string{0: "1", chat.UploadLife - chat.UploadRenew - time.Second: "1",
		chat.UploadLife - chat.UploadRenew: "", chat.UploadLife + time.Hour: ""} {
		if got := u.Usable("wa", start.Add(passed)); got != want {
			t.Errorf("after %s: %q, want %q", passed, got, want)
		}
	}
	if got := u.Usable("another", start); got != "" {
		t.Errorf("another channel uses %q", got)
	}
}
