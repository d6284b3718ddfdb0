package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/chumiai/chumi/chat"
)

// apiCommandOf is apiCommand for a command with arguments: as many as names.
func (c *cli) apiCommandOf(use, short, long string, flags func(*cobra.Command), run func(cmd *cobra.Command, a *apiClient, args []string) error) *cobra.Command {
	names := strings.Fields(use)[1:]
	cmd := c.apiCommand(use, short, long, flags, func(cmd *cobra.Command, a *apiClient) error {
		return run(cmd, a, cmd.Flags().Args())
	})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usageError(fmt.Errorf("%s needs %s", cmd.CommandPath(), strings.Join(names, " and ")))
		}
		return nil
	}
	return cmd
}

func toolPath(kind, id string, rest ...string) string {
	return "/v1/" + kind + "/" + url.PathEscape(id) + strings.Join(rest, "")
}

func (c *cli) toolCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tool", Short: "Say what assistants may call, and try it",
		Long: `The commands talk to the API of a running engine with an API key of the tenant,
given by --key or CHUMI_KEY; those that change something need the scope manage.

  chumi tool allow api.example.com        hosts that tools may talk to
  chumi tool secret SHOP --from-file F    a secret, for {{secret:SHOP}} in headers
  chumi tool put book.yaml                a definition, in YAML or JSON
  chumi tool test book '{"day":"Mon"}'    run it, for no customer`,
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.toolListCommand(), c.toolPutCommand(), c.toolTestCommand(), c.toolDeleteCommand(),
		c.toolSecretCommand(), c.toolAllowCommand(), c.toolServerCommand())
	return cmd
}

// shownTool is what the commands print of a tool.
type shownTool struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Kind        string         `json:"kind"`
	Acts        bool           `json:"acts"`
	HTTP        *chat.HTTPTool `json:"http"`
	MCP         *chat.MCPTool  `json:"mcp"`
}

func (t *shownTool) line() string {
	where := "the engine's own"
	switch {
	case t.HTTP != nil:
		where = t.HTTP.Method + " " + t.HTTP.URL
	case t.MCP != nil:
		where = t.MCP.Server + "/" + t.MCP.Tool
	}
	acts := ""
	if t.Acts {
		acts = "acts"
	}
	return fmt.Sprintf("%-24s %-7s %-5s %s", t.Name, t.Kind, acts, where)
}

func (c *cli) toolListCommand() *cobra.Command {
	return c.apiCommand("list", "List the tools that assistants may be granted", "", nil, func(cmd *cobra.Command, a *apiClient) error {
		var list struct{ Data []shownTool }
		if err := a.call(cmd.Context(), http.MethodGet, "/v1/tools", nil, &list); err != nil {
			return err
		}
		for i := range list.Data {
			fmt.Fprintln(c.stdout, list.Data[i].line())
		}
		return nil
	})
}

// readDefinition reads a file in YAML, so in JSON too.
func readDefinition(file string) (map[string]any, error) {
	b, err := readSmall(file)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %s", file, cause(err))
	}
	var v map[string]any
	if err := yaml.Unmarshal(b, &v); err != nil {
		return nil, usageError(fmt.Errorf("%s: %w", file, err))
	}
	return v, nil
}

func (c *cli) toolPutCommand() *cobra.Command {
	var check bool
	return c.apiCommandOf("put FILE", "Write a tool from its definition",
		"FILE holds name, description, parameters, kind, acts, timeout_ms, and http or mcp.",
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&check, "check", false, "only say whether the definition may stand")
		},
		func(cmd *cobra.Command, a *apiClient, args []string) error {
			v, err := readDefinition(args[0])
			if err != nil {
				return err
			}
			name, _ := v["name"].(string)
			if name == "" {
				return usageError(fmt.Errorf("%s has no name", args[0]))
			}
			method, path := http.MethodPut, toolPath("tools", name)
			if check {
				method, path = http.MethodPost, "/v1/tools/validate"
			}
			var t shownTool
			if err := a.call(cmd.Context(), method, path, v, &t); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.stdout, t.line())
			return err
		})
}

