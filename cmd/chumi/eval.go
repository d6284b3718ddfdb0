package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
)

// evalCase is a file of evals/.
type evalCase struct {
	Name string `yaml:"name"`
	// Assistant is a file beside this one.
	Assistant string        `yaml:"assistant"`
	Time      string        `yaml:"time"`
	Contact   string        `yaml:"contact"`
	Knowledge []evalPassage `yaml:"knowledge"`
	Products  []evalProduct `yaml:"products"`
	Tools     []evalTool    `yaml:"tools"`
	History   []evalLine    `yaml:"history"`
	Turns     []evalTurn    `yaml:"turns"`

	file string
}

type evalPassage struct {
	ID    string `yaml:"id"`
	Title string `yaml:"title"`
	Text  string `yaml:"text"`
	URL   string `yaml:"url"`
}

type evalProduct struct {
	ID          string `yaml:"id"`
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	// Price is in the smallest unit of Currency.
	Price    int    `yaml:"price"`
	Currency string `yaml:"currency"`
	URL      string `yaml:"url"`
}

// evalTool is what a tool comes to when it is called with Args; any, where there are
// none.
type evalTool struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	Parameters  string `yaml:"parameters"`
	Args        string `yaml:"args"`
	Result      string `yaml:"result"`
	Error       string `yaml:"error"`
}

// evalLine is what was said before: by the customer, or by the business.
type evalLine struct {
	Customer string `yaml:"customer"`
	Business string `yaml:"business"`
}

type evalTurn struct {
	Customer []string `yaml:"customer"`
	Tools    []string `yaml:"tools"`
	Must     []string `yaml:"must"`
	MustNot  []string `yaml:"must_not"`
	Expected string   `yaml:"expected"`
	Handoff  bool     `yaml:"handoff"`
	Schema   bool     `yaml:"schema"`
	Sources  []string `yaml:"sources"`
	CostMax  string   `yaml:"max_cost"`
}

func (c *cli) evalCommand() *cobra.Command {
	var live bool
	cmd := &cobra.Command{Use: "eval [FILE or DIRECTORY ...]", Short: "Hold an assistant to what its answers must be",
		Long: `eval runs the cases of files, of evals/*.yaml where none are named: a customer's
messages, the assistant, what it can look up, and what its answer is held to. The
answers come from the cassette beside each case, so that no key is needed; with --live
they come from the configured model and are recorded there. It exits 3 when a case
fails.

A cassette is used only for the very prompt it was recorded with: after a change of the
assistant its cases need --live once.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.evals(cmd.Context(), &loaded.Config, args, live)
		}}
	c.configFlags(cmd, "assistant.base_url", "assistant.model")
	cmd.Flags().BoolVar(&live, "live", false, "ask the configured model, and record what it says")
	cmd.AddCommand(c.evalAddCommand())
	return cmd
}

func (c *cli) evals(ctx context.Context, cfg *Config, args []string, live bool) error {
	cases, err := readCases(args)
	if err != nil {
		return usageError(err)
	}
	var model actors.Model
	if live {
		if !cfg.AssistantReady() {
			return usageError(errors.New("--live needs a model: set assistant.api_key or assistant.base_url"))
		}
		client, err := offlineModel(cfg)
		if err != nil {
			return err
		}
		defer client.Close()
		model = client
	}
	failed := 0
	for _, one := range cases {
		faults, err := one.run(ctx, model, cfg.Assistant.Prices)
		if err != nil {
			return err
		}
		word := "ok"
		if len(faults) > 0 {
			word = "FAILED"
			failed++
		}
		fmt.Fprintf(c.stdout, "%-6s %s\n", word, one.Name)
		for _, f := range faults {
			fmt.Fprintf(c.stdout, "       %s\n", f)
		}
	}
	fmt.Fprintf(c.stdout, "%d cases, %d failed\n", len(cases), failed)
	if failed > 0 {
		return &exitError{code: exitViolation, err: fmt.Errorf("%d of %d cases failed", failed, len(cases))}
	}
	return nil
}

// assistantSuffix ends the files of assistants beside cases.
const assistantSuffix = ".assistant.yaml"

// readCases reads the files named, and those of directories.
func readCases(args []string) (cases []*evalCase, err error) {
	if len(args) == 0 {
		args = []string{"evals"}
	}
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read: %s", arg, cause(err))
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		found, _ := filepath.Glob(filepath.Join(arg, "*.yaml")) // a good pattern
		files = append(files, slices.DeleteFunc(found, func(f string) bool { return strings.HasSuffix(f, assistantSuffix) })...)
	}
	var problems []error
	for _, f := range files {
		one, err := readCase(f)
		problems = append(problems, err)
		cases = append(cases, one)
	}
	if err = errors.Join(problems...); err == nil && len(cases) == 0 {
		err = errors.New("there are no cases in " + strings.Join(args, ", "))
	}
	return cases, err
}

// readCase reads a case. Problems name file, line and key.
func readCase(file string) (*evalCase, error) {
	data, err := readSmall(file)
	if err != nil {
		return nil, &Problem{Where: file, What: "cannot be read: " + cause(err)}
	}
	one := &evalCase{file: file}
	d := strict{file: file, tag: "yaml"}
	if err := d.decode(data, reflect.ValueOf(one).Elem()); err != nil {
		return nil, err
	}
	refuse := func(key, what string) error { return &Problem{Where: file, Key: key, What: what} }
	switch {
	case one.Name == "":
		return nil, refuse("name", "is required")
	case one.Assistant == "":
		return nil, refuse("assistant", "is required: a file beside the case")
	case len(one.Turns) == 0:
		return nil, refuse("turns", "is required")
	}
	if one.Time == "" {
		one.Time = "2026-01-05T10:00:00Z"
	}
	if _, err := time.Parse(time.RFC3339, one.Time); err != nil {
		return nil, refuse("time", "wants a time such as 2026-01-05T10:00:00Z")
	}
	for i := range one.Turns {
		t := &one.Turns[i]
		if len(t.Customer) == 0 {
			return nil, refuse(fmt.Sprintf("turns[%d].customer", i), "is required: what the customer says")
		}
		if t.CostMax != "" {
			if _, err := chat.ParseMoney(t.CostMax); err != nil {
				return nil, refuse(fmt.Sprintf("turns[%d].max_cost", i), err.Error())
			}
		}
	}
	for i := range one.Tools {
		if t := &one.Tools[i]; t.Args != "" {
			if _, err := chat.CanonicalArgs([]byte(t.Args)); err != nil {
				return nil, refuse(fmt.Sprintf("tools[%d].args", i), "must be a JSON object")
			}
		}
	}
	return one, nil
}
