package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes. They are stable: scripts may rely on them.
const (
	exitOK        = 0
	exitFailed    = 1 // the operation failed; stderr says why
	exitUsage     = 2 // a wrong command line, configuration or bootstrap file
	exitViolation = 3 // check or torture ran to its end and found something wrong
)

// exitError is an error with its exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usageError(err error) error { return &exitError{code: exitUsage, err: err} }

// cli is what every command shares.
type cli struct {
	env            []string
	stdout, stderr io.Writer

	configFile string
	sets       []string
}

// run executes one command line and returns the exit code. It is the whole
// program but for signals.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	c := &cli{env: env, stdout: stdout, stderr: stderr}
	root := c.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "chumi: %v\n", err)
	var coded *exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitFailed
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "chumi",
		Short: "A messaging engine for WhatsApp and Instagram: webhooks in, answers out, nothing lost",
		Long: `chumi takes the webhooks of WhatsApp and Instagram, makes them durable before
it answers, lets an assistant or a person reply, and shows every step.

  chumi dev      try it now: the engine, both simulators and a page to type on
  chumi serve    run it for real

Exit codes: 0 success, 1 the operation failed, 2 wrong usage or configuration,
3 check or torture found a violation.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			what := ""
			if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
				what = fmt.Sprintf("; did you mean %q?", s[0])
			}
			return usageError(fmt.Errorf("unknown command %q%s (chumi --help lists them)", clip(args[0]), what))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(fmt.Errorf("%w (%s --help lists the flags)", err, cmd.CommandPath()))
	})
	root.AddCommand(c.serveCommand(), c.devCommand(), c.simulateCommand(), c.sayCommand(),
		c.tailCommand(), c.exportCommand(), c.checkCommand(), c.eraseCommand(), c.replayCommand(), c.evalCommand(), c.trainingCommand(),
		c.tortureCommand(), c.benchCommand(), c.configCommand(), c.readyCommand(), c.doctorCommand(), c.clusterCommand(),
		c.backupCommand(), c.restoreCommand(), c.erasuresCommand(), c.tenantCommand(),
		c.appCommand(), c.channelCommand(), c.assistantCommand(), c.knowledgeCommand(),
		c.toolCommand(), c.catalogCommand(), c.versionCommand())
	return root
}

// noArgs refuses arguments with the exit code of wrong usage.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(fmt.Errorf("%s takes no argument, got %q", cmd.CommandPath(), clip(args[0])))
	}
	return nil
}

// configFlags gives a command the flags that set configuration keys.
func (c *cli) configFlags(cmd *cobra.Command, keys ...string) {
	f := cmd.Flags()
	f.StringVar(&c.configFile, "config", "", "configuration file (default chumi.yaml, if there is one)")
	f.StringArrayVar(&c.sets, "set", nil, "set any key: --set assistant.model=NAME (repeatable)")
	for _, key := range keys {
		s, _ := find(key)
		f.String(flagName(key), "", s.Doc)
	}
}

// flagName is the flag of a key: "edge.addr" is --edge-addr.
func flagName(key string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(key)
}

// load builds the configuration of the running command.
func (c *cli) load(cmd *cobra.Command) (*Loaded, error) {
	values := map[string]string{}
	for _, kv := range c.sets {
		key, value, ok := strings.Cut(kv, "=")
		if !ok || key == "" {
			return nil, usageError(fmt.Errorf("--set wants KEY=VALUE, got %q", clip(kv)))
		}
		values[key] = value
	}
	for _, s := range settings {
		if f := cmd.Flags().Lookup(flagName(s.Key)); f != nil && f.Changed {
			values[s.Key] = f.Value.String()
		}
	}
	loaded, err := Load(Sources{File: c.configFile, Env: c.env, Flags: values})
	if err != nil {
		return nil, usageError(fmt.Errorf("the configuration is refused:\n%w", err))
	}
	return loaded, nil
}

// listenKeys are the keys with a flag of their own on commands that serve.
var listenKeys = []string{"data_dir", "edge.addr", "api.addr", "ops.addr", "peer.addr", "log.level", "log.format"}
