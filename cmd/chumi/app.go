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
	cmd := &cobra.Command{Use: "app", Short: "Rotate the secret of a Meta app of a running engine",
		Long: `An app secret signs webhooks. To replace one without losing any:

  chumi app rotate --app main --secret-file new-secret
  (reset the secret in Meta's dashboard; the old one is still taken)
  chumi app retire --app main

Give rotate the secret that Meta shows before Meta begins to use it where that is
possible; webhooks signed with either are taken until retire. The metric
chumi_webhook_secret_used_total counts which one signed: retire the old one, index
"1", when it stands still. A bootstrap file that says the same as before undoes
neither.`,
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.appListCommand(), c.appRotateCommand(), c.appRetireCommand())
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
				fmt.Fprintf(c.stdout, "%s\tsecrets=%d\tmeta_app_id=%s\tinstagram=%v\n", a.ID, a.Secrets, a.MetaID, a.Instagram)
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
			secret := c.lookup("CHUMI_APP_SECRET")
			if file != "" {
				b, err := readSmall(file)
				if err != nil {
					return fmt.Errorf("%s cannot be read: %s", file, cause(err))
				}
				secret = string(b)
			}
			if app == "" || strings.TrimSpace(secret) == "" {
				return usageError(errors.New("app rotate needs --app, and --secret-file or CHUMI_APP_SECRET"))
			}
			if _, err := o.requestWith(fasthttp.MethodPost, "/apps/rotate?app="+app, []byte(secret)); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.stdout, "app %s: the new secret is current, the one before is still taken\n", app)
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
