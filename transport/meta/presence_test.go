package meta

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

func TestShow_AsMetaDocumentsIt(t *testing.T) {
	wa, ig := whatsappOut(), instagramOut()
	for _, c := range []struct {
		name string
		sign chat.Sign
		want []string
	}{
		{"read", chat.Sign{Channel: wa.Channel, To: wa.To, Message: "wamid.1"},
			[]string{`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.1"}`}},
		{"read and typing", chat.Sign{Channel: wa.Channel, To: wa.To, Message: "wamid.1", Typing: true},
			[]string{`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.1","typing_indicator":{"type":"text"}}`}},
		{"seen", chat.Sign{Channel: ig.Channel, To: ig.To, Message: "m_1"},
			[]string{`{"recipient":{"id":"3001"},"sender_action":"mark_seen"}`}},
		{"seen and typing", chat.Sign{Channel: ig.Channel, To: ig.To, Message: "m_1", Typing: true},
			[]string{`{"recipient":{"id":"3001"},"sender_action":"mark_seen"}`, `{"recipient":{"id":"3001"},"sender_action":"typing_on"}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sim := metasim.New(metasim.Options{Seed: 1})
			defer func() { _ = sim.Close() }()
			var bodies, paths []string
			client := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				bodies, paths = append(bodies, string(b)), append(paths, r.URL.Path)
				r.Body = io.NopCloser(strings.NewReader(string(b)))
				r.URL.Path = strings.TrimPrefix(r.URL.Path, "/ig")
				sim.ServeHTTP(w, r)
			}))
			if err := client.Show(t.Context(), c.sign); err != nil {
				t.Error(err)
			}
			if !slices.Equal(bodies, c.want) {
				t.Errorf("got  %q\nwant %q", bodies, c.want)
			}
			if len(sim.Sends()) != 0 {
				t.Errorf("a sign is no send: %+v", sim.Sends())
			}
			for _, p := range paths {
				if !strings.HasSuffix(p, "/"+c.sign.Channel.Account+"/messages") {
					t.Errorf("went to %s", p)
				}
			}
		})
	}
}

func TestShow_TellsWhatWentWrongWithoutTheRequest(t *testing.T) {
	sign := chat.Sign{Channel: whatsappOut().Channel, To: whatsappOut().To, Message: "wamid.1"}
	for name, h := range map[string]http.HandlerFunc{
		"refused": answer(`{"error":{"code":131009,"message":"secret words"}}`),
		"no JSON": answer(`<html>`),
	} {
		err := newClient(t, serve(t, h)).Show(t.Context(), sign)
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), testToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone := newClient(t, "http://127.0.0.1:1")
	if err := gone.Show(t.Context(), sign); chat.KindOf(err) != chat.KindUnavailable || strings.Contains(err.Error(), "appsecret") {
		t.Errorf("unreachable: %v", err)
	}
	if err := gone.Show(t.Context(), chat.Sign{Channel: instagramOut().Channel, Message: "m_1"}); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("nobody: %v", err)
	}
}
