package openaisim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"net/http"
	"strings"
	"unicode"
)

const (
	// EmbeddingName is the model that vectors are said to be of, EmbeddingLen their length.
	EmbeddingName = "chumi-simulated-embedding"
	EmbeddingLen  = 512
	// embeddingsMax texts may be in one request.
	embeddingsMax = 2048
)

// embed serves POST /embeddings.
func (s *Server) embed(w http.ResponseWriter, r *http.Request) {
	s.answering.Add(1)
	defer s.answering.Add(-1)
	if !s.allowed(w, r) {
		return
	}
	var req struct {
		Model    string          `json:"model"`
		Input    json.RawMessage `json:"input"`
		Encoding string          `json:"encoding_format"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
	if err != nil || json.Unmarshal(body, &req) != nil {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "", "", unparsed)
		return
	}
	var one string
	var texts []string
	if json.Unmarshal(req.Input, &one) == nil {
		texts = []string{one}
	} else if json.Unmarshal(req.Input, &texts) != nil || len(texts) == 0 || len(texts) > embeddingsMax {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "", "input", "wants a text or a list of at most 2048 texts")
		return
	}
	if req.Model == "" || req.Encoding == "base64" {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "", "model", "a model is required, and floats are the only encoding")
		return
	}
	type row struct {
		Object    string    `json:"object"`
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	rows := []row{}
	n := 0
	for i, text := range texts {
		if text == "" {
			refuse(w, http.StatusBadRequest, "invalid_request_error", "", "input", "input cannot be an empty string")
			return
		}
		rows = append(rows, row{"embedding", i, Vector(text)})
		n += tokens(text)
	}
	s.beside(w, r, Call{API: apiEmbeddings, Model: req.Model, PromptTokens: n}, strings.Join(texts, "\n"), func(Call) []byte {
		return encode(map[string]any{"object": "list", "model": EmbeddingName, "data": rows,
			"usage": map[string]int{"prompt_tokens": n, "total_tokens": n}})
	})
}

// transcribe serves POST /audio/transcriptions.
func (s *Server) transcribe(w http.ResponseWriter, r *http.Request) {
	s.answering.Add(1)
	defer s.answering.Add(-1)
	if !s.allowed(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, requestMax)
	file, header, err := r.FormFile("file")
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "", "file", "a file is required")
		return
	}
	sound, err := io.ReadAll(file)
	if err != nil || !strings.Contains(header.Filename, ".") {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "", "file", "Invalid file format.")
		return
	}
	text := fmt.Sprintf("a voice note of %d bytes", len(sound))
	if s.o.Transcript != nil {
		text = s.o.Transcript(header.Filename, sound)
	}
	c := Call{API: apiTranscriptions, Model: r.FormValue("model"), Text: text, PromptTokens: len(sound) / 100, OutTokens: tokens(text)}
	s.beside(w, r, c, string(sound), func(c Call) []byte {
		if c.Fault == FaultEmpty {
			text = ""
		}
		return encode(map[string]any{"text": text, "usage": map[string]any{
			"type": "tokens", "input_tokens": c.PromptTokens, "output_tokens": c.OutTokens, "total_tokens": c.PromptTokens + c.OutTokens}})
	})
}

// beside answers a request that is no completion; of says what it is about.
func (s *Server) beside(w http.ResponseWriter, r *http.Request, c Call, of string, body func(Call) []byte) {
	used := c
	a := &Asked{api: c.API, Messages: []Message{{Role: "user", Text: of}}}
	c.Time, c.Prompt, c.Turn = s.o.Now().UTC(), a.hash(), r.Header.Get(TurnHeader)
	s.met(&c, a, &Said{Text: used.Text})
	if c.Answer == AnswerGiven {
		c.PromptTokens, c.OutTokens, c.CachedTokens = used.PromptTokens, used.OutTokens, 0
		c.Cost = s.o.Price.of(&c)
	}
	c = s.ledger.add(c)
	s.moment(CallReceived, c)
	s.pause(r, c, c.latency, 0)
	s.moment(CallAnswering, c)
	if !s.stumble(w, r, c) {
		s.whole(w, c, body(c))
	}
	_ = http.NewResponseController(w).Flush() // a client that left learns nothing
	s.moment(CallAnswered, c)
}

// Vector is the embedding of a text: its words and the threes of letters in them,
// hashed into EmbeddingLen places, with length one. Texts that share words, or words
// that share letters, are near one another; what they mean is not known.
func Vector(text string) []float32 {
	out := make([]float32, EmbeddingLen)
	add := func(feature string, weight float64) {
		h := fnv.New64a()
		_, _ = io.WriteString(h, feature)
		sum := h.Sum64()
		if sum>>63 == 1 {
			weight = -weight
		}
		out[sum%EmbeddingLen] += float32(weight)
	}
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, word := range words {
		letters := []rune("^" + word + "$")
		// Short words say little: most are in every text.
		weight := math.Min(float64(len(letters)-2), 6) / 6
		add("w "+word, weight)
		for i := 0; i+3 <= len(letters); i++ {
			add("t "+string(letters[i:i+3]), weight/3)
		}
	}
	var square float64
	for _, f := range out {
		square += float64(f) * float64(f)
	}
	if square == 0 {
		out[0], square = 1, 1
	}
	for i := range out {
		out[i] = float32(float64(out[i]) / math.Sqrt(square))
	}
	return out
}
