package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"path"
	"strings"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// soundMax is the largest file that OpenAI takes.
const soundMax = 25 << 20

// endings are what servers tell formats by.
var endings = map[string]string{
	"audio/ogg": ".ogg", "audio/opus": ".ogg", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/x-m4a": ".m4a", "audio/aac": ".m4a",
	"audio/wav": ".wav", "audio/x-wav": ".wav", "audio/webm": ".webm", "audio/flac": ".flac", "video/mp4": ".mp4", "audio/amr": ".amr",
}

// Transcribe returns what is said in a sound file, and what that used. name is used
// for its ending alone, where the type is not known. The error is always a
// *chat.ModelError.
func (c *Client) Transcribe(ctx context.Context, t chat.TenantID, name, mimeType string, sound io.Reader) (text string, used chat.Spend, err error) {
	ref := c.opt.Transcription
	p, failure := c.provider(t, ref)
	if failure != nil {
		return "", used, failure
	}
	data, err := io.ReadAll(io.LimitReader(sound, soundMax+1))
	switch {
	case err != nil:
		return "", used, &chat.ModelError{Reason: reasonCut}
	case len(data) > soundMax:
		return "", used, &chat.ModelError{Reason: reasonTooLong, Permanent: true}
	case len(data) == 0:
		return "", used, &chat.ModelError{Reason: reasonEmpty, Permanent: true}
	}
	var resp goopenai.AudioResponse
	var raw []byte
	began := c.opt.Now()
	asked, failure := c.side(ctx, p, func(ctx context.Context, x *exchange) error {
		x.keep = true
		var err error
		resp, err = p.api.CreateTranscription(ctx, goopenai.AudioRequest{Model: ref.Model, FilePath: "a" + ending(name, mimeType), Reader: bytes.NewReader(data)})
		raw = x.raw
		if err == nil && len(resp.Text) > c.opt.TextMax {
			err = errTooLong
		}
		return err
	})
	if failure == nil {
		used = chat.Spend{Operation: chat.OperationTranscription, Provider: ref.Provider, Model: ref.Model}
		used.Tokens, used.Seconds = heard(raw, resp.Text, len(data))
	}
	c.observe(operationTranscription, began, asked, failure, used.Tokens)
	if failure != nil {
		return "", used, failure
	}
	return strings.TrimSpace(resp.Text), used, nil
}

// ending is of the type, or of the name; a voice note of WhatsApp where neither says.
func ending(name, mimeType string) string {
	if media, _, err := mime.ParseMediaType(mimeType); err == nil {
		if e, ok := endings[media]; ok {
			return e
		}
	}
	e := strings.ToLower(path.Ext(name))
	for _, known := range endings {
		if e == known {
			return e
		}
	}
	return ".ogg"
}

// soundRate is how many bytes a second of sound has at least, where nobody says how
// long it is: half of what voice notes have.
const soundRate = 1000

// heard reads what a transcription used, which go-openai does not. Of what the server
// says neither in tokens nor in seconds, both are estimated, upwards.
func heard(raw []byte, text string, size int) (t chat.Tokens, seconds float64) {
	var said struct {
		Duration float64
		Usage    struct {
			Input   int64 `json:"input_tokens"`
			Output  int64 `json:"output_tokens"`
			Seconds float64
		}
	}
	_ = json.Unmarshal(raw, &said) // what it does not say is estimated
	t = chat.Tokens{Prompt: max(said.Usage.Input, 0), Output: max(said.Usage.Output, 0)}
	seconds = max(said.Duration, said.Usage.Seconds, 0)
	if t.Prompt == 0 && t.Output == 0 {
		t = chat.Tokens{Output: textTokens(text), Estimated: true}
		if seconds == 0 {
			seconds = float64(size) / soundRate
		}
	}
	return t, seconds
}
