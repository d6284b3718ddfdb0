package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/transport/edge"
)

func (c *cli) appCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "app", Short: "Rotate the secret of a Meta app of a running engine, and change its settings",
		Long: `The commands talk to the ops listener of a running node, any one will do.

An app secret signs webhooks. To replace one without losing any:

  chumi app rotate --app main --secret-file new-secret
  (reset the secret in Meta's dashboard; the old one is still taken)
  chumi app retire --app main

Give rotate the secret that Meta shows before Meta begins to use it where that is
possible; webhooks signed with either are taken until retire. The metric
chumi_webhook_secret_used_total counts which one signed: retire the old one, index
"1", when it stands still.

A WABA or a number whose callback URL is overridden at Meta has a verify token of its
own; verify-add takes it beside those the app has:

  chumi app verify-add --app main --token-file override-token

A bootstrap file that says the same as before undoes none of it.`,
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.appListCommand(), c.appRotateCommand(), c.appRetireCommand(), c.appSetCommand(),
		c.appVerifyCommand("verify-add", "/apps/verify/add", "Take another verify token beside those the app has", "the verify token is taken"),
		c.appVerifyCommand("verify-retire", "/apps/verify/retire", "Take a verify token no more", "the verify token is not taken any more"))
	return cmd
}

func (c *cli) appListCommand() *cobra.Command {
	return c.operatorCommand("list", "List the apps and how many secrets each has", "", nil,
		func(_ *cobra.Command, o operator) error {
			body, err := o.request(fasthttp.MethodGet, "/apps")
			if err != nil {
				return err
			}
			var list []edge.AppStatus
			if err := json.Unmarshal(body, &list); err != nil {
				return fmt.Errorf("the node's answer is unreadable: %w", err)
			}
			for _, a := range list {
				fmt.Fprintf(c.stdout, "%s\tsecrets=%d\tverify_tokens=%d\tmeta_app_id=%s\tinstagram_app_id=%s\n", a.ID, a.Secrets, a.VerifyTokens, a.MetaID, a.InstagramID)
			}
			return nil
		})
}

func (c *cli) appRotateCommand() *cobra.Command {
	var app, file string
	return c.operatorCommand("rotate", "Make a secret the current one; the one before stays valid",
		"The secret is read from --secret-file or CHUMI_APP_SECRET, so that no list of processes shows it.",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&app, "app", "", "id of the app")
			cmd.Flags().StringVar(&file, "secret-file", "", "file with the new secret (default CHUMI_APP_SECRET)")
		},
		func(_ *cobra.Command, o operator) error {
			secret, err := c.secretFrom(file, "CHUMI_APP_SECRET")
			if err != nil {
				return err
			}
			if app == "" || secret == "" {
				return usageError(errors.New("app rotate needs --app, and --secret-file or CHUMI_APP_SECRET"))
			}
			if _, err := o.requestWith(fasthttp.MethodPost, "/apps/rotate?app="+app, []byte(secret)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "app %s: the new secret is current, the one before is still taken\n", app)
			return err
		})
}

func (c *cli) appRetireCommand() *cobra.Command {
	var app string
	return c.operatorCommand("retire", "Take the secret before the current one no more", "",
		func(cmd *cobra.Command) { cmd.Flags().StringVar(&app, "app", "", "id of the app") },
		func(_ *cobra.Command, o operator) error {
			if app == "" {
				return usageError(errors.New("app retire needs --app"))
			}
			if _, err := o.request(fasthttp.MethodPost, "/apps/retire?app="+app); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.stdout, "app %s: only the current secret is taken\n", app)
			return err
		})
}

// secretFrom reads a secret from a file or the environment; empty when there is none.
func (c *cli) secretFrom(file, variable string) (string, error) {
	if file == "" {
		return strings.TrimSpace(c.lookup(variable)), nil
	}
	b, err := readSmall(file)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %s", file, cause(err))
	}
	return strings.TrimSpace(string(b)), nil
}

func (c *cli) appSetCommand() *cobra.Command {
	var app, metaID, instagramID, file string
	return c.operatorCommand("set", "Give an app its ids at Meta, and Instagram's secret",
		`The Meta app id is needed to connect numbers by embedded signup, and tells the engine
what Meta says of the app itself: whose an Instagram thread is, which echo is its own.
Instagram's pair is needed to connect accounts by Instagram Login; its secret is read
from --instagram-secret-file or CHUMI_INSTAGRAM_APP_SECRET. What is not given stays.`,
		func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&app, "app", "", "id of the app")
			f.StringVar(&metaID, "meta-app-id", "", "the app's id at Meta")
			f.StringVar(&instagramID, "instagram-app-id", "", "the id of its Instagram app")
			f.StringVar(&file, "instagram-secret-file", "", "file with the Instagram app secret (default CHUMI_INSTAGRAM_APP_SECRET)")
		},
		func(_ *cobra.Command, o operator) error {
			secret, err := c.secretFrom(file, "CHUMI_INSTAGRAM_APP_SECRET")
			if err != nil {
				return err
			}
			change := map[string]string{}
			for key, v := range map[string]string{"meta_app_id": metaID, "instagram_app_id": instagramID, "instagram_app_secret": secret} {
				if v != "" {
					change[key] = v
				}
			}
			if app == "" || len(change) == 0 {
				return usageError(errors.New("app set needs --app and one of --meta-app-id, --instagram-app-id and the Instagram secret"))
			}
			body, err := json.Marshal(change)
			if err != nil {
				return err
			}
			if _, err := o.requestWith(fasthttp.MethodPost, "/apps/set?app="+app, body); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "app %s: changed\n", app)
			return err
		})
}

func (c *cli) appVerifyCommand(use, path, short, done string) *cobra.Command {
	var app, file string
	return c.operatorCommand(use, short,
		"The token is read from --token-file or CHUMI_VERIFY_TOKEN, so that no list of processes shows it.",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&app, "app", "", "id of the app")
			cmd.Flags().StringVar(&file, "token-file", "", "file with the verify token (default CHUMI_VERIFY_TOKEN)")
		},
		func(_ *cobra.Command, o operator) error {
			token, err := c.secretFrom(file, "CHUMI_VERIFY_TOKEN")
			if err != nil {
				return err
			}
			if app == "" || token == "" {
				return usageError(errors.New("app " + use + " needs --app, and --token-file or CHUMI_VERIFY_TOKEN"))
			}
			if _, err := o.requestWith(fasthttp.MethodPost, path+"?app="+app, []byte(token)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "app %s: %s\n", app, done)
			return err
		})
}
