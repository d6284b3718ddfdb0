package meta_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

const fileToken = chat.Secret("token-of-the-number")

var (
	fileNumber  = chat.Channel{ID: "wa", Kind: chat.WhatsApp, App: "app", Account: "500100", Token: fileToken}
	fileAccount = chat.Channel{ID: "ig", Kind: chat.Instagram, App: "app", Account: "17840001", Token: fileToken}
)

// fileWorld is a simulator with a number and an account, and a client of it.
func fileWorld(t *testing.T, plan metasim.Plan, now func() time.Time) (*metasim.Server, *meta.Client) {
	t.Helper()
	s := metasim.New(metasim.Options{Plan: plan, Now: now, Accounts: []metasim.Account{
		{Kind: metasim.WhatsApp, ID: fileNumber.Account, App: "app", AppSecret: "s", AccessToken: fileToken.Reveal()},
		{Kind: metasim.Instagram, ID: fileAccount.Account, App: "app", AppSecret: "s", AccessToken: fileToken.Reveal()}}})
	addr, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c, err := meta.NewClient(meta.Options{GraphURL: "http://" + addr, InstagramURL: "http://" + addr, MediaMax: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return s, c
}

// sent makes a customer send a file, and decodes what the webhook says of it.
func sent(t *testing.T, s *metasim.Server, ch chat.Channel, kind metasim.UpdateKind) (chat.Media, string) {
	t.Helper()
	a, _ := s.Account(ch.Account)
	u, err := s.Does(kind, a, metasim.Customer{ID: "4915550100042", Name: "Ida"}, "", "")
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.NewDelivery(u)
	if err != nil {
		t.Fatal(err)
	}
	updates, err := meta.Decode("app", d.Body)
	if err != nil || len(updates) != 1 || updates[0].Content == nil || len(updates[0].Content.Media) != 1 {
		t.Fatalf("%v: %+v", err, updates)
	}
	return updates[0].Content.Media[0], u.RemoteID
}

func fetched(c *meta.Client, ch chat.Channel, m chat.Media) ([]byte, string, error) {
	body, mimeType, err := c.OpenMedia(context.Background(), ch, m)
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(body)
	return b, mimeType, errors.Join(err, body.Close())
}

func mediaReason(err error) string {
	var e *chat.MediaError
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprint(err)
}

func TestOpenMedia_GivesTheFileOfAMessage(t *testing.T) {
	s, c := fileWorld(t, metasim.Plan{}, nil)
	for kind, mimeType := range map[metasim.UpdateKind]string{metasim.UpdateImage: "image/jpeg", metasim.UpdateVoice: "audio/ogg; codecs=opus",
		metasim.UpdateDocument: "application/pdf", metasim.UpdateSticker: "image/webp", metasim.UpdateVideo: "video/mp4"} {
		m, remote := sent(t, s, fileNumber, kind)
		got, as, err := fetched(c, fileNumber, m)
		if err != nil || !bytes.Equal(got, metasim.FileContents(remote, mimeType)) || as != mimeType {
			t.Errorf("%s: %d bytes as %q, %v", kind, len(got), as, err)
		}
	}
	m, remote := sent(t, s, fileAccount, metasim.UpdateImage)
	if got, _, err := fetched(c, fileAccount, m); err != nil || !bytes.Equal(got, metasim.FileContents(remote, "image/jpeg")) {
		t.Errorf("instagram: %d bytes, %v", len(got), err)
	}
	for _, r := range s.FileRequests() {
		if instagram := r.ID == remote; r.Token == instagram {
			t.Errorf("%s of %s with token %v", r.Sort, r.ID, r.Token)
		}
	}
}

func TestOpenMedia_RefusesWhatIsNotTheFile(t *testing.T) {
	for fault, want := range map[metasim.FileFault]string{
		metasim.FileFaultWrongHash: "hash_mismatch", metasim.FileFaultTruncated: "cut", metasim.FileFaultMissing: "link_expired",
		metasim.FileFaultPage: "type_refused", metasim.FileFaultHuge: "too_large",
	} {
		s, c := fileWorld(t, metasim.Plan{Files: func(r metasim.FileRequest) metasim.FileFault {
			if r.Sort == "file" && r.Attempt == 1 {
				return fault
			}
			return metasim.FileFaultNone
		}}, nil)
		m, remote := sent(t, s, fileNumber, metasim.UpdateImage)
		if fault == metasim.FileFaultHuge {
			// Nothing but the limit may end it.
			m.SHA256 = ""
		}
		if _, _, err := fetched(c, fileNumber, m); mediaReason(err) != want {
			t.Errorf("%s: %v, want %s", fault, err, want)
		}
		if got, _, err := fetched(c, fileNumber, m); err != nil || !bytes.Equal(got, metasim.FileContents(remote, "image/jpeg")) {
			t.Errorf("%s: the second time %d bytes, %v", fault, len(got), err)
		}
	}
}

func TestOpenMedia_AsksForALinkEachTime(t *testing.T) {
	var late atomic.Int64
	s, c := fileWorld(t, metasim.Plan{}, func() time.Time { return time.Now().Add(time.Duration(late.Load())) })
	m, _ := sent(t, s, fileNumber, metasim.UpdateImage)
	for _, passed := range []time.Duration{0, time.Hour, 6 * 24 * time.Hour} {
		late.Store(int64(passed))
		if _, _, err := fetched(c, fileNumber, m); err != nil {
			t.Errorf("after %s: %v", passed, err)
		}
	}
	late.Store(int64(8 * 24 * time.Hour))
	if _, _, err := fetched(c, fileNumber, m); mediaReason(err) != "gone" {
		t.Errorf("after its life: %v, want gone", err)
	}
}

func TestOpenMedia_KnowsBothSpellingsOfAHash(t *testing.T) {
	s, c := fileWorld(t, metasim.Plan{}, nil)
	m, remote := sent(t, s, fileNumber, metasim.UpdateImage)
	sum := sha256.Sum256(metasim.FileContents(remote, "image/jpeg"))
	wrong := sha256.Sum256(nil)
	for spelling, ok := range map[string]bool{hex.EncodeToString(sum[:]): true, strings.ToUpper(hex.EncodeToString(sum[:])): true,
		base64.StdEncoding.EncodeToString(sum[:]): true, base64.RawURLEncoding.EncodeToString(sum[:]): true, "": true,
		hex.EncodeToString(wrong[:]): false, base64.StdEncoding.EncodeToString(wrong[:]): false} {
		m.SHA256 = spelling
		if _, _, err := fetched(c, fileNumber, m); (err == nil) != ok {
			t.Errorf("%q: %v", spelling, err)
		}
	}
}

// A link comes from outside. Nothing but Meta's file servers is asked, and the
// token goes to none but the link's own host.
func TestOpenMedia_TheTokenStaysAtHome(t *testing.T) {
	var foreign, tokens atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		foreign.Add(1)
		if r.Header.Get("Authorization") != "" || strings.Contains(r.URL.String(), fileToken.Reveal()) {
			tokens.Add(1)
		}
		w.Header().Set("Content-Type", "image/jpeg")
	}))
	defer elsewhere.Close()
	s, c := fileWorld(t, metasim.Plan{FileRedirect: elsewhere.URL + "/steal", Files: func(r metasim.FileRequest) metasim.FileFault {
		if r.Sort == "file" {
			return metasim.FileFaultRedirect
		}
		return metasim.FileFaultNone
	}}, nil)
	m, _ := sent(t, s, fileNumber, metasim.UpdateImage)
	_, _, err := fetched(c, fileNumber, m)
	if mediaReason(err) != "foreign_host" || strings.Contains(err.Error(), fileToken.Reveal()) {
		t.Errorf("redirected elsewhere: %v", err)
	}
	for _, link := range []string{elsewhere.URL + "/x.jpg", "http://169.254.169.254/latest", "file:///etc/passwd", "https://example.com/x",
		"https://lookaside.fbsbx.com.evil.example/x", "https://evilfbcdn.net/x", "http://scontent.fbcdn.net/x", "https://user@scontent.fbcdn.net/x",
		"https://scontent.fbcdn.net:8443/x", "//scontent.fbcdn.net/x", "gopher://lookaside.fbsbx.com/", "https://127.0.0.1/x", ""} {
		if _, _, err := fetched(c, fileAccount, chat.Media{Kind: "image", URL: link}); mediaReason(err) != "foreign_host" {
			t.Errorf("%q: %v", link, err)
		}
	}
	if foreign.Load() != 0 || tokens.Load() != 0 {
		t.Errorf("%d requests went elsewhere, %d with the token", foreign.Load(), tokens.Load())
	}
}

