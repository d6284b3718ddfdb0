package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
)

func (c *cli) assistantCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "assistant", Short: "Draft, publish and roll back what answers a tenant's customers",
		Long: `The commands talk to the API of a running engine with an API key of the tenant,
given by --key or CHUMI_KEY; those that change something need the scope manage.

  chumi assistant show > main.yaml       what answers now, or the draft
  chumi assistant draft -f main.yaml     write the draft: nobody is answered by it
  chumi assistant preview                what a model is told
  chumi assistant publish                let the draft answer from now on
  chumi assistant rollback               and take it back`,
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.assistantShowCommand(), c.assistantDraftCommand(), c.assistantPreviewCommand(),
		c.assistantPublishCommand(), c.assistantRollbackCommand(), c.assistantHistoryCommand())
	return cmd
}

// assistantFlag is the id of the assistant a command is about.
func assistantFlag(id *string, cmd *cobra.Command) {
	cmd.Flags().StringVar(id, "assistant", string(chat.DefaultAssistant), "id of the assistant")
}

func assistantPath(id string, rest ...string) string {
	return "/v1/assistants/" + url.PathEscape(id) + strings.Join(rest, "")
}

// shownVersion is what the commands print of a version beside its content.
type shownVersion struct {
	Version int       `json:"version"`
	State   string    `json:"state"`
	Created time.Time `json:"created_at"`
	Author  string    `json:"author"`
	Note    string    `json:"note"`
}

// ownMembers are those of a version that are not its content.
var ownMembers = []string{"id", "version", "state", "created_at", "author", "etag"}

func (c *cli) assistantShowCommand() *cobra.Command {
	var id string
	var published bool
	return c.apiCommand("show", "Print the draft, or else the version that answers, as a file to edit", "",
		func(cmd *cobra.Command) {
			assistantFlag(&id, cmd)
			cmd.Flags().BoolVar(&published, "published", false, "print the version that answers, also when there is a draft")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			var got struct {
				Answers json.RawMessage `json:"published_version"`
				Writes  json.RawMessage `json:"draft_version"`
			}
			if err := a.call(cmd.Context(), http.MethodGet, assistantPath(id), nil, &got); err != nil {
				return err
			}
			body := got.Writes
			if string(body) == "null" || published {
				body = got.Answers
			}
			if string(body) == "null" {
				return errors.New("the engine's configuration answers; write a draft first")
			}
			var v shownVersion
			if err := json.Unmarshal(body, &v); err != nil {
				return fmt.Errorf("the engine's answer is unreadable: %w", err)
			}
			text, err := asYAML(body, append(ownMembers, "note")...)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "# %s@%d, %s, written %s by %s\n%s", id, v.Version, v.State, v.Created.Format(time.RFC3339), v.Author, text)
			return err
		})
}

func (c *cli) assistantDraftCommand() *cobra.Command {
	var id, file, note string
	return c.apiCommand("draft", "Write the draft of an assistant from a YAML file", "",
		func(cmd *cobra.Command) {
			assistantFlag(&id, cmd)
			cmd.Flags().StringVarP(&file, "file", "f", "", "YAML file with the content of the assistant")
			cmd.Flags().StringVar(&note, "note", "", "what changed, for people")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			if file == "" {
				return usageError(errors.New("assistant draft needs -f FILE; chumi assistant show prints one"))
			}
			n, err := readAssistantFile(file)
			if err != nil {
				return usageError(err)
			}
			_, body, err := n.read()
			if err != nil {
				return usageError(err)
			}
			var sent map[string]any
			if err := json.Unmarshal(body, &sent); err != nil {
				return err
			}
			if note != "" {
				sent["note"] = note
			}
			var v shownVersion
			if err := a.call(cmd.Context(), http.MethodPost, assistantPath(id, "/versions"), sent, &v); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "%s@%d is %s\n", id, v.Version, stateWord(v.State))
			return err
		})
}

