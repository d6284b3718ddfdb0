package meta

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// LogoMax is the largest logo Meta takes, in bytes.
const LogoMax = 5 << 20

const profileFields = "about,address,description,email,profile_picture_url,websites,vertical"

// Profile reads what customers see of a WhatsApp number.
func (c *Client) Profile(ctx context.Context, ch chat.Channel) (p chat.BusinessProfile, err error) {
	if ch.Kind != chat.WhatsApp {
		return p, errNoProfile
	}
	type facts struct {
		chat.BusinessProfile
		Picture string `json:"profile_picture_url"`
	}
	var answer struct {
		Data []struct {
			facts
			// Meta's own description wraps it once more.
			Inner *facts `json:"business_profile"`
		} `json:"data"`
	}
	err = c.call(ctx, call{op: "profile", method: http.MethodGet, kind: chat.WhatsApp, app: ch.App, token: ch.Token,
		path: join(ch.Account, "whatsapp_business_profile"), query: url.Values{"fields": {profileFields}}}, &answer)
	if err != nil || len(answer.Data) == 0 {
		return p, err
	}
	f := answer.Data[0].facts
	if answer.Data[0].Inner != nil {
		f = *answer.Data[0].Inner
	}
	f.BusinessProfile.Picture = f.Picture
	return f.BusinessProfile, nil
}

var errNoProfile = chat.E("meta.Profile", chat.KindInvalid, "only WhatsApp numbers have a profile that can be read and written here", nil)

// SetProfile changes the members of p that say something.
func (c *Client) SetProfile(ctx context.Context, ch chat.Channel, p chat.BusinessProfile) error {
	if ch.Kind != chat.WhatsApp {
		return errNoProfile
	}
	p.Picture = ""
	return c.writeProfile(ctx, ch, struct {
		Product string `json:"messaging_product"`
		chat.BusinessProfile
	}{"whatsapp", p})
}

func (c *Client) writeProfile(ctx context.Context, ch chat.Channel, body any) error {
	return c.done(ctx, call{op: "set_profile", method: http.MethodPost, kind: chat.WhatsApp, app: ch.App, token: ch.Token,
		path: join(ch.Account, "whatsapp_business_profile"), json: body})
}

// SetLogo puts a picture, JPEG or PNG, on a WhatsApp number's profile: it is
// uploaded to the app, and the profile is given its handle.
func (c *Client) SetLogo(ctx context.Context, ch chat.Channel, picture []byte) error {
	const op = "meta.SetLogo"
	mime := pictureType(picture)
	switch {
	case ch.Kind != chat.WhatsApp:
		return errNoProfile
	case mime == "":
		return chat.E(op, chat.KindInvalid, "the logo must be a JPEG or PNG picture", nil)
	case len(picture) > LogoMax:
		return chat.E(op, chat.KindInvalid, "the logo is larger than 5 MB", nil)
	}
	appID, err := c.metaID(ctx, ch)
	if err != nil {
		return err
	}
	var session struct {
		ID string `json:"id"`
	}
	err = c.call(ctx, call{op: "upload_start", method: http.MethodPost, kind: chat.WhatsApp, app: ch.App, token: ch.Token, path: join(appID, "uploads"),
		query: url.Values{"file_length": {strconv.Itoa(len(picture))}, "file_type": {mime}, "file_name": {"logo"}}}, &session)
	if err != nil {
		return err
	}
	// The session's id holds a signature as a query.
	id, sig, _ := strings.Cut(session.ID, "?")
	query, err := url.ParseQuery(sig)
	if err != nil || !strings.HasPrefix(id, "upload:") {
		return chat.E(op, chat.KindUnavailable, "Meta gave no upload session", nil)
	}
	var uploaded struct {
		Handle string `json:"h"`
	}
	err = c.call(ctx, call{op: "upload", method: http.MethodPost, kind: chat.WhatsApp, app: ch.App, token: ch.Token, scheme: "OAuth",
		path: join(id), query: query, body: picture, contentType: mime, header: http.Header{"File_offset": {"0"}}}, &uploaded)
	if err != nil {
		return err
	}
	if uploaded.Handle == "" {
		return chat.E(op, chat.KindUnavailable, "Meta gave no handle for the picture", nil)
	}
	return c.writeProfile(ctx, ch, map[string]string{"messaging_product": "whatsapp", "profile_picture_handle": uploaded.Handle})
}

// metaID is the id at Meta of the app that a channel belongs to.
func (c *Client) metaID(ctx context.Context, ch chat.Channel) (string, error) {
	if app, ok := c.app(ch.App); ok && app.MetaID != "" {
		return app.MetaID, nil
	}
	facts, err := c.debugToken(ctx, ch)
	if err == nil && facts.App == "" {
		err = chat.E("meta.SetLogo", chat.KindInvalid, "app "+string(ch.App)+" has no meta_app_id, which pictures are uploaded to", nil)
	}
	return string(facts.App), err
}

// pictureType tells a picture by its first bytes.
func pictureType(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	}
	return ""
}
