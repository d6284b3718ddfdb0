package chat_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output in testdata")

// TestScripts runs conversations written as text. A command, ----, what it led
// to, an empty line. Commands are listed in run.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(chat.WhatsApp)
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
		head, want, isCommand := strings.Cut(block, "\n----")
		if !isCommand {
			fmt.Fprintf(&out, "%s\n\n", block)
			continue
		}
		got := ""
		for _, line := range strings.Split(head, "\n") {
			if strings.HasPrefix(line, "#") {
				continue
			}
			got += run(t, &w, line)
		}
		fmt.Fprintf(&out, "%s\n----\n%s\n", head, got)
		if want = strings.TrimPrefix(want, "\n"); !*rewrite && strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
			t.Fatalf("%s\ngot:\n%s\nwant:\n%s", head, got, want)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run executes one command and tells what it led to.
//
//	channel instagram            start over on Instagram
//	set quiet=2s assistant=off   change settings
//	clock 3s                     let time pass
//	crash                        a new epoch: whatever was under way died
//	msg ID "text" [type=image] [age=25h] [group=g] [files=N]
//	file SEQ INDEX stored | file SEQ INDEX REASON
//	status ID WORD [entry=0]     a report; entry= sends our callback data along
//	echo ID "text" [ours=yes] | read ID | update TYPE [digest=d] | poison ID
//	outbox                       list the sends whose end is not known
//	tick
//	answer "text" [call=N] | fail REASON [permanent] | limit turns|budget: tick with that used up
//	and the commands of turning, for tools and money
//	due I | finish I RESULT [remote=R] [code=N] [n=N]
//	takeover | handback, and the commands of sending and of more
func run(t *testing.T, wp **world, line string) string {
	w := *wp
	words := fields(line)
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	opt := map[string]string{}
	for _, word := range words {
		if k, v, ok := strings.Cut(word, "="); ok {
			opt[k] = v
		}
	}
	num := func(s string) int { n, _ := strconv.Atoi(s); return n }
	inbound := func(kind chat.InboundKind) *chat.Inbound {
		in := &chat.Inbound{Kind: kind, ChannelKind: w.state.Kind, Remote: chat.RemoteID(arg(1)),
			Type: chat.TypeText, Customer: w.customer(), Time: w.now, Group: opt["group"], Digest: opt["digest"]}
		if age := opt["age"]; age != "" {
			in.Time = w.now.Add(-duration(t, age))
		}
		if v := opt["type"]; v != "" {
			in.Type = v
		}
		return in
	}
	var f chat.Fact
	switch arg(0) {
	case "channel":
		*wp = newWorld(chat.Instagram)
		return ""
	case "set":
		settings(t, &w.set, opt)
		return ""
	case "clock":
		w.now = w.now.Add(duration(t, arg(1)))
		return ""
	case "crash":
		w.epoch++
		return ""
	case "msg", "echo":
		kind := chat.InboundMessage
		if arg(0) == "echo" {
			kind = chat.InboundEcho
		}
		in := inbound(kind)
		in.Text, in.Ours = arg(2), opt["ours"] != ""
		if n := num(opt["files"]); n > 0 {
			in.Content = &chat.Content{Media: make([]chat.Media, n)}
			for i := range in.Content.Media {
				in.Content.Media[i] = chat.Media{Kind: in.Type, ID: strconv.Itoa(i)}
			}
		}
		f = in
	case "file":
		got := chat.FetchFinished{Seq: chat.Seq(num(arg(1))), Index: num(arg(2)), Reason: arg(3)}
		if got.Reason == "stored" {
			stem, _ := chat.MediaStem(chat.MessageIDAt(w.state.ID, got.Seq), got.Index)
			got.Reason, got.Kept = "", chat.Kept{Blob: stem.Named("random"), Size: 5}
		}
		f = got
	case "status":
		in := inbound(chat.InboundStatus)
		in.Type = arg(2)
		if e, ok := opt["entry"]; ok {
			in.Callback = string(w.entry(num(e)))
		}
		in.Code = num(opt["code"])
		f = in
	case "read":
		f = inbound(chat.InboundRead)
	case "update":
		in := inbound(chat.InboundUpdate)
		in.Remote, in.Type, in.Customer = "", arg(1), nil
		f = in
	case "poison":
		f = chat.Poison{Inbound: inbound(chat.InboundMessage), Reason: "panic"}
	case "outbox":
		return outbox(w)
	case "tick":
		f = chat.Tick{}
	case "answer":
		call := w.state.Turn.Call
		if v := opt["call"]; v != "" {
			call = num(v)
		}
		f = chat.ModelAnswered{Turn: w.state.TurnID(), Call: call, Answer: chat.Answer{Text: arg(1), Model: "m"}}
	case "fail":
		f = chat.ModelFailed{Turn: w.state.TurnID(), Call: w.state.Turn.Call, Reason: arg(1), Permanent: arg(2) == "permanent"}
	case "limit":
		w.exhausted = []string{arg(1) + "/" + w.now.Format(map[string]string{"turns": time.DateOnly, "budget": "2006-01"}[arg(1)])}
		defer func() { w.exhausted = nil }()
		f = chat.Tick{}
	case "due":
		f = chat.AttemptDue{Message: w.entry(num(arg(1)))}
	case "finish":
		results := map[string]chat.SendResult{"accepted": chat.SendAccepted, "refused": chat.SendRefused,
			"throttled": chat.SendThrottled, "ambiguous": chat.SendAmbiguous, "blocked": chat.SendBlocked, "unstarted": chat.SendUnstarted}
		id := w.entry(num(arg(1)))
		n := num(opt["n"])
		if e := w.state.Entry(id); e != nil && n == 0 {
			n = e.N
		}
		f = chat.AttemptFinished{Message: id, N: n, Outcome: chat.SendOutcome{
			Result: results[arg(2)], Remote: chat.RemoteID(opt["remote"]), Code: num(opt["code"]), Reason: arg(2)}}
	case "takeover":
		f = chat.TakeOver{Member: "ana"}
	case "handback":
		f = chat.HandBack{Member: "ana"}
	default:
		var done, known bool
		if f, known = turning(w, words, opt); known && f == nil {
			return ""
		}
		if !known {
			if f, done, known = sending(t, w, words, opt); done {
				return ""
			}
		}
		if !known {
			said := ""
			if f, said = more(w, words, opt, inbound); f == nil && said == "" {
				t.Fatalf("unknown command %q", line)
			}
			if f == nil {
				return said
			}
		}
	}
	if err := w.do(f); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return describe(w)
}