func stateWord(state string) string {
	if state == "draft" {
		return "the draft; chumi assistant publish lets it answer"
	}
	return "published, and says the same"
}

func (c *cli) assistantPreviewCommand() *cobra.Command {
	var id, channel string
	var version int
	return c.apiCommand("preview", "Print what a model is told by the draft, or by another version", "",
		func(cmd *cobra.Command) {
			assistantFlag(&id, cmd)
			cmd.Flags().IntVar(&version, "version", 0, "another version than the draft")
			cmd.Flags().StringVar(&channel, "channel", "", "with what is different on a channel")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			q := url.Values{}
			if version > 0 {
				q.Set("version", strconv.Itoa(version))
			}
			if channel != "" {
				q.Set("channel", channel)
			}
			var got struct {
				Prompt string `json:"system_prompt"`
			}
			if err := a.call(cmd.Context(), http.MethodGet, assistantPath(id, "/preview?", q.Encode()), nil, &got); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.stdout, got.Prompt)
			return err
		})
}

// switchAssistant makes a change and prints what answers after it.
func (c *cli) switchAssistant(cmd *cobra.Command, a *apiClient, id, path string, body any) error {
	var h chat.AssistantHead
	if err := a.call(cmd.Context(), http.MethodPost, assistantPath(id, path), body, &h); err != nil {
		return err
	}
	line := fmt.Sprintf("%s@%d answers", id, h.Published)
	if h.Published == 0 {
		line = "the engine's configuration answers"
	}
	_, err := fmt.Fprintln(c.stdout, line)
	return err
}

func (c *cli) assistantPublishCommand() *cobra.Command {
	var id, note string
	var version int
	return c.apiCommand("publish", "Let the draft, or another version, answer from now on", "",
		func(cmd *cobra.Command) {
			assistantFlag(&id, cmd)
			cmd.Flags().IntVar(&version, "version", 0, "another version than the draft")
			cmd.Flags().StringVar(&note, "note", "", "why, for people")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			return c.switchAssistant(cmd, a, id, "/publish", map[string]any{"version": version, "note": note})
		})
}

func (c *cli) assistantRollbackCommand() *cobra.Command {
	var id, note string
	var version int
	return c.apiCommand("rollback", "Let the version answer that was published before, or another",
		"Version 0 is the engine's configuration.",
		func(cmd *cobra.Command) {
			assistantFlag(&id, cmd)
			cmd.Flags().IntVar(&version, "version", -1, "the version that shall answer (default the one before)")
			cmd.Flags().StringVar(&note, "note", "", "why, for people")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			body := map[string]any{"note": note}
			if version >= 0 {
				body["version"] = version
			}
			return c.switchAssistant(cmd, a, id, "/rollback", body)
		})
}

func (c *cli) assistantHistoryCommand() *cobra.Command {
	var id string
	return c.apiCommand("history", "List the versions, and when each began to answer", "",
		func(cmd *cobra.Command) { assistantFlag(&id, cmd) },
		func(cmd *cobra.Command, a *apiClient) error {
			var list struct{ Data []shownVersion }
			if err := a.call(cmd.Context(), http.MethodGet, assistantPath(id, "/versions?limit=100"), nil, &list); err != nil {
				return err
			}
			for _, v := range list.Data {
				fmt.Fprintf(c.stdout, "%-12s %-10s written %s by %-16s %s\n", fmt.Sprintf("%s@%d", id, v.Version), v.State,
					v.Created.Format(time.RFC3339), v.Author, v.Note)
			}
			var h chat.AssistantHead
			if err := a.call(cmd.Context(), http.MethodGet, assistantPath(id), nil, &h); err != nil {
				return err
			}
			for _, p := range h.Past {
				fmt.Fprintf(c.stdout, "%s  %s@%d began to answer, by %s\n", p.At.Format(time.RFC3339), id, p.Version, p.By)
			}
			return nil
		})
}
