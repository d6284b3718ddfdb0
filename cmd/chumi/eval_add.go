package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// evalAddOptions says which answer becomes a case.
type evalAddOptions struct {
	tenant, conversation, name, dir, expected string
	seq                                       uint64
	must, mustNot                             []string
}

func (c *cli) evalAddCommand() *cobra.Command {
	var o evalAddOptions
	cmd := &cobra.Command{Use: "add", Short: "Make a case of an answer that a person corrected, offline",
		Long: `add reads a data directory whose engine is stopped and writes a case of one turn:
what was said before, what was asked, what was looked up, the assistant as it was, and
what the answer should have been. What is personal is taken out. --seq is that of the
event turn_answered, or of the message that was sent.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.conversation == "" || o.seq == 0 || o.expected == "" {
				return usageError(errors.New("eval add needs --conversation, --seq and --expected"))
			}
			return c.offline(cmd, func(ctx context.Context, s *persistence.Store) error {
				if err := knownTenant(ctx, s, o.tenant); err != nil {
					return err
				}
				r := &replay{cli: c, opt: &replayOptions{tenant: o.tenant}, store: s}
				if err := r.readPast(ctx); err != nil {
					return err
				}
				return c.evalAdd(r, &o)
			})
		}}
	c.configFlags(cmd, offlineKeys...)
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "id of the tenant")
	f.StringVar(&o.conversation, "conversation", "", "id of the conversation")
	f.Uint64Var(&o.seq, "seq", 0, "seq of the answer")
	f.StringVar(&o.expected, "expected", "", "what the answer should have been")
	f.StringArrayVar(&o.must, "must", nil, "text that the answer must have (repeatable)")
	f.StringArrayVar(&o.mustNot, "must-not", nil, "text that it must not have (repeatable)")
	f.StringVar(&o.name, "name", "", "name of the case (default of the conversation and seq)")
	f.StringVar(&o.dir, "dir", "evals", "directory for the case")
	return cmd
}

func (c *cli) evalAdd(r *replay, o *evalAddOptions) error {
	id := chat.ConversationID(o.conversation)
	events, err := r.events(id)
	if err != nil {
		return err
	}
	call, err := answerAt(events, chat.Seq(o.seq))
	if err != nil {
		return usageError(err)
	}
	talk, lost := call.Talk(events, r.past)
	if lost != "" {
		return fmt.Errorf("the answer at %d cannot be made a case: %s", o.seq, lost)
	}
	state, _, err := r.store.Load(chat.TenantID(o.tenant), id)
	if err != nil {
		return err
	}
	contact, err := r.store.Contact(chat.TenantID(o.tenant), state.Contact)
	if err != nil {
		return err
	}
	redactor := chat.NewRedactor(&chat.Personal{Contacts: []chat.Contact{contact}})
	hide := func(text string) string { return redactor.Redact(text, map[string]int{}) }
	name := cmp.Or(o.name, fmt.Sprintf("%s at %d", o.conversation, o.seq))
	base := cmp.Or(fileWord(o.name), fmt.Sprintf("%s-%d", o.conversation, o.seq))
	one := map[string]any{"name": name, "assistant": base + assistantSuffix}
	var knowledge, history, tools []map[string]string
	for _, p := range talk.Saw {
		knowledge = append(knowledge, map[string]string{"id": p.Chunk, "title": hide(p.Title), "text": hide(p.Text)})
	}
	var asked []string
	for _, e := range talk.Events {
		m := e.Message
		switch {
		case m == nil || m.Revoked || m.Text == "":
		case e.Kind == chat.MessageReceived && e.Seq >= talk.From && e.Seq <= talk.UpTo:
			asked = append(asked, hide(m.Text))
		case e.Seq >= talk.From:
		case e.Kind == chat.MessageReceived:
			history = append(history, map[string]string{"customer": hide(m.Text)})
		case e.Kind == chat.MessageQueued || e.Kind == chat.MessageEchoed:
			history = append(history, map[string]string{"business": hide(m.Text)})
		}
	}
	was, _ := chat.OutcomeOf(events, call.Turn)
	for _, use := range was.Tools {
		result := chat.RecordingOf(events).Result(call.Turn, use.Name, use.Args)
		tools = append(tools, map[string]string{"name": use.Name, "args": hide(string(use.Args)), "result": hide(result.Content)})
	}
	turn := map[string]any{"customer": asked, "expected": hide(o.expected)}
	for key, list := range map[string][]string{"must": o.must, "must_not": o.mustNot} {
		if len(list) > 0 {
			turn[key] = list
		}
	}
	one["turns"] = []any{turn}
	for key, list := range map[string][]map[string]string{"knowledge": knowledge, "history": history, "tools": tools} {
		if len(list) > 0 {
			one[key] = list
		}
	}
	assistant := talk.Settings.Profile
	if assistant == nil {
		assistant = &chat.Assistant{ID: chat.DefaultAssistant, Instructions: talk.Settings.Instructions}
	}
	var tree any
	b, err := json.Marshal(assistant)
	if err != nil || json.Unmarshal(b, &tree) != nil {
		return errors.New("the assistant cannot be written")
	}
	return errors.Join(writeYAML(filepath.Join(o.dir, base+assistantSuffix), tree), writeYAML(filepath.Join(o.dir, base+".yaml"), one),
		told(c, filepath.Join(o.dir, base+".yaml")))
}

// answerAt is the recorded call whose answer stands at a seq, or was sent there.
func answerAt(events []chat.Event, seq chat.Seq) (*chat.RecordedCall, error) {
	var turn chat.TurnID
	for i := range events {
		if e := &events[i]; e.Seq == seq && e.Message != nil {
			turn = e.Message.Turn
		}
	}
	calls := chat.RecordedCalls(events)
	for i := len(calls) - 1; i >= 0; i-- {
		if calls[i].Record != nil && (calls[i].Seq == seq || turn != "" && calls[i].Turn == turn) {
			return &calls[i], nil
		}
	}
	return nil, fmt.Errorf("--seq %d is no answer of the assistant", seq)
}

// fileWord is a name as the name of a file.
func fileWord(name string) string {
	b := []byte(name)
	for i := range b {
		if c := b[i] | 0x20; (c < 'a' || c > 'z') && (b[i] < '0' || b[i] > '9') && b[i] != '-' && b[i] != '_' {
			b[i] = '-'
		}
	}
	return string(b)
}

func writeYAML(file string, v any) error {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- a file that the user names
	if err != nil {
		return fmt.Errorf("%s cannot be written: %s", file, cause(err))
	}
	_, err = f.Write(b.Bytes())
	return errors.Join(err, f.Close())
}

func told(c *cli, file string) error {
	_, err := fmt.Fprintln(c.stdout, "wrote", file)
	return err
}
