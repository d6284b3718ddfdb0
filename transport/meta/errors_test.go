package meta

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

// errorTable is what the platform reference says about each code, written down
// a second time: a changed row must be changed in both places.
const errorTable = `
whatsapp blocked   token_invalid        0 190 190/463 190/460 190/458 190/467 104
whatsapp blocked   permission_missing   3 10 200 250 299 131005
whatsapp throttled meta_unavailable     1 2 131000 131016 133004
whatsapp throttled call_limit           4 4/2446079 17 613
whatsapp throttled account_limit        80007 80007/2446079
whatsapp throttled number_limit         130429 130429/2494055
whatsapp throttled pair_limit           131056
whatsapp blocked   spam_limit           131048
whatsapp throttled messaging_limit      131064
whatsapp refused   window_closed        131047
whatsapp refused   undeliverable        131026
whatsapp refused   marketing_limit      131049
whatsapp refused   opted_out            131050
whatsapp refused   experiment           130472
whatsapp refused   unsupported_type     131051
whatsapp refused   media_unreadable     131052
whatsapp throttled media_failed         131053
whatsapp refused   recipient_is_sender  131021
whatsapp refused   recipient_not_allowed 131030
whatsapp refused   bad_request          131008 131009 100 33 135000 100/2207051
whatsapp blocked   number_not_ready     131037 131045 133010 133006 133000
whatsapp blocked   payment              131042 131044
whatsapp blocked   account_locked       131031 368
whatsapp refused   country_restricted   130497
whatsapp refused   wrong_endpoint       131055
whatsapp refused   user_id_not_allowed  131062
whatsapp refused   marketing_disabled   131063
whatsapp throttled maintenance          131057 2494100
whatsapp refused   template_invalid     132000 132001 132005 132007 132008 132012 2388001 2388999
whatsapp refused   template_paused      132015
whatsapp refused   template_disabled    132016
whatsapp refused   flow_blocked         132068
whatsapp throttled flow_limit           132069
whatsapp blocked   number_registration  133005 133008 133009 133016
whatsapp throttled number_being_deleted 133015
whatsapp refused   marketing_only       134100
whatsapp throttled marketing_syncing    134101
whatsapp refused   marketing_not_available 134102
whatsapp refused   feature_not_available 138000 138006 138999 131200 131215 131020 131041
whatsapp refused   identity_changed     137000
whatsapp refused   block_list           139100 139101 139103
whatsapp refused   username             147001 147005
whatsapp refused   sync_limit           2593107
whatsapp refused   sync_window_closed   2593108
whatsapp refused   sync_declined        2593109
whatsapp refused   unknown_error        5 -1 130000 137001 139104 147006 999999

instagram refused   window_closed       10/2534022
instagram blocked   account_restricted  10/1893063 100/2534029
instagram blocked   permission_missing  10 3 200 299
instagram refused   no_such_user        100/2534014
instagram refused   bad_request         100 100/1 33
instagram blocked   token_invalid       190 190/463 190/460 190/467 0
instagram blocked   access_switched_off 200/2534041
instagram refused   consent_missing     230
instagram refused   recipient_unavailable 551
instagram throttled pair_limit       613/2534040
instagram throttled call_limit          613 4 4/1349210 4/1349211 4/1349212 17 80002 80006
instagram ambiguous meta_unsure         1 1/1357046 2
instagram refused   multiple_images_not_enabled 2534068 100/2534068
instagram refused   media_rejected      36000 36999
instagram blocked   account_locked      368
instagram refused   unknown_error       131047 130429 37000 -1
`

func TestClassify_EveryCode(t *testing.T) {
	seen := map[string]map[int]bool{"whatsapp": {}, "instagram": {}}
	for line := range strings.Lines(errorTable) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		kind, _ := chat.ParseChannelKind(f[0])
		for _, pair := range f[3:] {
			code, subcode := parsePair(t, pair)
			seen[f[0]][code] = true
			p, known := Classify(kind, code, subcode)
			if p.Result.String() != f[1] || p.Reason != f[2] {
				t.Errorf("%s %s: got %s %s, want %s %s", f[0], pair, p.Result.String(), p.Reason, f[1], f[2])
			}
			if known != (f[2] != "unknown_error") {
				t.Errorf("%s %s: known is %v", f[0], pair, known)
			}
			if (p.Result == chat.SendThrottled) && p.RetryAfter <= 0 {
				t.Errorf("%s %s: throttled without a wait", f[0], pair)
			}
		}
	}
	for code := range whatsappErrors {
		if !seen["whatsapp"][code] {
			t.Errorf("whatsapp %d is not in the table of this test", code)
		}
	}
	for code := range instagramErrors {
		if !seen["instagram"][code] {
			t.Errorf("instagram %d is not in the table of this test", code)
		}
	}
	for code := range graphErrors {
		if !seen["whatsapp"][code] {
			t.Errorf("%d is not in the table of this test", code)
		}
	}
	for p := range instagramSubcodes {
		if !seen["instagram"][p.code] {
			t.Errorf("instagram %v is not in the table of this test", p)
		}
	}
}

func parsePair(t *testing.T, s string) (code, subcode int) {
	t.Helper()
	c, sub, _ := strings.Cut(s, "/")
	for _, x := range []struct {
		text string
		n    *int
	}{{c, &code}, {sub, &subcode}} {
		negative := strings.HasPrefix(x.text, "-")
		for _, d := range strings.TrimPrefix(x.text, "-") {
			*x.n = *x.n*10 + int(d-'0')
		}
		if negative {
			*x.n = -*x.n
		}
	}
	return code, subcode
}

// TestReadOutcome_SharedFixtures: of all Graph answers we know of, exactly the
// send successes are accepted and exactly the named errors are not ambiguous.
func TestReadOutcome_SharedFixtures(t *testing.T) {
	dir := filepath.Join(sharedFixtures(t), "graph-responses")
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range []chat.ChannelKind{chat.WhatsApp, chat.Instagram} {
				out := readOutcome(&chat.Outbound{Channel: chat.Channel{Kind: kind}}, nil, body)
				text := string(body)
				isError := strings.Contains(text, `"error"`)
				isSend := kind == chat.WhatsApp && strings.Contains(text, `"wamid.`) || kind == chat.Instagram && strings.Contains(text, `"message_id"`)
				switch {
				case isError && (out.Reason == "unrecognised_response" || out.Result == chat.SendAccepted):
					t.Errorf("%v: an error is taken for %+v", kind, out)
				case isError && out.Reason == "unknown_error" && kind == chat.WhatsApp:
					t.Errorf("%v: code %d/%d has no row", kind, out.Code, out.Subcode)
				case !isError && isSend && (out.Result != chat.SendAccepted || out.Remote == ""):
					t.Errorf("%v: a success is taken for %+v", kind, out)
				case !isError && !isSend && out.Result != chat.SendAmbiguous:
					t.Errorf("%v: %+v", kind, out)
				}
			}
		})
	}
}

func TestErrorCodesOfLabel_AreFew(t *testing.T) {
	labels := map[string]bool{}
	for code := -10; code < 3_000_000; code++ {
		for _, kind := range []chat.ChannelKind{chat.WhatsApp, chat.Instagram} {
			labels[metricCode(kind, chat.SendOutcome{Code: code})] = true
		}
	}
	if len(labels) > 120 {
		t.Errorf("%d labels", len(labels))
	}
}