func (c *cli) toolTestCommand() *cobra.Command {
	var acts bool
	return c.apiCommandOf("test NAME ARGUMENTS", "Run a tool as for an assistant, for no customer",
		"ARGUMENTS is a JSON object. A tool that acts does so in a test too, and needs --acts.",
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&acts, "acts", false, "run a tool that changes something outside")
		},
		func(cmd *cobra.Command, a *apiClient, args []string) error {
			if !json.Valid([]byte(args[1])) {
				return usageError(errors.New("ARGUMENTS must be a JSON object"))
			}
			var got struct {
				Error   *string `json:"error"`
				Content string  `json:"content"`
			}
			body := map[string]any{"arguments": json.RawMessage(args[1]), "acts": acts}
			if err := a.call(cmd.Context(), http.MethodPost, toolPath("tools", args[0], "/test"), body, &got); err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "test run, for no customer\n%s\n", got.Content)
			if got.Error != nil {
				return fmt.Errorf("the tool failed: %s", *got.Error)
			}
			return nil
		})
}

func (c *cli) toolDeleteCommand() *cobra.Command {
	return c.apiCommandOf("delete NAME", "Delete a tool", "", nil, func(cmd *cobra.Command, a *apiClient, args []string) error {
		return a.call(cmd.Context(), http.MethodDelete, toolPath("tools", args[0]), nil, nil)
	})
}

func (c *cli) toolSecretCommand() *cobra.Command {
	var file string
	return c.apiCommandOf("secret NAME", "Write a secret; nothing shows it again",
		"The secret is read from --from-file or CHUMI_TOOL_SECRET, so that no list of processes shows it.",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&file, "from-file", "", "file with the secret (default CHUMI_TOOL_SECRET)")
		},
		func(cmd *cobra.Command, a *apiClient, args []string) error {
			secret := strings.TrimSpace(c.lookup("CHUMI_TOOL_SECRET"))
			if file != "" {
				b, err := readSmall(file)
				if err != nil {
					return fmt.Errorf("%s cannot be read: %s", file, cause(err))
				}
				secret = strings.TrimSpace(string(b))
			}
			if secret == "" {
				return usageError(errors.New("tool secret needs --from-file or CHUMI_TOOL_SECRET"))
			}
			return a.call(cmd.Context(), http.MethodPut, toolPath("tool-secrets", args[0]), map[string]string{"secret": secret}, nil)
		})
}

func (c *cli) toolAllowCommand() *cobra.Command {
	var remove bool
	return c.apiCommandOf("allow HOST", "Let tools talk to a host, *.example.com for all below one", "",
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&remove, "remove", false, "take the host off the list")
		},
		func(cmd *cobra.Command, a *apiClient, args []string) error {
			var h chat.ToolHosts
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/tool-hosts", nil, &h); err != nil {
				return err
			}
			h.Hosts = slices.DeleteFunc(h.Hosts, func(s string) bool { return s == args[0] })
			if !remove {
				h.Hosts = append(h.Hosts, args[0])
			}
			if err := a.call(cmd.Context(), http.MethodPut, "/v1/tool-hosts", &h, &h); err != nil {
				return err
			}
			for _, host := range h.Hosts {
				fmt.Fprintln(c.stdout, host)
			}
			return nil
		})
}

func (c *cli) toolServerCommand() *cobra.Command {
	var at string
	var headers []string
	var approve bool
	return c.apiCommandOf("server NAME", "Look at the tools of an MCP server, and approve them",
		`server lists the tools that the server has now, each new, changed or approved.
With --server-url it is written first; with --approve all that it has now are
approved, and a tool that becomes another one later is not called any more.`,
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&at, "server-url", "", "URL of its streamable HTTP endpoint")
			cmd.Flags().StringArrayVar(&headers, "header", nil, `header of requests to it: "Authorization: Bearer {{secret:NAME}}" (repeatable)`)
			cmd.Flags().BoolVar(&approve, "approve", false, "approve what it has now")
		},
		func(cmd *cobra.Command, a *apiClient, args []string) error {
			if at != "" {
				body := map[string]any{"url": at}
				set := map[string]string{}
				for _, h := range headers {
					name, value, ok := strings.Cut(h, ":")
					if !ok {
						return usageError(fmt.Errorf("--header %q is not written NAME: VALUE", clip(h)))
					}
					set[strings.TrimSpace(name)] = strings.TrimSpace(value)
				}
				if len(set) > 0 {
					body["headers"] = set
				}
				if err := a.call(cmd.Context(), http.MethodPut, toolPath("tool-servers", args[0]), body, nil); err != nil {
					return err
				}
			}
			return c.showServer(cmd, a, args[0], approve)
		})
}

