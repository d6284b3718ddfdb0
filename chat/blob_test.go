package chat_test

import (
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func TestBlobID_SaysWhatItIsFor(t *testing.T) {
	body, random := strings.Repeat("a2", 13), strings.Repeat("z", chat.BlobRandomLen)
	c := chat.ConversationIDFrom(body)
	stem, ok := chat.MediaStem(chat.MessageIDAt(c, 12), 3)
	if !ok {
		t.Fatal("a message has no stem")
	}
	b := stem.Named(random)
	if want := chat.BlobID("blob_" + body + "_12_3_" + random); b != want {
		t.Errorf("%s, want %s", b, want)
	}
	if m, index, ok := b.Message(); !ok || m != chat.MessageIDAt(c, 12) || index != 3 {
		t.Errorf("message %s, %d, %v", m, index, ok)
	}
	if _, ok := b.Owner(); ok {
		t.Error("a file of a message has an owner of its own")
	}
	prefix, _ := chat.MessagePrefix(chat.MessageIDAt(c, 1))
	if strings.HasPrefix(string(b), prefix) {
		t.Error("the files of message 12 are taken for those of message 1")
	}
	if !strings.HasPrefix(string(b), chat.OwnerPrefix(c)) {
		t.Error("a file of a message is not one of its conversation")
	}
	for want, stem := range map[string]chat.BlobStem{"picture": chat.PictureStem(chat.ContactIDFrom(body)), "upload": chat.UploadStem(chat.UploadIDFrom(body))} {
		b := stem.Named(random)
		if owner, ok := b.Owner(); !ok || owner != body {
			t.Errorf("%s: owner %q, %v", want, owner, ok)
		}
		if _, _, ok := b.Message(); ok {
			t.Errorf("%s: taken for a file of a message", want)
		}
	}
	for _, bad := range []string{"", "blob_", "blob_" + body, "blob_" + body + "_" + random[1:], "msg_" + body + "_" + random,
		"blob_" + body + "_../../" + random, "blob_" + body + "_0_0_" + random, "blob_" + body + "_1_-1_" + random,
		"blob_" + body + "_01_0_" + random} {
		_, _, message := chat.BlobID(bad).Message()
		if _, owner := chat.BlobID(bad).Owner(); message || owner {
			t.Errorf("%q is taken for a file", bad)
		}
	}
}
