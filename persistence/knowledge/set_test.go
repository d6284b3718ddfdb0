package knowledge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

// The retrieval set: the knowledge of a group of businesses that does not exist, and
// questions about it. It is made of templates.txt by this file, and committed as
// retrieval.jsonl; a third of the topics, with all that is asked about them, is kept
// apart: nothing was chosen by looking at it.

var rewrite = flag.Bool("rewrite", false, "write testdata/retrieval.jsonl anew")

const setFile = "testdata/retrieval.jsonl"

// setLine is a line of the set: a chunk, or a question.
type setLine struct {
	Chunk    string `json:"chunk,omitempty"`
	Language string `json:"language"`
	Title    string `json:"title,omitempty"`
	Text     string `json:"text,omitempty"`
	Question string `json:"question,omitempty"`
	// Fact stands in the chunk that answers; a question without a chunk has no answer.
	Fact  string `json:"fact,omitempty"`
	Apart bool   `json:"apart,omitempty"`
}

// branches are 24 names for each language, three for each kind of business.
var branches = map[string][]string{
	"en": {"Thornwick", "Amberley", "Quillmere", "Pedalworks", "Larkspur", "Fenwheel", "Oakhaven", "Merrowby", "Stonecroft", "Crumbline", "Hearthside", "Millbrook",
		"Ironvale", "Pulsefield", "Kestrel", "Lingworth", "Parlance", "Wordgate", "Axleton", "Gearford", "Torquay", "Voltmere", "Circuitry", "Brightwell"},
	"de": {"Kranichhof", "Seestern", "Birkenau", "Radlerglück", "Speichenwerk", "Kettenhaus", "Lindenweg", "Heiltal", "Rosenau", "Krustenglück", "Mehlwerk", "Ofenzeit",
		"Kraftwerk", "Hantelhaus", "Sprossen", "Wortschatz", "Sprachraum", "Silbenhaus", "Kolbenhof", "Boxengasse", "Schraubwerk", "Stromhaus", "Leiterplatz", "Funkenburg"},
	"es": {"Mirlo", "Altamar", "Cipreses", "Ruedalia", "Piñón", "Manillar", "Saludia", "Montealba", "Robledal", "Migaluna", "Trigal", "Leñero",
		"Titanes", "Músculo", "Cumbres", "Vocablo", "Acentos", "Tildes", "Bujía", "Motorés", "Llanta", "Voltio", "Circuitos", "Chispazo"},
}

var kinds = []string{"hotel", "bikes", "clinic", "bakery", "gym", "school", "garage", "shop"}

// asides end a text, so that not all of one topic are alike.
var asides = map[string][]string{
	"en": {"", "The team at the desk explains the details.", "A leaflet with the small print hangs on the wall.", "This holds until we announce something else.", "Regulars know it already."},
	"de": {"", "Das Team am Tresen erklärt die Einzelheiten.", "Ein Merkblatt mit dem Kleingedruckten hängt aus.", "Dies gilt, bis wir anderes bekanntgeben.", "Stammgäste wissen es schon."},
	"es": {"", "El equipo del mostrador explica los detalles.", "Un folleto con la letra pequeña cuelga de la pared.", "Esto vale hasta que anunciemos otra cosa.", "Los habituales ya lo saben."},
}

type topic struct {
	name, kind string
	by         map[string]*phrased
}

type phrased struct {
	title, text, fact string
	questions         []string
}

func readTopics(t testing.TB) (topics []topic) {
	t.Helper()
	b, err := os.ReadFile("testdata/templates.txt")
	if err != nil {
		t.Fatal(err)
	}
	var open *phrased
	for _, line := range strings.Split(string(b), "\n") {
		head, rest, _ := strings.Cut(line, " ")
		switch head {
		case "", "#":
		case "topic":
			f := strings.Fields(rest)
			topics = append(topics, topic{name: f[0], kind: f[1], by: map[string]*phrased{}})
		case "?":
			open.questions = append(open.questions, rest)
		default:
			p := strings.Split(rest, " | ")
			if len(p) != 3 {
				t.Fatalf("a template needs title, text and fact: %s", line)
			}
			open = &phrased{title: p[0], text: p[1], fact: p[2]}
			topics[len(topics)-1].by[head] = open
		}
	}
	return topics
}

