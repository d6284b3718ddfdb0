package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
)

// apiClient talks to the API of a running engine with a tenant's key.
type apiClient struct {
	base, key string
	client    *http.Client
}

// apiTimeout is above what connecting a channel takes at most.
const apiTimeout = 90 * time.Second

// apiCommand builds a command that talks to the API of a running engine.
func (c *cli) apiCommand(use, short, long string, flags func(*cobra.Command), run func(cmd *cobra.Command, a *apiClient) error) *cobra.Command {
	a := &apiClient{client: &http.Client{Timeout: apiTimeout}}
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			if a.base == "" {
				a.base = "http://" + loaded.Config.API.Addr
			}
			if a.key == "" {
				a.key = c.lookup("CHUMI_KEY")
			}
			if a.key == "" {
				return usageError(errors.New(cmd.CommandPath() + " needs an API key of the tenant: --key or CHUMI_KEY"))
			}
			defer a.client.CloseIdleConnections()
			return run(cmd, a)
		}}
	c.configFlags(cmd, "api.addr")
	cmd.Flags().StringVar(&a.base, "url", "", "base URL of the API (default http:// and api.addr)")
	cmd.Flags().StringVar(&a.key, "key", "", "API key of the tenant (default CHUMI_KEY)")
	if flags != nil {
		flags(cmd)
	}
	return cmd
}

// call makes a request and reads the answer into answer, which may be nil.
func (a *apiClient) call(ctx context.Context, method, path string, body, answer any) error {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(b)
	}
	return a.send(ctx, method, path, "application/json", sent, answer)
}

