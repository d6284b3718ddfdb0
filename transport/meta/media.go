package meta

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// DefaultMediaMax is the largest file Meta passes on, in bytes.
	DefaultMediaMax = 100 << 20
	// userAgent names the engine: Meta's file servers refuse requests without one.
	userAgent = "chumi"
	// tokenWait is how long to leave a channel whose token is refused.
	tokenWait = 5 * time.Minute
	// hopsMax bounds the redirects of one file.
	hopsMax = 3
)

// OpenMedia opens a file of a message: the media of a webhook. The reader ends
// with io.EOF only when the file is whole, within the limit, and has the hash
// that Meta told; any other end, and any error here, is a *chat.MediaError. The
// caller closes the body. No error tells an URL or a token.
//
// The link that Meta gives for an id lives five minutes and is used at once. It
// comes from outside: it is followed only to Meta's file servers, and the token
// goes to none but the first of them.
func (c *Client) OpenMedia(ctx context.Context, ch chat.Channel, m chat.Media) (body io.ReadCloser, mimeType string, err error) {
	want := wanted{link: m.URL, mime: m.MIME, sum: sumOf(m.SHA256)}
	if m.ID != "" {
		if want, err = c.linkOf(ctx, ch, &m); err != nil {
			return nil, "", err
		}
	}
	if want.size > c.options.MediaMax {
		return nil, "", &chat.MediaError{Reason: "too_large", Permanent: true}
	}
	token := chat.Secret("")
	if ch.Kind == chat.WhatsApp {
		token = ch.Token
	}
	res, err := c.download(ctx, want.link, token)
	if err != nil {
		// A link in a message is never renewed, that of an id is with each try.
		if told := new(chat.MediaError); errors.As(err, &told) && m.ID == "" && (told.Reason == "link_expired" || told.Reason == "link_refused") {
			told.Stubborn = true
		}
		return nil, "", err
	}
	mimeType, ok := agreed(m.Kind, want.mime, res.Header.Get("Content-Type"))
	switch {
	case !ok:
		err = &chat.MediaError{Reason: "type_refused", Stubborn: true}
	case res.ContentLength > c.options.MediaMax:
		err = &chat.MediaError{Reason: "too_large", Permanent: true}
	}
	if err != nil {
		_ = res.Body.Close()
		return nil, "", err
	}
	return &checkedBody{body: res.Body, max: c.options.MediaMax, size: want.size, sum: want.sum, hash: sha256.New()}, mimeType, nil
}

// wanted is a file as Meta describes it. size is 0 and sum nil when it does not say.
type wanted struct {
	link, mime string
	size       int64
	sum        []byte
}

// linkOf asks for the link of a media id.
func (c *Client) linkOf(ctx context.Context, ch chat.Channel, m *chat.Media) (wanted, error) {
	var answer struct {
		URL    string    `json:"url"`
		MIME   string    `json:"mime_type"`
		SHA256 string    `json:"sha256"`
		Size   jsonInt64 `json:"file_size"`
	}
	err := c.call(ctx, call{op: "media_url", method: http.MethodGet, kind: ch.Kind, app: ch.App, token: ch.Token,
		path: join(m.ID), query: url.Values{"phone_number_id": {ch.Account}}}, &answer)
	if err != nil {
		return wanted{}, mediaError(err)
	}
	w := wanted{link: answer.URL, mime: m.MIME, size: int64(answer.Size), sum: sumOf(m.SHA256)}
	if w.mime == "" {
		w.mime = answer.MIME
	}
	if w.sum == nil {
		w.sum = sumOf(answer.SHA256)
	}
	return w, nil
}

// mediaError is the error of a management call as one of a file.
func mediaError(err error) error {
	e := &chat.MediaError{Reason: "meta_unavailable"}
	fault := chat.GraphErrorOf(err)
	if fault == nil {
		return e
	}
	e.Reason, e.RetryAfter = fault.Reason, fault.RetryAfter
	switch chat.KindOf(err) {
	case chat.KindNotFound:
		e.Reason, e.Stubborn = "gone", true
	case chat.KindInvalid:
		e.Stubborn = true
	case chat.KindConflict:
		e.RetryAfter = max(e.RetryAfter, tokenWait)
	}
	return e
}

