package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// trainingOptions says which engine to ask, and for what.
type trainingOptions struct {
	base, key       string
	preview, report bool
	id              string
}

func (c *cli) trainingCommand() *cobra.Command {
	var o trainingOptions
	cmd := &cobra.Command{Use: "training-export", Short: "Make training data of a tenant's talks, without what is personal in them",
		Long: `training-export asks a running engine, with an API key of the tenant that has the
scope manage, for fine-tuning JSONL and prints it. The tenant must allow it first, with
PUT /v1/training-policy; until then there is no row. What was suppressed, and why, is
printed to stderr.

  --preview         make nothing; show rows that would leave and rows that would not
  --id ID           print the rows of an earlier export again, without people erased since
  --id ID --report  print what it was made of, and who was erased since`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			if o.base == "" {
				o.base = "http://" + loaded.Config.API.Addr
			}
			if o.key == "" {
				o.key = c.lookup("CHUMI_KEY")
			}
			if o.key == "" || o.report && o.id == "" || o.preview && o.id != "" {
				return usageError(errors.New("training-export needs an API key (--key or CHUMI_KEY); --report needs --id, and --preview goes without"))
			}
			return c.trainingExport(cmd.Context(), &o)
		}}
	c.configFlags(cmd, "api.addr")
	f := cmd.Flags()
	f.StringVar(&o.base, "url", "", "base URL of the API (default http:// and api.addr)")
	f.StringVar(&o.key, "key", "", "API key of the tenant (default CHUMI_KEY)")
	f.BoolVar(&o.preview, "preview", false, "make nothing, show what would be made")
	f.BoolVar(&o.report, "report", false, "print the report of --id")
	f.StringVar(&o.id, "id", "", "id of an earlier export")
	return cmd
}

func (c *cli) trainingExport(ctx context.Context, o *trainingOptions) error {
	if o.preview {
		return c.trainingAsk(ctx, o, http.MethodPost, "/v1/training-exports", `{"preview":true}`, c.stdout)
	}
	if o.id == "" {
		var made strings.Builder
		if err := c.trainingAsk(ctx, o, http.MethodPost, "/v1/training-exports", "{}", &made); err != nil {
			return err
		}
		var x struct {
			ID     string         `json:"id"`
			States map[string]int `json:"states"`
		}
		if err := json.Unmarshal([]byte(made.String()), &x); err != nil {
			return fmt.Errorf("the engine's answer is unreadable: %w", err)
		}
		o.id = x.ID
		fmt.Fprintf(c.stderr, "export %s:", x.ID)
		for _, state := range sortedKeys(x.States) {
			fmt.Fprintf(c.stderr, " %s=%d", state, x.States[state])
		}
		fmt.Fprintln(c.stderr)
		if x.States["kept"] == 0 {
			return nil
		}
	}
	what := "/rows"
	if o.report {
		what = "/report"
	}
	return c.trainingAsk(ctx, o, http.MethodGet, "/v1/training-exports/"+url.PathEscape(o.id)+what, "", c.stdout)
}

// trainingAsk makes one request and copies the answer.
func (c *cli) trainingAsk(ctx context.Context, o *trainingOptions, method, path, body string, out io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(o.base, "/")+path, strings.NewReader(body))
	if err != nil {
		return usageError(fmt.Errorf("--url: %w", err))
	}
	req.Header.Set("Authorization", "Bearer "+o.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the API at %s does not answer: %w", o.base, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return fmt.Errorf("the API answered %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	_, err = io.Copy(out, resp.Body)
	return err
}