// send is call for a body of any type; nil for none.
func (a *apiClient) send(ctx context.Context, method, path, kind string, sent io.Reader, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(a.base, "/")+path, sent)
	if err != nil {
		return usageError(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	if sent != nil {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("no engine answers at %s (--url): %w", a.base, err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("the engine's answer was cut: %w", err)
	}
	if resp.StatusCode > 299 {
		var refusal struct {
			Error struct {
				Code    string `json:"code"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if json.Unmarshal(got, &refusal) != nil || refusal.Error.Code == "" {
			return fmt.Errorf("the engine answered %d", resp.StatusCode)
		}
		return fmt.Errorf("%s (%s)", refusal.Error.Message, refusal.Error.Code)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(got, answer); err != nil {
		return fmt.Errorf("the engine's answer is unreadable: %w", err)
	}
	return nil
}

// shownChannel is what the commands print of a channel.
type shownChannel struct {
	ID      string            `json:"id"`
	Kind    string            `json:"kind"`
	Account string            `json:"account_id"`
	Held    *string           `json:"held"`
	State   chat.ChannelState `json:"state"`
}

func (s *shownChannel) line() string {
	state := "sending"
	if s.Held != nil {
		state = "held: " + *s.Held
	}
	return fmt.Sprintf("%-20s %-10s %-20s %-24s %s", s.ID, s.Kind, s.Account, state, strings.TrimSpace(s.State.Number+" "+s.State.Name))
}

func channelPath(id string, rest ...string) string {
	return "/v1/channels/" + url.PathEscape(id) + strings.Join(rest, "")
}

func (c *cli) channelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "channel", Short: "Connect a tenant's channels, and see how they stand",
		Long: `The commands talk to the API of a running engine with an API key of the tenant,
given by --key or CHUMI_KEY; those that change something need the scope manage.`,
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.channelListCommand(), c.channelHealthCommand(), c.channelConnectCommand(),
		c.channelTokenCommand(), c.channelRefreshCommand(), c.channelSyncCommand(), c.channelDisconnectCommand())
	return cmd
}

func (c *cli) channelListCommand() *cobra.Command {
	return c.apiCommand("list", "List the channels and whether they send", "", nil, func(cmd *cobra.Command, a *apiClient) error {
		var list struct{ Data []shownChannel }
		if err := a.call(cmd.Context(), http.MethodGet, "/v1/channels", nil, &list); err != nil {
			return err
		}
		for i := range list.Data {
			fmt.Fprintln(c.stdout, list.Data[i].line())
		}
		return nil
	})
}

// channelFlag is the id of the channel a command is about.
func channelFlag(id *string) func(*cobra.Command) {
	return func(cmd *cobra.Command) { cmd.Flags().StringVar(id, "channel", "", "id of the channel") }
}

func needsChannel(cmd *cobra.Command, id string) error {
	if id == "" {
		return usageError(errors.New(cmd.CommandPath() + " needs --channel; chumi channel list names them"))
	}
	return nil
}

// errUnhealthy makes the command fail without another line.
var errUnhealthy = errors.New("the channel needs attention")

func (c *cli) channelHealthCommand() *cobra.Command {
	var id string
	return c.apiCommand("health", "Check a channel, and name the one thing to fix first",
		"health exits with 1 when something is to be fixed.", channelFlag(&id),
		func(cmd *cobra.Command, a *apiClient) error {
			if err := needsChannel(cmd, id); err != nil {
				return err
			}
			var h chat.Health
			if err := a.call(cmd.Context(), http.MethodGet, channelPath(id, "/health"), nil, &h); err != nil {
				return err
			}
			for _, check := range h.Checks {
				mark := "ok  "
				if !check.OK {
					mark = "FIX "
				}
				fmt.Fprintf(c.stdout, "%s%-14s%s\n", mark, check.Name, check.Detail)
			}
			if h.OK {
				return nil
			}
			fmt.Fprintf(c.stdout, "\nfirst: %s\n", h.Fix)
			return errUnhealthy
		})
}

func (c *cli) channelConnectCommand() *cobra.Command {
	var id, app, kind, code, tokenFile, waba, account, pin, redirect string
	return c.apiCommand("connect", "Connect a WhatsApp number or an Instagram account",
		`connect takes an access token, from --token-file or CHUMI_ACCESS_TOKEN, or the
--code of a login. Meta must grant the account to the token; then its webhooks are
asked for, and the number is registered when --pin is given.`,
		func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&id, "channel", "", "id of the new channel (default: made of the account)")
			f.StringVar(&app, "app", "", "id of the Meta app the webhooks come through")
			f.StringVar(&kind, "kind", chat.WhatsApp.String(), "whatsapp or instagram")
			f.StringVar(&code, "code", "", "code of an embedded signup or an Instagram login")
			f.StringVar(&tokenFile, "token-file", "", "file with the access token (default CHUMI_ACCESS_TOKEN)")
			f.StringVar(&waba, "waba-id", "", "WhatsApp: the WABA that owns the number")
			f.StringVar(&account, "phone-number-id", "", "WhatsApp: the number, when the WABA has several")
			f.StringVar(&pin, "pin", "", "WhatsApp: six digits that register the number")
			f.StringVar(&redirect, "redirect-uri", "", "Instagram: that of the login")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			token, err := c.accessToken(tokenFile)
			if err != nil {
				return err
			}
			if app == "" || (code == "") == (token == "") {
				return usageError(errors.New("channel connect needs --app, and one of --code and an access token (--token-file or CHUMI_ACCESS_TOKEN)"))
			}
			inner := map[string]string{}
			for key, v := range map[string]string{"code": code, "access_token": token, "waba_id": waba, "phone_number_id": account, "pin": pin, "redirect_uri": redirect} {
				if v != "" {
					inner[key] = v
				}
			}
			body := map[string]any{"app_id": app, kind: inner}
			if id != "" {
				body["id"] = id
			}
			var ch shownChannel
			if err := a.call(cmd.Context(), http.MethodPost, "/v1/channels/connect", body, &ch); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.stdout, ch.line())
			return err
		})
}

// accessToken reads a token from a file or the environment; empty when there is
// none.
func (c *cli) accessToken(file string) (string, error) {
	return c.secretFrom(file, "CHUMI_ACCESS_TOKEN")
}

func (c *cli) channelTokenCommand() *cobra.Command {
	var id, file string
	return c.apiCommand("token", "Give a channel another access token; what was held goes out",
		"The token is read from --token-file or CHUMI_ACCESS_TOKEN, so that no list of processes shows it.",
		func(cmd *cobra.Command) {
			channelFlag(&id)(cmd)
			cmd.Flags().StringVar(&file, "token-file", "", "file with the access token (default CHUMI_ACCESS_TOKEN)")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			if err := needsChannel(cmd, id); err != nil {
				return err
			}
			token, err := c.accessToken(file)
			if err != nil {
				return err
			}
			if token == "" {
				return usageError(errors.New("channel token needs --token-file or CHUMI_ACCESS_TOKEN"))
			}
			return c.showChange(cmd, a, channelPath(id, "/token"), map[string]string{"access_token": token})
		})
}

// showChange makes a change and prints the channel after it.
func (c *cli) showChange(cmd *cobra.Command, a *apiClient, path string, body any) error {
	var ch shownChannel
	if err := a.call(cmd.Context(), http.MethodPost, path, body, &ch); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.stdout, ch.line())
	return err
}

func (c *cli) channelRefreshCommand() *cobra.Command {
	var id string
	var subscribe bool
	return c.apiCommand("refresh", "Ask Meta how a channel stands", "",
		func(cmd *cobra.Command) {
			channelFlag(&id)(cmd)
			cmd.Flags().BoolVar(&subscribe, "subscribe", false, "have Meta post the account's webhooks before")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			if err := needsChannel(cmd, id); err != nil {
				return err
			}
			return c.showChange(cmd, a, channelPath(id, "/refresh"), map[string]bool{"subscribe": subscribe})
		})
}

func (c *cli) channelSyncCommand() *cobra.Command {
	var id string
	return c.apiCommand("sync", "Fetch the templates of a WhatsApp channel from Meta, and list them", "", channelFlag(&id),
		func(cmd *cobra.Command, a *apiClient) error {
			if err := needsChannel(cmd, id); err != nil {
				return err
			}
			var list struct{ Data []chat.Template }
			if err := a.call(cmd.Context(), http.MethodPost, channelPath(id, "/templates/sync"), nil, &list); err != nil {
				return err
			}
			for _, t := range list.Data {
				fmt.Fprintf(c.stdout, "%-40s %-8s %-12s %s\n", t.Name, t.Language, t.Status, t.Category)
			}
			return nil
		})
}

func (c *cli) channelDisconnectCommand() *cobra.Command {
	var id string
	var deregister bool
	return c.apiCommand("disconnect", "Give a channel up: forget its token, hold its sends",
		`disconnect asks Meta to post no more webhooks of the account, and forgets the access
token whatever Meta answers; it says what was left as it was there. Conversations can
be read as before, sends wait, and channel connect takes the channel in use again.`,
		func(cmd *cobra.Command) {
			channelFlag(&id)(cmd)
			cmd.Flags().BoolVar(&deregister, "deregister", false, "WhatsApp: free the number for another registration too")
		},
		func(cmd *cobra.Command, a *apiClient) error {
			if err := needsChannel(cmd, id); err != nil {
				return err
			}
			var done struct {
				Channel shownChannel    `json:"channel"`
				Left    []chat.Leftover `json:"left_at_meta"`
			}
			if err := a.call(cmd.Context(), http.MethodPost, channelPath(id, "/disconnect"), map[string]bool{"deregister": deregister}, &done); err != nil {
				return err
			}
			fmt.Fprintln(c.stdout, done.Channel.line())
			for _, l := range done.Left {
				fmt.Fprintf(c.stdout, "left at Meta: the %s (%s)\n", l.What, l.Reason)
			}
			return nil
		})
}