// carrier answers as hosts of Meta's would.
type carrier struct {
	serve func(r *http.Request) (status int, location string)
	seen  []string
}

func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	c.seen = append(c.seen, fmt.Sprintf("%s token=%v agent=%v", r.URL.Host, r.Header.Get("Authorization") != "", r.Header.Get("User-Agent") != ""))
	status, location := c.serve(r)
	res := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"image/jpeg"}}, Request: r, Body: io.NopCloser(strings.NewReader("picture"))}
	if location != "" {
		res.Header.Set("Location", location)
	}
	return res, nil
}

func TestOpenMedia_ARedirectWithinMetaGoesWithoutTheToken(t *testing.T) {
	graph := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"url":"https://lookaside.fbsbx.com/whatsapp/?mid=1","mime_type":"image/jpeg","file_size":7,"id":"1"}`)
	}))
	defer graph.Close()
	road := &carrier{serve: func(r *http.Request) (int, string) {
		if r.URL.Host == "lookaside.fbsbx.com" {
			return http.StatusFound, "https://scontent.xx.fbcdn.net/v/1?sig=x"
		}
		return http.StatusOK, ""
	}}
	c, err := meta.NewClient(meta.Options{GraphURL: graph.URL, MediaTransport: road})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := fetched(c, fileNumber, chat.Media{Kind: "image", ID: "1"}); err != nil || string(got) != "picture" {
		t.Errorf("%q, %v", got, err)
	}
	want := "[lookaside.fbsbx.com token=true agent=true scontent.xx.fbcdn.net token=false agent=true]"
	if fmt.Sprint(road.seen) != want {
		t.Errorf("%v, want %s", road.seen, want)
	}
	road.serve = func(*http.Request) (int, string) {
		return http.StatusFound, "https://lookaside.fbsbx.com/again"
	}
	if _, _, err := fetched(c, fileNumber, chat.Media{Kind: "image", ID: "1"}); mediaReason(err) != "too_many_redirects" {
		t.Errorf("in circles: %v", err)
	}
}

func TestUploadMedia_GivesTheFileToMeta(t *testing.T) {
	s, c := fileWorld(t, metasim.Plan{}, nil)
	file := bytes.Repeat([]byte("a menu "), 5000)
	for _, ch := range []chat.Channel{fileNumber, fileAccount} {
		id, err := c.UploadMedia(t.Context(), ch, "application/pdf", `menu "of" today.pdf`, int64(len(file)), bytes.NewReader(file))
		if err != nil {
			t.Fatal(ch.Kind, err)
		}
		if got, mimeType, found := s.Upload(id); !found || !bytes.Equal(got, file) || mimeType != "application/pdf" {
			t.Errorf("%s: %d bytes as %q, %v", ch.Kind, len(got), mimeType, found)
		}
	}
	id, err := c.UploadMedia(t.Context(), fileNumber, "image/png", "a.png", 3, strings.NewReader("png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteMedia(t.Context(), fileNumber, id); err != nil {
		t.Error(err)
	}
	if _, _, found := s.Upload(id); found {
		t.Error("Meta still has it")
	}
	bad := fileNumber
	bad.Token = "another"
	if _, err := c.UploadMedia(t.Context(), bad, "image/png", "a.png", 3, strings.NewReader("png")); mediaReason(err) != "token_invalid" {
		t.Errorf("with another's token: %v", err)
	}
}

func TestUploadProblem_KnowsTheLimits(t *testing.T) {
	for _, c := range []struct {
		kind chat.ChannelKind
		mime string
		size int64
		want string
	}{
		{chat.WhatsApp, "image/jpeg", 5 << 20, ""}, {chat.WhatsApp, "image/jpeg", 5<<20 + 1, "too_large"},
		{chat.WhatsApp, "image/gif", 10, "type_refused"}, {chat.WhatsApp, "audio/ogg; codecs=opus", 16 << 20, ""},
		{chat.WhatsApp, "application/pdf", 100 << 20, ""}, {chat.WhatsApp, "text/csv", 100<<20 + 1, "too_large"},
		{chat.WhatsApp, "image/webp", 500<<10 + 1, "too_large"}, {chat.WhatsApp, "", 10, "type_refused"},
		{chat.Instagram, "image/png", 8 << 20, ""}, {chat.Instagram, "image/webp", 10, "type_refused"},
		{chat.Instagram, "text/csv", 10, "type_refused"}, {chat.Instagram, "application/pdf", 25<<20 + 1, "too_large"},
		{chat.Instagram, "video/mp4", 0, "empty_file"},
	} {
		if got := meta.UploadProblem(c.kind, c.mime, c.size); got != c.want {
			t.Errorf("%s, %s of %d bytes: %q, want %q", c.kind, c.mime, c.size, got, c.want)
		}
	}
}
