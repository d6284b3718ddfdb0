package meta

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// uploadTimeout bounds one upload: 100 MB at 3 Mbit/s.
const uploadTimeout = 5 * time.Minute

// UploadMedia gives a file to Meta and returns the id to send it by: a media id
// on WhatsApp, which lives 30 days, an attachment id on Instagram. size is in
// bytes. An error is a *chat.MediaError.
func (c *Client) UploadMedia(ctx context.Context, ch chat.Channel, mimeType, filename string, size int64, body io.Reader) (id string, err error) {
	if reason := UploadProblem(ch.Kind, mimeType, size); reason != "" {
		return "", &chat.MediaError{Reason: reason, Permanent: true}
	}
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	q := call{op: "media_upload", method: http.MethodPost, kind: ch.Kind, app: ch.App, token: ch.Token, path: join(ch.Account, "media")}
	fields := [][2]string{{"messaging_product", "whatsapp"}, {"type", mimeType}}
	part := "file"
	if ch.Kind == chat.Instagram {
		q.path, part = join(ch.Account, "message_attachments"), "filedata"
		kind, _ := json.Marshal(map[string]any{"attachment": map[string]any{ // made of texts: it can
			"type": attachmentKind(mimeType), "payload": map[string]any{"is_reusable": true}}})
		fields = [][2]string{{"platform", "instagram"}, {"message", string(kind)}}
	}
	head, tail, contentType := form(fields, part, filename, mimeType)
	req, err := c.build(ctx, &q)
	if err != nil {
		return "", &chat.MediaError{Reason: "bad_request", Permanent: true}
	}
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(head), io.LimitReader(body, size), bytes.NewReader(tail)))
	req.ContentLength, req.GetBody = int64(len(head))+size+int64(len(tail)), nil
	req.Header.Set("Content-Type", contentType)
	res, err := c.media.Do(req)
	if err != nil {
		return "", &chat.MediaError{Reason: "unreachable"}
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, responseMax))
	if err != nil {
		return "", &chat.MediaError{Reason: "response_cut"}
	}
	var got struct {
		ID         string `json:"id"`
		Attachment string `json:"attachment_id"`
	}
	result := "ok"
	fault := q.read(res, answer, &got)
	if fault != nil {
		result = fault.Result.String()
	}
	c.options.Metrics.Calls.WithLabelValues(q.op, result).Inc()
	if fault != nil {
		return "", &chat.MediaError{Reason: fault.Reason, RetryAfter: fault.RetryAfter, Permanent: fault.Result == chat.SendRefused}
	}
	if got.ID == "" {
		got.ID = got.Attachment
	}
	if got.ID == "" || len(got.ID) > idMax {
		return "", &chat.MediaError{Reason: "unrecognised_response"}
	}
	return got.ID, nil
}

// DeleteMedia makes Meta forget an uploaded file of a WhatsApp channel.
func (c *Client) DeleteMedia(ctx context.Context, ch chat.Channel, id string) error {
	return c.call(ctx, call{op: "media_delete", method: http.MethodDelete, kind: ch.Kind, app: ch.App, token: ch.Token, path: join(id)}, nil)
}

// form is what stands before and after the file in a multipart body.
func form(fields [][2]string, part, filename, mimeType string) (head, tail []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	// NB: a bytes.Buffer takes everything: no write here fails.
	for _, f := range fields {
		_ = w.WriteField(f[0], f[1])
	}
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", multipart.FileContentDisposition(part, plainName(filename)))
	h.Set("Content-Type", mimeType)
	_, _ = w.CreatePart(h)
	head = bytes.Clone(b.Bytes())
	b.Reset()
	_ = w.Close()
	return head, b.Bytes(), w.FormDataContentType()
}

// plainName keeps of a file's name what no server misreads.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`/\:"*?<>|`, r) {
			return '_'
		}
		return r
	}, name)
	if name = strings.Trim(name, ". "); name == "" {
		return "file"
	}
	return name
}

// The largest files Meta takes, in bytes.
const (
	whatsappImageMax    = 5 << 20
	whatsappAudioMax    = 16 << 20
	whatsappVideoMax    = 16 << 20
	whatsappStickerMax  = 500 << 10
	whatsappDocumentMax = 100 << 20
	instagramImageMax   = 8 << 20
	instagramFileMax    = 25 << 20
)

// uploadLimits are the types each product takes, and how large. WhatsApp takes
// any other type as a document.
var uploadLimits = map[chat.ChannelKind]map[string]int64{
	chat.WhatsApp: {
		"image/jpeg": whatsappImageMax, "image/png": whatsappImageMax, "image/webp": whatsappStickerMax,
		"audio/aac": whatsappAudioMax, "audio/amr": whatsappAudioMax, "audio/mpeg": whatsappAudioMax,
		"audio/mp4": whatsappAudioMax, "audio/ogg": whatsappAudioMax,
		"video/mp4": whatsappVideoMax, "video/3gpp": whatsappVideoMax,
	},
	chat.Instagram: {
		"image/jpeg": instagramImageMax, "image/png": instagramImageMax,
		"audio/aac": instagramFileMax, "audio/mp4": instagramFileMax, "audio/x-m4a": instagramFileMax,
		"audio/wav": instagramFileMax, "audio/x-wav": instagramFileMax,
		"video/mp4": instagramFileMax, "video/ogg": instagramFileMax, "video/x-msvideo": instagramFileMax,
		"video/quicktime": instagramFileMax, "video/webm": instagramFileMax,
		"application/pdf": instagramFileMax,
	},
}

// UploadProblem says why a product does not take a file: "too_large",
// "type_refused", "empty_file", or "" when it does.
func UploadProblem(kind chat.ChannelKind, mimeType string, size int64) string {
	bare := bareType(mediaType(mimeType))
	limit, known := uploadLimits[kind][bare]
	top, _, _ := strings.Cut(bare, "/")
	if !known && kind == chat.WhatsApp && top != "image" && top != "audio" && top != "video" {
		limit, known = whatsappDocumentMax, bare != ""
	}
	switch {
	case !known:
		return "type_refused"
	case size <= 0:
		return "empty_file"
	case size > limit:
		return "too_large"
	}
	return ""
}

func attachmentKind(mimeType string) string {
	switch top, _, _ := strings.Cut(mimeType, "/"); top {
	case "image", "audio", "video":
		return top
	}
	return "file"
}
