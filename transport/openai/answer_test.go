package openai

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	goopenai "github.com/sashabaranov/go-openai"
)

// TestPiece_ReadsWhatTheWholeDecoderReads: whichever way a chunk is read, the draft is the
// same afterwards.
func TestPiece_ReadsWhatTheWholeDecoderReads(t *testing.T) {
	chunk := func(delta, rest string) string {
		return `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m1","choices":[{"index":0,"delta":` + delta + rest + `}]}`
	}
	for raw, plain := range map[string]bool{
		chunk(`{"content":" wörld\n\"<&>\""}`, `,"finish_reason":null`):                true,
		chunk(`{"role":"assistant","content":"a","refusal":null}`, `,"logprobs":null`): true,
		chunk(`{}`, ``):                                                            true,
		chunk(`{"content":null}`, ``):                                              true,
		chunk(`{"content":"\u00e9\ud83d\ude00"}`, ``):                              false,
		chunk("{\"content\":\"\xff\"}", ``):                                        false,
		chunk(`{"content":7}`, ``):                                                 false,
		chunk(`{"content":"a","refusal":"no"}`, ``):                                false,
		chunk(`{"content":"a"}`, `,"finish_reason":"stop"`):                        true,
		chunk(`{"content":"a"}`, `,"finish_reason":"null"`):                        true,
		chunk(`{"content":"a"}`, `,"finish_reason":7`):                             false,
		`{"id":"c1","model":5,"choices":[{"delta":{"content":"a"}}]}`:              false,
		chunk(`{"tool_calls":[{"index":0,"function":{"name":"f"}}]}`, ``):          false,
		chunk(`{"function_call":{"name":"f","arguments":"{}"}}`, ``):               false,
		chunk(`null`, ``):                                                          false,
		`{"model":"m2","choices":[],"usage":{"prompt_tokens":3,"total_tokens":3}}`: false,
		`{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}`:        false,
		`{"choices":`: false,
	} {
		got, want := &draft{most: 1000}, &draft{most: 1000}
		p := parsers.Get()
		if _, _, ok := (&draft{}).plain(p, []byte(raw)); ok != plain {
			t.Errorf("%s: read as plain: %v, want %v", raw, ok, plain)
		}
		parsers.Put(p)
		gotErr := got.piece([]byte(raw))
		var whole goopenai.ChatCompletionStreamResponse
		wantErr := json.Unmarshal([]byte(raw), &whole)
		if wantErr == nil {
			wantErr = want.chunk(&whole)
		}
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Errorf("%s: %v, want %v", raw, gotErr, wantErr)
		}
		if got.text.String() != want.text.String() || got.finish != want.finish || got.refused != want.refused ||
			got.model != want.model || got.request != want.request || !reflect.DeepEqual(got.calls, want.calls) || !reflect.DeepEqual(got.tokens, want.tokens) {
			t.Errorf("%s:\n got %+v\nwant %+v", raw, got, want)
		}
	}
}
