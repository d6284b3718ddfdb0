package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// setQuestion is a question of the retrieval set, see persistence/knowledge. Fact
// stands in the passage that answers it; empty for none.
type setQuestion struct{ Chunk, Language, Title, Text, Question, Fact string }

// retrievalSet returns the knowledge of the set as Markdown, and the questions: of the
// answerable ones those kept apart, of the others all.
func retrievalSet(t *testing.T) (markdown string, questions []setQuestion) {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash("../../persistence/knowledge/testdata/retrieval.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	name := ""
	for line := range strings.Lines(string(b)) {
		var l struct {
			setQuestion
			Apart bool
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		switch {
		case l.Question == "":
			branch, heading, _ := strings.Cut(l.Title, " > ")
			if branch != name {
				name = branch
				text.WriteString("# " + branch + "\n\n")
			}
			text.WriteString("## " + heading + "\n\n" + l.Text + "\n\n")
		case l.Chunk == "" || l.Apart:
			questions = append(questions, l.setQuestion)
		}
	}
	return text.String(), questions
}

// groundedTurn is what a feed tells of an answer.
type groundedTurn struct {
	Turn struct {
		Response *chat.Response `json:"response"`
		Saw      []chat.Passage `json:"saw"`
	} `json:"turn"`
}

// statesNothing are what the simulated model says when it does not know, or asks back.
var statesNothing = []string{"I am sorry, I do not know that.", "Das weiß ich leider nicht.", "Eso no lo sé, lo siento.", "Isso não sei, lamento.",
	"Je ne le sais pas, désolé.", "Sure! What is the order number, for example 1042?", "Gern! Wie lautet die Bestellnummer, zum Beispiel 1042?",
	"¡Claro! ¿Cuál es el número de pedido, por ejemplo 1042?"}

// TestGrounded asks the whole engine the questions of the retrieval set, over HTTP on
// both sides: every source that an answer names was shown to the model and holds what
// the answer says, and no answer to a question that nothing answers says anything. The
// model is the simulated one, which quotes and does not think: what is shown is that
// the engine gives it what bears on the question, tells it when nothing does, and
// records no source that is none.
func TestGrounded(t *testing.T) {
	markdown, questions := retrievalSet(t)
	bootstrap := write(t, "bootstrap.yaml", declaredOnce)
	sims, args := quickSimulators(t, bootstrap)
	dir := t.TempDir()
	// Vectors of the simulated model mean nothing: those made in the engine are asked.
	e := startEngine(t, dir, bootstrap, append(args, "--set", "assistant.embedding_model=")...)
	sims.meta.SetHooks("http://" + e.edge)
	if out, code := e.knowing("key-of-acme", "add", "--file", write(t, "branches.md", markdown), "--title", "Branches"); code != 0 || !strings.Contains(out, "ready") {
		t.Fatalf("%d: %s", code, out)
	}
	events := e.stream("key-of-acme")
	account, _ := sims.meta.Account("acme-wa")
	const batch = 20
	for from := 0; from < len(questions); from += batch {
		some := questions[from:min(from+batch, len(questions))]
		var said []metasim.Update
		for i, q := range some {
			said = append(said, sims.meta.Text(account, metasim.Customer{ID: fmt.Sprint(4915550200000 + from + i), Name: "Ada"}, q.Question))
		}
		if err := sims.meta.Deliver(t.Context(), said...); err != nil {
			t.Fatal(err)
		}
		done := 0
		until(t, events, func(ev apiEvent) bool {
			if ev.Kind == "turn_answered" || ev.Kind == "turn_abandoned" {
				done++
			}
			return done == len(some)
		})
	}
	e.stop()

	asked, answers := map[string]string{}, map[string]groundedTurn{}
	for _, ev := range exported(t, dir, "acme") {
		switch ev.Kind {
		case "message_received":
			asked[ev.Message.Text] = ev.conversation()
		case "turn_answered":
			var g groundedTurn
			if err := json.Unmarshal([]byte(ev.line), &g); err != nil {
				t.Fatal(err)
			}
			answers[ev.conversation()] = g
		}
	}
	var n struct{ answerable, right, beside, unknown, sources, unanswerable, shown, invented int }
	for _, q := range questions {
		turn := answers[asked[q.Question]].Turn
		if turn.Response == nil {
			t.Errorf("%q has no answer", q.Question)
			continue
		}
		text := strings.Join(turn.Response.Messages, "\n")
		silent := slices.Contains(statesNothing, text)
		if q.Fact == "" {
			n.unanswerable++
			if len(turn.Saw) > 0 {
				n.shown++
			}
			if !silent || len(turn.Response.Sources) > 0 {
				n.invented++
				t.Errorf("%q is answered with %q of %v", q.Question, text, turn.Response.Sources)
			}
			continue
		}
		n.answerable++
		switch {
		case silent:
			n.unknown++
		case strings.Contains(text, q.Fact):
			n.right++
		default:
			n.beside++
		}
		if silent != (len(turn.Response.Sources) == 0) {
			t.Errorf("%q is answered with %q of %v", q.Question, text, turn.Response.Sources)
		}
		for _, s := range turn.Response.Sources {
			n.sources++
			at := slices.IndexFunc(turn.Saw, func(p chat.Passage) bool { return p.Chunk == s })
			if at < 0 {
				t.Errorf("%q names %s, which it never saw", q.Question, s)
				continue
			}
			_, stated, _ := strings.Cut(text, ": ")
			source := strings.Join(strings.Fields(turn.Saw[at].Text), " ")
			if stated == "" || !strings.Contains(source, stated) || !strings.Contains(markdown, turn.Saw[at].Text) {
				t.Errorf("%q: %q stands not in its source %q", q.Question, stated, source)
			}
		}
	}
	t.Logf("%d answerable questions kept apart: %d answers state the fact asked for, %d another of a passage that bears on it, %d say that they do not know, or ask back; %d sources named, each was shown and holds what is stated\n"+
		"%d unanswerable questions: %d were shown weak passages, %d answers state anything", n.answerable, n.right, n.beside, n.unknown, n.sources, n.unanswerable, n.shown, n.invented)
	if 2*n.right < n.answerable {
		t.Errorf("%d of %d questions are answered with their fact", n.right, n.answerable)
	}
}
