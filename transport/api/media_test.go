package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/edge"
)

// picture is a file that acme has, rivals one that another tenant has.
const (
	picture = "blob_aaaaaaaaaaaaaaaaaaaaaaaaaa_1_0_bbbbbbbbbbbbb"
	rivals  = "blob_bbbbbbbbbbbbbbbbbbbbbbbbbb_1_0_bbbbbbbbbbbbb"
)

// shelf is a library in memory.
type shelf struct {
	mu    sync.Mutex
	files map[string]shelved
	keys  map[string]chat.Upload
}

type shelved struct {
	tenant chat.TenantID
	info   chat.FileInfo
	body   string
	err    error
}

func newShelf() *shelf {
	return &shelf{keys: map[string]chat.Upload{}, files: map[string]shelved{
		rivals:  {tenant: "rival", info: chat.FileInfo{Blob: rivals, MIME: "image/jpeg", Size: 7}, body: "private"},
		picture: {tenant: "acme", info: chat.FileInfo{Blob: picture, MIME: "image/jpeg", Size: 7}, body: "picture"}}}
}

// Info implements api.Library.
func (s *shelf) Info(t chat.TenantID, id string, _ int) (chat.FileInfo, error) {
	_, info, err := s.File(nil, t, id, 0, 0)
	return info, err
}

// File implements api.Library.
func (s *shelf) File(_ context.Context, t chat.TenantID, id string, _ int, from int64) (io.ReadCloser, chat.FileInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[id]
	if !ok || f.tenant != t {
		return nil, chat.FileInfo{}, chat.E("library", chat.KindNotFound, "media_not_found", nil)
	}
	return io.NopCloser(strings.NewReader(f.body[from:])), f.info, f.err
}

// Upload implements api.Library.
func (s *shelf) Upload(_ context.Context, t chat.TenantID, key string, info chat.FileInfo, body io.Reader) (chat.Upload, bool, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return chat.Upload{}, false, err
	}
	sum := sha256.Sum256(b)
	u := chat.Upload{Blob: chat.BlobID(picture[:len(picture)-13] + "ccccccccccccc"), MIME: info.MIME, Filename: info.Filename, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, seen := s.keys[key]; seen {
		if !was.Same(&u) {
			return u, false, chat.E("library", chat.KindConflict, "idempotency_key_reused", nil)
		}
		return was, true, nil
	}
	s.keys[key] = u
	s.files[string(u.Blob)] = shelved{tenant: t, info: chat.FileInfo{Blob: u.Blob, MIME: u.MIME, Filename: u.Filename, Size: u.Size}, body: string(b)}
	return u, false, nil
}

// put changes what the file looks like.
func (s *shelf) put(info chat.FileInfo, body string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info.Blob = picture
	s.files[picture] = shelved{"acme", info, body, err}
}

// Whatever a customer sent, a browser that is shown it neither runs it nor names it
// as the customer would like.
func TestMedia_IsServedSafely(t *testing.T) {
	shelf := newShelf()
	s := start(t, func(o *api.Options, _ *edge.Limits) { o.Library = shelf })
	for _, c := range []struct{ mime, filename, wantType, wantName string }{
		{"image/jpeg", "", "image/jpeg", picture + ".jpg"},
		{"image/svg+xml", "a.svg", "application/octet-stream", "a.svg"},
		{"text/html; charset=utf-8", "index.html", "application/octet-stream", "index.html"},
		{"audio/ogg; codecs=opus", "", "audio/ogg", picture + ".ogg"},
		{"application/javascript", "../../etc/cron.d/x", "application/octet-stream", "_.._etc_cron.d_x"},
		{"nonsense", "a\"; filename=evil.exe", "application/octet-stream", "a_; filename=evil.exe"},
		{"application/pdf", "счёт\r\nSet-Cookie: x.pdf", "application/pdf", "счёт__Set-Cookie_ x.pdf"},
		{"application/pdf", "photo\u202egpj.exe", "application/pdf", "photogpj.exe"},
		{"application/pdf", strings.Repeat("é", 400), "application/pdf", strings.Repeat("é", 120)},
		{"", "\xff\xfe", "application/octet-stream", picture},
	} {
		shelf.put(chat.FileInfo{MIME: c.mime, Filename: c.filename, Size: 7}, "picture", nil)
		got := s.do(t, "GET", "/v1/media/"+picture, "acme-reader", "")
		if got.status != http.StatusOK || got.body != "picture" {
			t.Fatalf("%q: %d %q", c.filename, got.status, got.body)
		}
		for name, want := range map[string]string{"Content-Type": c.wantType, "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store",
			"Content-Security-Policy": "default-src 'none'; sandbox", "Cross-Origin-Resource-Policy": "same-origin", "Set-Cookie": ""} {
			if got.header.Get(name) != want {
				t.Errorf("%q as %q: %s is %q, want %q", c.filename, c.mime, name, got.header.Get(name), want)
			}
		}
		how, params, err := mime.ParseMediaType(got.header.Get("Content-Disposition"))
		if err != nil || how != "attachment" || params["filename"] != c.wantName {
			t.Errorf("%q: %s %q, %v; want %q", c.filename, how, params["filename"], err, c.wantName)
		}
	}
	shelf.put(chat.FileInfo{}, "", chat.E("library", chat.KindNotFound, "media_elsewhere", nil))
	if got := s.do(t, "GET", "/v1/media/"+picture, "acme-reader", ""); got.status != 404 || !strings.Contains(got.body, "media_elsewhere") {
		t.Errorf("a file of another node: %d %s", got.status, got.body)
	}
}

