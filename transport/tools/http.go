package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
)

// request makes the request of an HTTP tool. REQUIRES: the tool passed Check, and args
// match its schema.
func (c *Client) request(ctx context.Context, r *chat.ToolRun, args json.RawMessage) (string, error) {
	template, err := parseTemplate(r.Tool.HTTP.URL)
	if err != nil {
		return "", failed(wordDefined, "The tool cannot be used as it is defined.")
	}
	tree, err := members(args)
	if err != nil {
		return "", err
	}
	u, err := template.fill(tree)
	if err != nil {
		return "", err
	}
	var body io.Reader
	if writes := methods[r.Tool.HTTP.Method] && r.Tool.HTTP.Method != http.MethodDelete; writes {
		b, err := json.Marshal(tree)
		if err != nil {
			return "", failed(wordArguments, "The arguments are not JSON.")
		}
		body = bytes.NewReader(b)
	} else if err := intoQuery(u, tree); err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, r.Tool.HTTP.Method, u.String(), body)
	if err != nil {
		return "", failed(wordArguments, "The arguments make no URL.")
	}
	headers, secrets, err := c.secrets(r.Tenant, r.Tool.HTTP.Headers)
	if err != nil {
		return "", err
	}
	req.Header = headers
	req.Header.Set("Accept", "application/json, text/plain;q=0.9")
	req.Header.Set("User-Agent", "chumi")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	answer, err := c.exchange(req)
	if err != nil {
		return "", err
	}
	return safe(answer, r.Tool.HTTP.Pick, secrets)
}

// members reads arguments with their numbers as they are written.
func members(args json.RawMessage) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(args))
	d.UseNumber()
	var tree map[string]any
	if d.Decode(&tree) != nil {
		return nil, failed(wordArguments, "The arguments are not JSON.")
	}
	return tree, nil
}

// answer is what a server said.
type answer struct {
	status int
	body   []byte
	json   bool
}

// exchange makes a request and reads the answer.
func (c *Client) exchange(req *http.Request) (*answer, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unreached(req.Context(), err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		return nil, failed(wordRedirect, "The server sends elsewhere, which is not followed.")
	}
	a := &answer{status: res.StatusCode}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, c.opt.AnswerMax+1)); err != nil {
		return nil, unreached(req.Context(), err)
	}
	if int64(len(a.body)) > c.opt.AnswerMax {
		return nil, failed(wordLarge, "The answer is too large.")
	}
	if len(a.body) == 0 {
		return a, nil
	}
	t, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	a.json = t == "application/json" || strings.HasSuffix(t, "+json")
	if err != nil || !a.json && t != "text/plain" && t != "text/csv" && t != "text/markdown" {
		return nil, failed(wordType, "The answer is neither text nor JSON.")
	}
	if !utf8.Valid(a.body) || a.json && !json.Valid(a.body) {
		return nil, failed(wordType, "The answer is neither text nor JSON.")
	}
	return a, nil
}

// unreached tells why no answer came. The error itself holds the URL and what a name
// leads to: it goes nowhere.
func unreached(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return failed(wordTimeout, "The tool did not answer in time.")
	case chat.KindOf(err) == chat.KindInvalid:
		return failed(wordRefused, "The tool is not allowed to do this.")
	}
	return failed(wordFailed, "The tool does not work now.")
}

// errorShown is how much of the text of an error a model sees, in bytes.
const errorShown = 1 << 10

// safe makes of an answer what a model may see: the part that is asked for, without
// secrets and without what nobody sees, within its bound.
func safe(a *answer, pick string, secrets []string) (string, error) {
	text := string(a.body)
	if a.status > 299 {
		text = clean(text, secrets)
		return "", failed(wordStatus, cut("The server answered "+strconv.Itoa(a.status)+". "+text, errorShown))
	}
	if pick != "" {
		if !a.json {
			return "", failed(wordPick, "The answer has not the part that is asked for.")
		}
		part, ok := pointed(a.body, pick)
		if !ok {
			return "", failed(wordPick, "The answer has not the part that is asked for.")
		}
		text = part
	} else if a.json {
		var flat bytes.Buffer
		if json.Compact(&flat, a.body) == nil {
			text = flat.String()
		}
	}
	if text == "" {
		return "Done; the server said nothing.", nil
	}
	return cut(clean(text, secrets), chat.ToolResultMax), nil
}

// pointed is the part of a JSON text that a JSON pointer (RFC 6901) leads to.
func pointed(text []byte, pointer string) (part string, ok bool) {
	raw := json.RawMessage(text)
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		var object map[string]json.RawMessage
		var list []json.RawMessage
		switch {
		case json.Unmarshal(raw, &object) == nil && object != nil:
			if raw, ok = object[token]; !ok {
				return "", false
			}
		case json.Unmarshal(raw, &list) == nil && list != nil:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(list) || strconv.Itoa(i) != token {
				return "", false
			}
			raw = list[i]
		default:
			return "", false
		}
	}
	var words string
	if json.Unmarshal(raw, &words) == nil && len(raw) > 0 && raw[0] == '"' {
		return words, true
	}
	var flat bytes.Buffer
	if json.Compact(&flat, raw) != nil {
		return "", false
	}
	return flat.String(), true
}

// redacted stands where a secret stood.
const redacted = "[redacted]"

// clean takes controls and what nobody sees out of a text, and then secrets, however
// JSON may write them.
func clean(text string, secrets []string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ', r == 0x7f, r >= 0x80 && r < 0xa0, r == 0xad, r == 0xfeff, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e,
			r >= 0x2060 && r <= 0x206f, r >= 0xe0000 && r <= 0xe007f:
			return -1
		}
		return r
	}, text)
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, redacted)
		if quoted, err := json.Marshal(s); err == nil {
			text = strings.ReplaceAll(text, string(quoted[1:len(quoted)-1]), redacted)
		}
	}
	return text
}

// cutMark ends a text that was cut.
const cutMark = "\n[cut: the answer is longer]"

// cut bounds a text, on a character, and says so.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	at := most - len(cutMark)
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at] + cutMark
}