// makeSet builds the set from its templates; nothing is drawn by chance.
func makeSet(t testing.TB) (lines []setLine) {
	topics := readTopics(t)
	fill := func(s, name string, at, number int) string {
		return strings.NewReplacer("{n}", name, "{a}", fmt.Sprint(6+(at*5+number*3)%5), "{b}", fmt.Sprint(14+(at*7+number*11)%23)).Replace(s)
	}
	asked := map[string]int{}
	for _, language := range []string{"en", "de", "es"} {
		for at, name := range branches[language] {
			for number, tp := range topics {
				if tp.kind != "*" && tp.kind != kinds[at/3] {
					continue
				}
				p := tp.by[language]
				text := fill(p.text, name, at, number)
				if aside := asides[language][(at+number)%5]; aside != "" {
					text += " " + aside
				}
				lines = append(lines, setLine{Chunk: language + "/" + strings.ToLower(name) + "/" + tp.name, Language: language,
					Title: name + " > " + p.title, Text: text})
			}
		}
		for number, tp := range topics {
			p := tp.by[language]
			for i, q := range p.questions {
				for range 2 {
					// The next branch that has such a chunk.
					at := (asked[language+tp.kind]*7 + i) % 24
					if tp.kind != "*" {
						at = 3*slices.Index(kinds, tp.kind) + asked[language+tp.kind]%3
					}
					asked[language+tp.kind]++
					name := branches[language][at]
					lines = append(lines, setLine{Chunk: language + "/" + strings.ToLower(name) + "/" + tp.name, Language: language,
						Question: fill(q, name, at, number), Fact: fill(p.fact, name, at, number), Apart: number%3 == 1})
				}
			}
		}
	}
	b, err := os.ReadFile("testdata/unanswerable.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		language, q, _ := strings.Cut(line, " ")
		if language == "#" {
			continue
		}
		lines = append(lines, setLine{Language: language, Question: strings.ReplaceAll(q, "{n}", branches[language][i%24]), Apart: i%3 == 1})
	}
	return lines
}

// readSet returns the chunks and the questions of the committed set.
func readSet(t testing.TB) (chunks []chat.Chunk, questions []setLine) {
	t.Helper()
	f, err := os.Open(filepath.FromSlash(setFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		var l setLine
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.Question != "" {
			questions = append(questions, l)
			continue
		}
		chunks = append(chunks, chat.Chunk{ID: l.Chunk, Version: 1, Source: "src_set", Revision: 1, Title: l.Title, Text: l.Text,
			Language: chat.Language(l.Title + "\n" + l.Text)})
	}
	return chunks, questions
}

func TestRetrievalSet_IsWhatItsTemplatesMake(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, l := range makeSet(t) {
		if err := e.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if *rewrite {
		if err := os.WriteFile(setFile, b.Bytes(), 0o644); err != nil { // #nosec G306
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(setFile)
	if err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%s is not what the templates make (%v): go test ./persistence/knowledge -run RetrievalSet -args -rewrite", setFile, err)
	}
}

// shared is the part of a question's content words that stand in a text, as the
// ranking by words sees both: without stop words, without endings.
func shared(t testing.TB, language, question, text string) (float64, []string) {
	t.Helper()
	in := map[string]bool{}
	for _, w := range terms(language, text) {
		in[w] = true
	}
	var all, both int
	var which []string
	seen := map[string]bool{}
	for _, w := range terms(language, question) {
		if seen[w] {
			continue
		}
		seen[w] = true
		all++
		if in[w] {
			both++
			which = append(which, w)
		}
	}
	return float64(both) / float64(max(all, 1)), which
}

// TestRetrievalSet_IsHard holds what is promised of the set.
func TestRetrievalSet_IsHard(t *testing.T) {
	chunks, questions := readSet(t)
	by := map[string]*chat.Chunk{}
	languages := map[string]int{}
	for i := range chunks {
		by[chunks[i].ID] = &chunks[i]
		languages[chunks[i].Language]++
	}
	answered, apart, without := map[string]int{}, 0, 0
	for _, q := range questions {
		if q.Chunk == "" {
			without++
			continue
		}
		c := by[q.Chunk]
		if c == nil {
			t.Fatalf("no chunk %s", q.Chunk)
		}
		answered[q.Language]++
		if q.Apart {
			apart++
		}
		if !strings.Contains(c.Text, q.Fact) {
			t.Errorf("%s does not say %q", c.ID, q.Fact)
		}
		if part, which := shared(t, q.Language, q.Question, c.Content()); part > 0.3 {
			t.Errorf("%s: %q shares %d%% with its chunk: %v", c.ID, q.Question, int(100*part), which)
		}
	}
	n := answered["en"] + answered["de"] + answered["es"]
	t.Logf("%d chunks %v, %d questions %v, %d kept apart, %d without an answer", len(chunks), languages, n, answered, apart, without)
	if len(chunks) < 1000 || n < 300 || without < 100 || len(answered) != 3 || 3*apart < n {
		t.Error("the set is smaller than promised")
	}
}