// download follows a link to its file. The token goes to the link's host, when
// that is one that asks for it, and to no other.
func (c *Client) download(ctx context.Context, link string, token chat.Secret) (*http.Response, error) {
	var first string
	for hop := 0; hop <= hopsMax; hop++ {
		u, err := url.Parse(link)
		if err != nil || !c.hosts.allowed(u) {
			return nil, &chat.MediaError{Reason: "foreign_host", Permanent: true}
		}
		if hop == 0 {
			first = u.Host
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, &chat.MediaError{Reason: "foreign_host", Permanent: true}
		}
		req.Header.Set("User-Agent", userAgent)
		if token != "" && u.Host == first && c.hosts.asksToken(u) {
			req.Header.Set("Authorization", "Bearer "+token.Reveal())
		}
		res, err := c.media.Do(req)
		if err != nil {
			return nil, &chat.MediaError{Reason: "unreachable"}
		}
		switch {
		case res.StatusCode == http.StatusOK:
			return res, nil
		case res.StatusCode >= 300 && res.StatusCode < 400 && res.Header.Get("Location") != "":
			next, err := u.Parse(res.Header.Get("Location"))
			_ = res.Body.Close()
			if err != nil {
				return nil, &chat.MediaError{Reason: "foreign_host", Permanent: true}
			}
			link = next.String()
		default:
			_ = res.Body.Close()
			return nil, refusedFile(res)
		}
	}
	return nil, &chat.MediaError{Reason: "too_many_redirects"}
}

// refusedFile is the answer of a file server that gives no file. These servers
// have no error codes: their status is all they say.
func refusedFile(res *http.Response) error {
	switch {
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		return &chat.MediaError{Reason: "meta_unavailable", RetryAfter: wishOf(res.Header)}
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return &chat.MediaError{Reason: "link_refused"}
	}
	return &chat.MediaError{Reason: "link_expired"}
}

// agreed is the type to store a file under, from what the message and the file
// server say. ok is false when a server sends something else than the message
// says: an error page in place of a picture.
func agreed(kind, told, served string) (mimeType string, ok bool) {
	told, served = mediaType(told), mediaType(served)
	if served == "" || served == "application/octet-stream" || served == "binary/octet-stream" {
		served = told
	}
	if told == "" {
		told = served
	}
	top, _, _ := strings.Cut(bareType(served), "/")
	switch kind {
	case "image", "sticker":
		ok = top == "image" && bareType(served) != "image/svg+xml"
	case "video":
		ok = top == "video"
	case "audio", "voice":
		// Meta serves voice notes as video/mp4 too.
		ok = top == "audio" || top == "video" || bareType(served) == "application/ogg"
	default:
		ok = bareType(served) != "text/html" || bareType(told) == "text/html"
	}
	if ok && told == "" {
		told = "application/octet-stream"
	}
	return told, ok || served == ""
}

// mediaType is a type with its parameters in their plain form; empty for none.
func mediaType(s string) string {
	t, params, err := mime.ParseMediaType(s)
	if err != nil {
		return ""
	}
	return mime.FormatMediaType(t, params)
}

func bareType(s string) string {
	t, _, _ := strings.Cut(s, ";")
	return strings.TrimSpace(t)
}

// sumOf reads a SHA-256 as Meta spells it, in hex or in base64; nil for neither.
func sumOf(s string) []byte {
	if sum, err := hex.DecodeString(s); err == nil && len(sum) == sha256.Size {
		return sum
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		if sum, err := e.DecodeString(s); err == nil && len(sum) == sha256.Size {
			return sum
		}
	}
	return nil
}

// checkedBody is a file that proves itself at its end.
type checkedBody struct {
	body io.ReadCloser
	max  int64
	size int64 // 0 for unknown
	sum  []byte
	hash hash.Hash
	n    int64
}

// Read implements io.Reader.
func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.n += int64(n)
	_, _ = b.hash.Write(p[:n])
	switch {
	case b.n > b.max:
		return 0, &chat.MediaError{Reason: "too_large", Permanent: true}
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, &chat.MediaError{Reason: "cut"}
	case b.size > 0 && b.n != b.size:
		return n, &chat.MediaError{Reason: "cut"}
	case b.sum != nil && !bytes.Equal(b.hash.Sum(nil), b.sum):
		return n, &chat.MediaError{Reason: "hash_mismatch", Stubborn: true}
	}
	return n, io.EOF
}

// Close implements io.Closer.
func (b *checkedBody) Close() error { return b.body.Close() }

// jsonInt64 is a size, written as a number or as a text; 0 when it is neither.
type jsonInt64 int64

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (n *jsonInt64) UnmarshalJSON(b []byte) error {
	i, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil || i < 0 {
		i = 0
	}
	*n = jsonInt64(i)
	return nil
}