// A file that turns out damaged while it is read is not taken for whole.
func TestMedia_ABrokenFileIsCutOff(t *testing.T) {
	shelf := newShelf()
	s := start(t, func(o *api.Options, _ *edge.Limits) { o.Library = shelf })
	shelf.put(chat.FileInfo{MIME: "image/jpeg", Size: 100}, "picture", nil)
	resp, err := s.client.Do(s.request(t, "GET", "/v1/media/"+picture, "acme-reader", ""))
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d bytes and no error", len(b))
	}
}

func TestMedia_TakesFormsAndBodies(t *testing.T) {
	s := start(t, func(o *api.Options, l *edge.Limits) { o.UploadMax, l.BodyMax = 3<<20, 1<<20 })
	large := strings.Repeat("m", 2<<20)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	_ = w.WriteField("note", "not the file")
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", `form-data; name="file"; filename="menu of today.pdf"`)
	h.Set("Content-Type", "application/pdf")
	p, _ := w.CreatePart(h)
	_, _ = io.WriteString(p, large)
	_ = w.Close()
	for _, c := range []struct{ path, contentType, body string }{
		{"/v1/media", w.FormDataContentType(), form.String()},
		{"/v1/media?filename=menu+of+today.pdf", "application/pdf", large},
	} {
		got := s.do(t, "POST", c.path, "acme-key", c.body, "Content-Type", c.contentType)
		var u struct {
			ID, Filename, SHA256 string
			MIME                 string `json:"mime_type"`
			Size                 int
		}
		if err := json.Unmarshal([]byte(got.body), &u); err != nil || got.status != http.StatusCreated {
			t.Fatal(got.status, got.body, err)
		}
		sum := sha256.Sum256([]byte(large))
		if u.MIME != "application/pdf" || u.Filename != "menu of today.pdf" || u.Size != len(large) || u.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %+v", c.path, u)
		}
		if back := s.do(t, "GET", "/v1/media/"+u.ID, "acme-key", ""); back.body != large {
			t.Errorf("%s: %d bytes come back", c.path, len(back.body))
		}
	}
	for _, c := range []struct {
		key, contentType, body string
		status                 int
		code                   string
	}{
		{"acme-key", "application/pdf", strings.Repeat("m", 3<<20+1), 413, "media_too_large"},
		{"acme-key", "application/pdf", strings.Repeat("m", 4<<20), 413, ""},
		{"acme-reader", "application/pdf", large, 413, ""}, // who may not upload may not fill the memory
		{"wrong", "application/pdf", large, 413, ""},
		{"acme-key", "", "x", 400, "parameter_missing"},
		{"acme-key", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=other\r\n\r\ny\r\n--x--\r\n", 400, "parameter_missing"},
		{"acme-key", "multipart/form-data", "x", 400, "body_invalid"},
	} {
		got := s.do(t, "POST", "/v1/media", c.key, c.body, "Content-Type", c.contentType)
		if got.status != c.status || !strings.Contains(got.body, c.code) {
			t.Errorf("%s, %q of %d bytes: %d %.200s, want %d %s", c.key, c.contentType, len(c.body), got.status, got.body, c.status, c.code)
		}
	}
	// Other routes keep their limit, also for who may upload.
	if got := s.do(t, "POST", "/v1/conversations/"+string(ada)+"/messages", "acme-key", large); got.status != 413 {
		t.Errorf("a large message: %d", got.status)
	}
}

