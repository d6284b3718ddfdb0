package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show, check and describe the configuration",
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}

	print := &cobra.Command{Use: "print", Short: "Print every key with its value and where it came from; secrets are hidden",
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			return loaded.print(c.stdout)
		}}
	c.configFlags(print, listenKeys...)

	validate := &cobra.Command{Use: "validate", Short: "Check the configuration as serve would; say nothing more than ok, and warnings",
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			for _, warning := range loaded.Config.warnings() {
				fmt.Fprintln(c.stderr, "warning: "+warning)
			}
			_, err = fmt.Fprintln(c.stdout, "ok")
			return err
		}}
	c.configFlags(validate, listenKeys...)

	schema := &cobra.Command{Use: "schema", Short: "Print the JSON Schema of chumi.yaml, for editors",
		Args: noArgs, RunE: func(*cobra.Command, []string) error { return writeSchema(c.stdout) }}

	pricing := &cobra.Command{Use: "pricing", Short: "Print the list of what models cost that is in use, to copy and change",
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			text := defaultPricing
			if file := loaded.Config.Assistant.PricingFile; file != "" {
				if text, err = readSmall(file); err != nil {
					return fmt.Errorf("%s cannot be read: %s", file, cause(err))
				}
			}
			_, err = c.stdout.Write(text)
			return err
		}}
	c.configFlags(pricing)

	cmd.AddCommand(print, validate, schema, pricing)
	return cmd
}

// print writes the configuration as a file that means the same, secrets aside.
func (l *Loaded) print(w io.Writer) error {
	var b strings.Builder
	var section []string
	for _, s := range settingsOf(&l.Config) {
		path := strings.Split(s.Key, ".")
		name := path[len(path)-1]
		within := path[:len(path)-1]
		for depth, head := range within {
			if depth >= len(section) || section[depth] != head {
				section = nil // what is deeper is new as well
				fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", depth), head)
			}
		}
		section = within
		indent := strings.Repeat("  ", len(within))
		value := s.text(&l.Config)
		if s.Type.Kind() == reflect.String {
			quoted, err := json.Marshal(value)
			if err != nil {
				return fmt.Errorf("printing %s: %w", s.Key, err)
			}
			value = string(quoted)
		}
		if list, ok := s.value(&l.Config).([]string); ok {
			quoted, err := json.Marshal(append([]string{}, list...))
			if err != nil {
				return fmt.Errorf("printing %s: %w", s.Key, err)
			}
			value = string(quoted)
		}
		fmt.Fprintf(&b, "%s%s: %s  # %s\n", indent, name, value, l.Origin[s.Key])
	}
	_, err := io.WriteString(w, b.String())
	return err
}