// showServer lists what a server has, and approves it.
func (c *cli) showServer(cmd *cobra.Command, a *apiClient, name string, approve bool) error {
	var d struct {
		Tools []struct {
			Name        string `json:"name"`
			Digest      string `json:"digest"`
			State       string `json:"state"`
			Description string `json:"description"`
		} `json:"tools"`
		Unusable []string `json:"unusable"`
	}
	if err := a.call(cmd.Context(), http.MethodPost, toolPath("tool-servers", name, "/discover"), nil, &d); err != nil {
		return err
	}
	type pin struct {
		Name   string `json:"name"`
		Digest string `json:"digest"`
	}
	pins := []pin{}
	for _, t := range d.Tools {
		fmt.Fprintf(c.stdout, "%-9s %-24s %s\n", t.State, t.Name, clip(strings.ReplaceAll(t.Description, "\n", " ")))
		pins = append(pins, pin{t.Name, t.Digest})
	}
	for _, u := range d.Unusable {
		fmt.Fprintf(c.stdout, "%-9s %s\n", "unusable", u)
	}
	if !approve {
		return nil
	}
	if err := a.call(cmd.Context(), http.MethodPost, toolPath("tool-servers", name, "/approve"), map[string]any{"tools": pins}, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "%d approved\n", len(pins))
	return err
}

func (c *cli) catalogCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "catalog", Short: "Bring products to the engine, with their prices and stock",
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.catalogImportCommand(), c.catalogListCommand())
	return cmd
}

func (c *cli) catalogImportCommand() *cobra.Command {
	var replace bool
	return c.apiCommandOf("import FILE", "Write the products of a table or of JSON",
		`FILE is a CSV with the columns id, name, description, price (1299.00) or
price_minor (129900), currency, stock, url and words, parted by |; or JSON,
{"items": [...]}. Everything is checked before anything is written.`,
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&replace, "replace", false, "delete every product that FILE does not name")
		},
		func(cmd *cobra.Command, a *apiClient, args []string) error {
			kind := "text/csv"
			if strings.EqualFold(filepath.Ext(args[0]), ".json") {
				kind = "application/json"
			}
			b, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("%s cannot be read: %s", args[0], cause(err))
			}
			path := "/v1/catalog/import"
			if replace {
				path += "?mode=replace"
			}
			var done struct{ Written, Deleted int }
			if err := a.send(cmd.Context(), http.MethodPost, path, kind, bytes.NewReader(b), &done); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "%d written, %d deleted\n", done.Written, done.Deleted)
			return err
		})
}

func (c *cli) catalogListCommand() *cobra.Command {
	return c.apiCommand("list", "List the products", "", nil, func(cmd *cobra.Command, a *apiClient) error {
		for cursor := ""; ; {
			var page struct {
				Data []chat.CatalogItem
				Next *string `json:"next_cursor"`
			}
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/catalog/items?limit=1000&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
				return err
			}
			for i := range page.Data {
				it := &page.Data[i]
				stock := ""
				if it.Stock != nil {
					stock = fmt.Sprint(*it.Stock)
				}
				if _, err := fmt.Fprintf(c.stdout, "%-24s %16s %8s  %s\n", it.ID, it.PriceText(), stock, it.Name); err != nil {
					return err
				}
			}
			if page.Next == nil {
				return nil
			}
			cursor = *page.Next
		}
	})
}