// One range at a time, of what the file is: 206 with the bytes, 416 for what is not
// within it, and 200 for what may be ignored.
func TestMedia_Ranges(t *testing.T) {
	shelf := newShelf()
	s := start(t, func(o *api.Options, _ *edge.Limits) { o.Library = shelf })
	shelf.put(chat.FileInfo{MIME: "video/mp4", Size: 10}, "0123456789", nil)
	tag := `"` + picture + `"`
	for _, c := range []struct {
		header, ifRange string
		status          int
		body, where     string
	}{
		{"bytes=0-3", "", 206, "0123", "bytes 0-3/10"},
		{"bytes=4-", "", 206, "456789", "bytes 4-9/10"},
		{"bytes=-2", "", 206, "89", "bytes 8-9/10"},
		{"bytes=-20", "", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=8-99999999999999999999", "", 206, "89", "bytes 8-9/10"},
		{"Bytes= 9-9", "", 206, "9", "bytes 9-9/10"},
		{"bytes=2-3", tag, 206, "23", "bytes 2-3/10"},
		{"bytes=2-3", `"another"`, 200, "0123456789", ""},
		{"bytes=2-3", "Wed, 21 Oct 2015 07:28:00 GMT", 200, "0123456789", ""},
		{"bytes=0-1,4-5", "", 200, "0123456789", ""},
		{"bytes=5-4", "", 200, "0123456789", ""},
		{"bytes=--4", "", 200, "0123456789", ""},
		{"bytes=+1-4", "", 200, "0123456789", ""},
		{"bytes=-", "", 200, "0123456789", ""},
		{"lines=1-2", "", 200, "0123456789", ""},
		{"bytes=10-", "", 416, "", "bytes */10"},
		{"bytes=-0", "", 416, "", "bytes */10"},
	} {
		header := []string{"Range", c.header}
		if c.ifRange != "" {
			header = append(header, "If-Range", c.ifRange)
		}
		got := s.do(t, "GET", "/v1/media/"+picture, "acme-reader", "", header...)
		if got.status != c.status || got.header.Get("Content-Range") != c.where || c.status != 416 && got.body != c.body {
			t.Errorf("%s, %s: %d %q %q, want %d %q %q", c.header, c.ifRange, got.status, got.header.Get("Content-Range"), got.body, c.status, c.where, c.body)
		}
		if c.status == 416 {
			continue
		}
		for name, want := range map[string]string{"Content-Type": "video/mp4", "ETag": tag, "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-store"} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", c.header, name, got.header.Get(name), want)
			}
		}
	}
	if got := s.do(t, "HEAD", "/v1/media/"+picture, "acme-reader", ""); got.status != 200 || got.body != "" || got.header.Get("Content-Length") != "10" || got.header.Get("ETag") != tag {
		t.Errorf("HEAD: %d %q %v", got.status, got.body, got.header)
	}
	if got := s.do(t, "HEAD", "/v1/media/"+picture, "acme-reader", "", "Range", "bytes=2-3"); got.status != 206 || got.header.Get("Content-Length") != "2" {
		t.Errorf("HEAD of a range: %d %v", got.status, got.header)
	}
	for _, method := range []string{"GET", "HEAD"} {
		if got := s.do(t, method, "/v1/media/"+rivals, "acme-reader", "", "Range", "bytes=0-1"); got.status != 404 {
			t.Errorf("%s of another tenant's: %d", method, got.status)
		}
	}
	// Nothing says how large it is: all of it, whatever is asked for.
	shelf.put(chat.FileInfo{MIME: "image/jpeg"}, "0123456789", nil)
	if got := s.do(t, "GET", "/v1/media/"+picture, "acme-reader", "", "Range", "bytes=2-3"); got.status != 200 || got.body != "0123456789" {
		t.Errorf("of unknown size: %d %q", got.status, got.body)
	}
}