func outbox(w *world) string {
	var b strings.Builder
	for _, e := range w.state.Outbox {
		fmt.Fprintf(&b, "%d %s n=%d", e.Seq, e.State, e.N)
		if e.State == chat.SendLeft {
			b.WriteString(" left")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func settings(t *testing.T, s *chat.Settings, opt map[string]string) {
	keys := make([]string, 0, len(opt))
	for k := range opt {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		switch k {
		case "assistant":
			s.Assistant = opt[k] == "on"
		case "quiet":
			s.QuietPeriod = duration(t, opt[k])
		case "silence":
			s.SilenceDeadline = duration(t, opt[k])
		case "greeting":
			s.Greeting = opt[k]
		case "groups":
			s.IgnoreGroups = opt[k] == "ignore"
		case "turns":
			n, _ := strconv.ParseInt(opt[k], 10, 64)
			s.TurnsPerDayMax = n
		case "class":
			s.WhatsAppClass = chat.AtLeastOnce
			if opt[k] == "at_most_once" {
				s.WhatsAppClass = chat.AtMostOnce
			}
		default:
			t.Fatalf("unknown setting %q", k)
		}
	}
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fields splits a line at spaces, keeping "quoted text" together.
func fields(line string) (words []string) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' {
			end := strings.IndexByte(line[1:], '"') + 1
			words = append(words, line[1:end])
			line = line[end+1:]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		words = append(words, word)
		line = rest
	}
	return words
}

func describe(w *world) string {
	var b strings.Builder
	for _, e := range w.last.Events {
		fmt.Fprintf(&b, "%d %s%s\n", e.Seq, e.Kind, detail(w, &e))
	}
	for _, e := range w.last.Effects {
		name := strings.TrimPrefix(fmt.Sprintf("%T", e), "chat.")
		fmt.Fprintf(&b, "-> %s\n", name)
	}
	switch v := w.last.Verdict; v.Kind {
	case chat.VerdictDuplicate:
		fmt.Fprintf(&b, "duplicate\n")
	case chat.VerdictRefused:
		fmt.Fprintf(&b, "refused %s\n", limitWord(v))
	}
	for _, seq := range w.last.Redact {
		fmt.Fprintf(&b, "redacted %d: %s\n", seq, strings.TrimSpace(detail(w, &w.events[seq-1])))
	}
	for _, a := range w.last.Releases {
		fmt.Fprintf(&b, "released %s\n", a.Value)
	}
	if n := len(w.last.Verdict.Pending); n > 0 {
		fmt.Fprintf(&b, "pending %d\n", n)
	}
	if !w.state.Armed.IsZero() {
		fmt.Fprintf(&b, "due in %s\n", w.state.Armed.Sub(w.now))
	}
	return b.String()
}

func detail(w *world, e *chat.Event) string {
	switch {
	case e.Message != nil:
		s := fmt.Sprintf(" %s %q", e.Message.Author, e.Message.Text)
		if e.Message.Revoked {
			s += " revoked"
		}
		return s
	case e.Attempt != nil:
		s := fmt.Sprintf(" n=%d %s", e.Attempt.N, e.Attempt.Reason)
		if e.Attempt.Remote != "" {
			s += " " + string(e.Attempt.Remote)
		}
		return strings.TrimRight(s, " ")
	case e.Status != nil:
		known := ""
		if e.Status.Message == "" {
			known = " orphan"
		}
		return fmt.Sprintf(" %s %s%s effective=%s", e.Status.Remote, e.Status.Word, known,
			w.rows[rowKey(e.Status.Remote, "")].Mask.Effective())
	case e.Turn != nil:
		return strings.TrimRight(fmt.Sprintf(" call=%d from=%d upto=%d %s", e.Turn.Call, e.Turn.From, e.Turn.UpTo, e.Turn.Reason)+turnDetail(e.Turn), " ")
	case e.Tool != nil:
		return toolDetail(e.Tool)
	case e.Handoff != nil && e.Handoff.Note != "":
		return fmt.Sprintf(" %s %q", e.Handoff.Reason, e.Handoff.Note)
	case e.Handoff != nil:
		return " " + e.Handoff.Reason
	case e.Update != nil && e.Update.Text != "":
		return fmt.Sprintf(" %s %q", e.Update.Type, e.Update.Text)
	case e.Update != nil:
		return " " + e.Update.Type
	case e.Contact != nil && e.Kind != chat.ConversationStarted:
		return people(e.Contact)
	case e.Media != nil:
		_, seq, _ := e.Media.Message.Parse()
		return strings.TrimRight(fmt.Sprintf(" of %d file %d %s", seq, e.Media.Index, e.Media.Reason), " ")
	}
	return ""
}
