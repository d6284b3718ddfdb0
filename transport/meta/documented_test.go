package meta

import (
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// documented are the codes Meta documents for sends, product by product, with the
// first and last of a family. Each has a row in errorTable, which says what it
// means: a code that is added here without one fails.
const documented = `
whatsapp  0 1 2 3 4 10 33 100 190 190/463 190/460 190/458 190/467 200 299 368 613 80007
whatsapp  130429 130472 130497 131000 131005 131008 131009 131016 131020 131021 131026 131030 131031 131037
whatsapp  131041 131042 131044 131045 131047 131048 131049 131050 131051 131052 131053 131055 131056 131057
whatsapp  131062 131063 131064 131200 132000 132001 132005 132007 132008 132012 132015 132016 132068 132069
whatsapp  133000 133004 133005 133006 133008 133009 133010 133015 133016 134100 134101 134102 135000 137000
whatsapp  138000 139100 139103 147001 147005 2388001 2494100 2593107 2593108 2593109
instagram 1/1357046 2 4/1349210 4/1349211 4/1349212 10/1893063 10/2534022 17 100 100/2534014 100/2534029
instagram 190 190/460 190/463 190/467 200/2534041 230 551 613 613/2534040 2534068 36000
`

func TestClassify_EveryDocumentedCodeHasARow(t *testing.T) {
	rows := map[string]bool{}
	for line := range strings.Lines(errorTable) {
		if f := strings.Fields(line); len(f) > 3 && f[2] != "unknown_error" {
			for _, pair := range f[3:] {
				rows[f[0]+" "+pair] = true
			}
		}
	}
	for line := range strings.Lines(documented) {
		f := strings.Fields(line)
		for _, pair := range f[min(1, len(f)):] {
			if !rows[f[0]+" "+pair] {
				t.Errorf("%s %s is documented and has no row in errorTable", f[0], pair)
			}
			kind, _ := chat.ParseChannelKind(f[0])
			code, subcode := parsePair(t, pair)
			if _, known := Classify(kind, code, subcode); !known {
				t.Errorf("%s %s is documented and not known", f[0], pair)
			}
		}
	}
}

// Who waits beside a send that was refused for now.
func TestClassify_HoldsWhatTheLimitIsOf(t *testing.T) {
	for _, tc := range []struct {
		kind          chat.ChannelKind
		code, subcode int
		want          chat.Hold
	}{
		{chat.WhatsApp, 131056, 0, chat.HoldPair},
		{chat.WhatsApp, 130429, 0, chat.HoldChannel},
		{chat.WhatsApp, 131057, 0, chat.HoldChannel},
		{chat.WhatsApp, 80007, 0, chat.HoldAccount},
		{chat.WhatsApp, 131064, 0, chat.HoldPortfolio},
		{chat.WhatsApp, 4, 0, chat.HoldApp},
		{chat.WhatsApp, 613, 0, chat.HoldChannel},
		{chat.WhatsApp, 131016, 0, chat.HoldSend},
		{chat.WhatsApp, 131053, 0, chat.HoldSend},
		{chat.Instagram, 613, 0, chat.HoldChannel},
		{chat.Instagram, 613, 2534040, chat.HoldPair},
		{chat.Instagram, 4, 1349210, chat.HoldApp},
		{chat.Instagram, 17, 0, chat.HoldChannel},
	} {
		if p, _ := Classify(tc.kind, tc.code, tc.subcode); p.Hold != tc.want || p.Result != chat.SendThrottled {
			t.Errorf("%v %d/%d holds %d with result %s, want %d", tc.kind, tc.code, tc.subcode, p.Hold, p.Result.String(), tc.want)
		}
	}
}

// The same codes come after a 200, in a status that says failed.
func TestDecode_CodesOfFailedStatuses(t *testing.T) {
	a := metasim.Account{Kind: metasim.WhatsApp, ID: "106000000000001", WABA: "102000000000001", App: "main"}
	for _, code := range []int{131053, 131047, 131026, 131050, 131049, 130472} {
		body, err := metasim.Body(metasim.Update{Kind: metasim.UpdateStatus, Account: a, Customer: metasim.Customer{ID: "15550100001"},
			RemoteID: "wamid.A", Status: "failed", Code: code, Callback: "msg_x_5", At: time.Unix(1_795_000_000, 0)})
		if err != nil {
			t.Fatal(err)
		}
		list, err := Decode("main", body)
		if err != nil || len(list) != 1 {
			t.Fatalf("%d: %d updates, %v", code, len(list), err)
		}
		if in := list[0]; in.Kind != chat.InboundStatus || in.Type != "failed" || in.Code != code || in.Callback != "msg_x_5" {
			t.Errorf("%d: %+v", code, in)
		}
		if p, known := Classify(chat.WhatsApp, code, 0); !known || p.Result == chat.SendAccepted {
			t.Errorf("%d has no policy", code)
		}
	}
}
