package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/transport/openai"
)

// level is how bad a finding is.
type level string

const (
	levelOK   level = "ok"
	levelWarn level = "warn"
	levelFail level = "fail"
)

// finding is one thing the doctor looked at. It holds no secret: what, and what to do.
type finding struct {
	// Check names what was looked at; it is stable.
	Check string `json:"check"`
	Level level  `json:"level"`
	What  string `json:"what"`
	// Fix is empty when there is nothing to do.
	Fix string `json:"fix,omitempty"`
}

// String is one line.
func (f finding) String() string {
	line := fmt.Sprintf("%-4s  %-12s %s", f.Level, f.Check, f.What)
	if f.Fix != "" {
		line += "  FIX: " + f.Fix
	}
	return strings.ReplaceAll(line, "\n", " ")
}

func okay(check, what string, args ...any) finding {
	return finding{Check: check, Level: levelOK, What: fmt.Sprintf(what, args...)}
}

func warn(check, fix, what string, args ...any) finding {
	return finding{Check: check, Level: levelWarn, What: fmt.Sprintf(what, args...), Fix: fix}
}

func fail(check, fix, what string, args ...any) finding {
	return finding{Check: check, Level: levelFail, What: fmt.Sprintf(what, args...), Fix: fix}
}

// doctor looks at a machine, a configuration and, where one runs, the engine. It
// changes nothing: what it writes to the data directory is gone when it ends.
type doctor struct {
	cli    *cli
	config *Config
	// offline leaves out what asks other machines.
	offline bool

	// What it looks through; tests put something else there.
	now         func() time.Time
	disk        func(dir string) (disk, error)
	syncTime    func(dir string) (time.Duration, error)
	descriptors func() int
	// roots are whom a server's certificate may be vouched for by; nil for the system's.
	roots *x509.CertPool

	// running is whether an engine answers at ops.addr; known after it was asked.
	running bool
}

func (c *cli) newDoctor(config *Config) *doctor {
	return &doctor{cli: c, config: config, now: time.Now, disk: diskOf, syncTime: syncTime, descriptors: descriptorsMax}
}

// examine looks at everything, in the order in which it is to be put right.
func (d *doctor) examine(ctx context.Context) (all []finding) {
	d.running = d.alive()
	for _, look := range []func(context.Context) []finding{
		d.settings, d.key, d.directory, d.limits, d.listeners, d.ready, d.servers, d.bucket, d.membership, d.channels,
	} {
		all = append(all, look(ctx)...)
	}
	return all
}

func (c *cli) doctorCommand() *cobra.Command {
	var asJSON, offline bool
	cmd := &cobra.Command{Use: "doctor", Short: "Look for what would keep the engine from its promise, and say how to fix it",
		Long: `doctor looks at the configuration, the key file, the disk, the limits and addresses of
this machine, the servers that the configuration names, the clock, the cluster, and,
where the engine runs, at what it says of itself. CHUMI_KEY, an API key, lets it ask
how the tenant's channels stand. Run it as the user the engine runs as. It changes
nothing, and prints no secret.

Each line is ok, warn or fail, what was found, and how to fix it. Exit code 1 when
something fails.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []finding
			loaded, err := c.load(cmd)
			if err != nil {
				all = refusals(err)
			} else {
				d := c.newDoctor(&loaded.Config)
				d.offline = offline
				all = d.examine(cmd.Context())
			}
			return report(c.stdout, all, asJSON)
		}}
	c.configFlags(cmd, listenKeys...)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	cmd.Flags().BoolVar(&offline, "offline", false, "ask no other machine")
	return cmd
}

// report prints the findings; its error says how many are failures.
func report(w io.Writer, all []finding, asJSON bool) error {
	bad := 0
	for _, f := range all {
		if f.Level == levelFail {
			bad++
		}
	}
	if asJSON {
		if err := json.NewEncoder(w).Encode(struct {
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{bad == 0, all}); err != nil {
			return err
		}
	} else {
		for _, f := range all {
			if _, err := fmt.Fprintln(w, f); err != nil {
				return err
			}
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d findings are failures", bad, len(all))
	}
	return nil
}

// refusals is a configuration that no start would take: a finding for each problem.
func refusals(err error) (list []finding) {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		for _, e := range several.Unwrap() {
			list = append(list, refusals(e)...)
		}
		return list
	}
	return []finding{fail("config", "correct it; chumi config schema describes the keys", "%v", err)}
}

// settings is a configuration that a start takes.
func (d *doctor) settings(context.Context) []finding {
	list := []finding{okay("config", "the configuration is accepted")}
	for _, w := range d.config.warnings() {
		list = append(list, warn("config", "", "%s", w))
	}
	if !d.config.AssistantReady() {
		list = append(list, warn("assistant", "set assistant.api_key, or assistant.base_url of a local model", "no model is configured: people answer every message"))
	}
	return list
}

// models are the servers of models by the key that names them.
func (d *doctor) models() map[string]string {
	a := &d.config.Assistant
	list := map[string]string{}
	if d.config.AssistantReady() {
		list["assistant.base_url"] = a.BaseURL
		if a.BaseURL == "" {
			list["assistant.base_url"] = openai.DefaultBaseURL
		}
	}
	for name, p := range a.Providers {
		list["assistant.providers."+name+".base_url"] = p.BaseURL
	}
	return list
}

// exists reports whether there is something at path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
