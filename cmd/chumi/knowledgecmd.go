package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/extract"
)

// shownSource is what the commands print of a source.
type shownSource struct {
	ID       chat.SourceID    `json:"id"`
	Kind     chat.SourceKind  `json:"kind"`
	Title    string           `json:"title"`
	URL      string           `json:"url"`
	State    chat.SourceState `json:"state"`
	Reason   string           `json:"reason"`
	Progress struct{ Pages, Chunks, Stored, Embedded int }
}

func (s *shownSource) line() string {
	name := s.Title
	if name == "" {
		name = s.URL
	}
	return strings.TrimRight(fmt.Sprintf("%s  %-8s %-9s stored %d, embedded %d of %d  %s %s", s.ID, s.Kind, s.State,
		s.Progress.Stored, s.Progress.Embedded, s.Progress.Chunks, name, s.Reason), " ")
}

func (c *cli) knowledgeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "knowledge", Short: "Give assistants what the business knows, and try what they find",
		Long: `The commands talk to the API of a running engine with an API key of the tenant,
given by --key or CHUMI_KEY; add and remove need the scope manage.`,
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.knowledgeAddCommand(), c.knowledgeListCommand(), c.knowledgeSearchCommand(), c.knowledgeRemoveCommand())
	return cmd
}

func (c *cli) knowledgeAddCommand() *cobra.Command {
	var file, site, text, title, id string
	var pages int
	var wait time.Duration
	return c.apiCommand("add", "Give a file, a website or a text",
		`add takes plain text, Markdown, HTML, CSV, DOCX and PDF files. It returns when the
source was read, or after --wait: the reading goes on in the engine. With --id the
source is given anew; what it says unchanged stays what it is.`,
		func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&file, "file", "", "file to read")
			f.StringVar(&site, "site", "", "https address of a website, whose pages below it are read too")
			f.IntVar(&pages, "pages", 0, "most pages of the website (default 50)")
			f.StringVar(&text, "text", "", "the text itself")
			f.StringVar(&title, "title", "", "what it is called in answers")
			f.StringVar(&id, "id", "", "source to give anew")
			f.DurationVar(&wait, "wait", time.Minute, "how long to wait for the reading; 0 for not at all")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			method, path := http.MethodPost, "/v1/knowledge"
			if id != "" {
				method, path = http.MethodPut, sourcePath(id)
			}
			var s shownSource
			var err error
			switch {
			case file != "" && site == "" && text == "":
				err = a.sendFile(cmd.Context(), method, path, file, title, &s)
			case (site != "") != (text != "") && file == "":
				err = a.call(cmd.Context(), method, path, givenBody(site, text, title, pages), &s)
			default:
				return usageError(errors.New("knowledge add needs one of --file, --site and --text"))
			}
			if err != nil {
				return err
			}
			if err := a.awaitReading(cmd.Context(), &s, wait); err != nil {
				return err
			}
			fmt.Fprintln(c.stdout, s.line())
			if s.State == chat.SourceFailed {
				return fmt.Errorf("the source cannot be read: %s", s.Reason)
			}
			return nil
		})
}

func givenBody(site, text, title string, pages int) map[string]any {
	body := map[string]any{}
	for key, v := range map[string]string{"url": site, "text": text, "title": title} {
		if v != "" {
			body[key] = v
		}
	}
	if site != "" && pages > 0 {
		body["pages_max"] = pages
	}
	return body
}

func sourcePath(id string) string { return "/v1/knowledge/" + url.PathEscape(id) }

// readingPause is between two looks at a source that is being read.
const readingPause = 200 * time.Millisecond

// awaitReading looks at a source until nothing is owed for it, or a time is over.
func (a *apiClient) awaitReading(ctx context.Context, s *shownSource, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for s.State == chat.SourceWaiting || s.State == chat.SourceEmbedding {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(readingPause):
		}
		if err := a.call(ctx, http.MethodGet, sourcePath(string(s.ID)), nil, s); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	return nil
}

// sendFile gives a file as it is.
func (a *apiClient) sendFile(ctx context.Context, method, path, file, title string, answer any) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %s", file, cause(err))
	}
	if info.Size() > extract.InputMax {
		return fmt.Errorf("%s is larger than %d bytes", file, extract.InputMax)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %s", file, cause(err))
	}
	kind := mime.TypeByExtension(filepath.Ext(file))
	if found, ok := extract.Type(kind, file, body); ok {
		kind = found
	}
	if kind == "" {
		kind = "application/octet-stream"
	}
	query := url.Values{"filename": {filepath.Base(file)}}
	if title != "" {
		query.Set("title", title)
	}
	return a.send(ctx, method, path+"?"+query.Encode(), kind, bytes.NewReader(body), answer)
}

func (c *cli) knowledgeListCommand() *cobra.Command {
	return c.apiCommand("list", "List the sources and how far their reading is", "", nil, func(cmd *cobra.Command, a *apiClient) error {
		var list struct{ Data []shownSource }
		if err := a.call(cmd.Context(), http.MethodGet, "/v1/knowledge", nil, &list); err != nil {
			return err
		}
		for i := range list.Data {
			fmt.Fprintln(c.stdout, list.Data[i].line())
		}
		return nil
	})
}

func (c *cli) knowledgeSearchCommand() *cobra.Command {
	var query string
	var limit int
	var asJSON bool
	return c.apiCommand("search", "Try what an assistant would find", "",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&query, "query", "", "what to look for")
			cmd.Flags().IntVar(&limit, "limit", 6, "most passages")
			cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			if query == "" {
				return usageError(errors.New("knowledge search needs --query"))
			}
			var list struct{ Data []chat.Passage }
			if err := a.call(cmd.Context(), http.MethodPost, "/v1/knowledge/search", map[string]any{"query": query, "limit": limit}, &list); err != nil {
				return err
			}
			for _, p := range list.Data {
				if asJSON {
					b, err := json.Marshal(p)
					if err != nil {
						return err
					}
					fmt.Fprintf(c.stdout, "%s\n", b)
					continue
				}
				fmt.Fprintf(c.stdout, "%s@%d  %s %s\n  %s\n", p.Chunk, p.Version, p.Title, p.URL, strings.ReplaceAll(p.Text, "\n", "\n  "))
			}
			return nil
		})
}

func (c *cli) knowledgeRemoveCommand() *cobra.Command {
	var id string
	return c.apiCommand("remove", "Take a source away; no search finds it any more", "",
		func(cmd *cobra.Command) { cmd.Flags().StringVar(&id, "id", "", "id of the source") },
		func(cmd *cobra.Command, a *apiClient) error {
			if id == "" {
				return usageError(errors.New("knowledge remove needs --id; chumi knowledge list names them"))
			}
			if err := a.call(cmd.Context(), http.MethodDelete, sourcePath(id), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.stdout, "%s is gone\n", id)
			return err
		})
}
