package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/openai"
)

// replayOptions says what to replay, and with what.
type replayOptions struct {
	tenant                            string
	conversations                     []string
	same                              bool
	assistant, version, model, record string
	must, mustNot                     []string
	out                               string
	asJSON                            bool
	parallel                          int
}

func (c *cli) replayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{Use: "replay", Short: "Make the prompts of stored conversations again, or ask another assistant or model, offline",
		Long: `replay reads a data directory whose engine is stopped and writes nothing into it.

Without a change it makes the prompt of every recorded model call again and compares
it, byte for byte, with the one that was asked. What cannot be made again is named:
erased, withdrawn, unrecorded, assistant_missing, tool_missing. It exits 3 when a
prompt differs and nobody is the reason.

With --assistant, --version or --model it asks the model anew for what each turn came
to. Tools are answered from the recording, by name and arguments; a call that was never
made is answered "not recorded". Nothing is sent, no tool runs. Each conversation is
same, changed or worse, and it exits 3 when one is worse: no answer or a handoff where
there was an answer, a text of --must lost, or a text of --must-not said.

With --out a replay that was interrupted goes on where it was.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.offline(cmd, func(ctx context.Context, s *persistence.Store) error {
				if err := knownTenant(ctx, s, o.tenant); err != nil {
					return err
				}
				r, err := c.newReplay(ctx, &loaded.Config, s, &o)
				if err != nil {
					return err
				}
				return errors.Join(r.run(ctx), r.close())
			})
		}}
	c.configFlags(cmd, append(slices.Clone(offlineKeys), "assistant.base_url", "assistant.model")...)
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "id of the tenant")
	f.StringArrayVar(&o.conversations, "conversation", nil, "id of a conversation (repeatable; default all)")
	f.BoolVar(&o.same, "same", false, "compare prompts only; the default when nothing is changed")
	f.StringVar(&o.assistant, "assistant", "", "file with an assistant, YAML or JSON, as in the API")
	f.StringVar(&o.version, "version", "", "stored version of an assistant, as main@4")
	f.StringVar(&o.model, "model", "", "model to ask, as NAME or PROVIDER/NAME")
	f.StringVar(&o.record, "cassette", "", "file with recorded answers; without a key only they answer")
	f.StringArrayVar(&o.must, "must", nil, "text that an answer may not lose (repeatable)")
	f.StringArrayVar(&o.mustNot, "must-not", nil, "text that no answer may have (repeatable)")
	f.StringVar(&o.out, "out", "", "file for the results, one JSON line per conversation; goes on with what is missing there")
	f.BoolVar(&o.asJSON, "json", false, "print JSON lines")
	f.IntVar(&o.parallel, "parallel", 4, "conversations at once")
	return cmd
}

// replay is one run over conversations.
type replay struct {
	cli    *cli
	opt    *replayOptions
	store  *persistence.Store
	past   *chat.Past
	prices *chat.PriceList
	// own is the assistant asked now, nil for the recorded one; models replace its.
	own    *chat.Assistant
	models []chat.ModelRef
	// model is nil when prompts are compared only.
	model  actors.Model
	tape   *cassette
	client *openai.Client
}

func (c *cli) newReplay(ctx context.Context, cfg *Config, s *persistence.Store, o *replayOptions) (*replay, error) {
	r := &replay{cli: c, opt: o, store: s, prices: cfg.Assistant.Prices}
	if o.parallel < 1 || o.parallel > 256 {
		return nil, usageError(errors.New("--parallel wants 1 to 256"))
	}
	if o.same && (o.assistant != "" || o.version != "" || o.model != "") || o.assistant != "" && o.version != "" {
		return nil, usageError(errors.New("--same goes with no change, and --assistant not with --version"))
	}
	if err := r.readPast(ctx); err != nil {
		return nil, err
	}
	switch {
	case o.assistant != "":
		own, err := readAssistant(o.assistant)
		if err != nil {
			return nil, usageError(err)
		}
		r.own = own
	case o.version != "":
		if r.own = r.past.Version(chat.AssistantRef(o.version)); r.own == nil {
			return nil, usageError(fmt.Errorf("--version %q: the tenant has no such version", clip(o.version)))
		}
	}
	if o.model != "" {
		provider, name, found := strings.Cut(o.model, "/")
		if !found {
			provider, name = "", o.model
		}
		r.models = []chat.ModelRef{{Provider: provider, Model: name}}
	}
	if r.own == nil && r.models == nil {
		return r, nil
	}
	return r, r.openModel(cfg)
}

// readPast reads the tenant's assistants and tools.
func (r *replay) readPast(ctx context.Context) error {
	var docs []chat.Doc
	for _, noun := range []chat.DocNoun{chat.DocVersion, chat.DocTool, chat.DocToolText} {
		some, err := r.store.Docs(ctx, chat.TenantID(r.opt.tenant), noun)
		if err != nil {
			return err
		}
		docs = append(docs, some...)
	}
	r.past = chat.ReadPast(docs)
	return nil
}

// openModel connects the model that is asked: a cassette, a provider, or both.
func (r *replay) openModel(cfg *Config) error {
	var live actors.Model
	if cfg.AssistantReady() {
		client, err := offlineModel(cfg)
		if err != nil {
			return err
		}
		r.client, live = client, client
	}
	if r.opt.record != "" {
		tape, err := openCassette(r.opt.record, live)
		if err != nil {
			return err
		}
		r.tape, live = tape, tape
	}
	if live == nil {
		return usageError(errors.New("there is no model to ask: set assistant.api_key or assistant.base_url, or give --cassette"))
	}
	r.model = live
	return nil
}

// offlineModel is the client of the configured models outside an engine.
func offlineModel(cfg *Config) (*openai.Client, error) {
	s := &Server{opt: ServerOptions{Config: cfg}, metrics: metrics.New(nil)}
	return s.buildModel()
}

// close keeps what models answered.
func (r *replay) close() error {
	if r.client != nil {
		r.client.Close()
	}
	if r.tape == nil {
		return nil
	}
	return r.tape.save(func(s string) string { return s })
}

// readAssistant reads an assistant as the API takes it, from YAML or JSON.
func readAssistant(file string) (*chat.Assistant, error) {
	data, err := readSmall(file)
	if err != nil {
		return nil, &Problem{Where: file, What: "cannot be read: " + cause(err)}
	}
	var tree any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, &Problem{Where: file, What: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, &Problem{Where: file, What: "has a key that is not a word"}
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	a := &chat.Assistant{ID: chat.DefaultAssistant}
	if err := d.Decode(a); err != nil {
		return nil, &Problem{Where: file, What: strings.TrimPrefix(err.Error(), "json: ")}
	}
	if wrong := chat.CheckAssistant(a); wrong != nil {
		return nil, &Problem{Where: file, Key: wrong.Param, What: wrong.Message}
	}
	return a, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
