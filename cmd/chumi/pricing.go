package main

import (
	_ "embed"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// defaultPricing is the price list that comes with this version.
//
//go:embed pricing.yaml
var defaultPricing []byte

// pricingFile is a price list as written.
type pricingFile struct {
	AsOf     string         `yaml:"as_of"`
	Currency string         `yaml:"currency"`
	Models   []pricingModel `yaml:"models"`
}

// pricingModel is one line: prices are in the currency, per million tokens, and per
// minute of sound.
type pricingModel struct {
	Provider string   `yaml:"provider"`
	Model    string   `yaml:"model"`
	Also     []string `yaml:"also"`
	Input    string   `yaml:"input"`
	Cached   string   `yaml:"cached"`
	Output   string   `yaml:"output"`
	Minute   string   `yaml:"minute"`
}

// loadPricing reads a price list from a file; an empty path is the list that comes
// with this version.
func loadPricing(path string) (*chat.PriceList, error) {
	if path == "" {
		return parsePricing("pricing.yaml", defaultPricing)
	}
	data, err := readSmall(path)
	if err != nil {
		return nil, &Problem{Where: path, What: "cannot be read: " + cause(err)}
	}
	return parsePricing(path, data)
}

var currencyWord = regexp.MustCompile(`^[A-Z]{3}$`)

// parsePricing decodes a price list. Problems name file, line and key.
func parsePricing(path string, data []byte) (*chat.PriceList, error) {
	lines := map[string]int{}
	d := strict{file: path, tag: "yaml", leaf: func(key string, _ any, line int) { lines[key] = line }}
	var f pricingFile
	if err := d.decode(data, reflect.ValueOf(&f).Elem()); err != nil {
		return nil, err
	}
	var problems []error
	refuse := func(key, format string, args ...any) {
		where := path
		if line := lines[key]; line > 0 {
			where += ":" + strconv.Itoa(line)
		}
		problems = append(problems, &Problem{Where: where, Key: key, What: fmt.Sprintf(format, args...)})
	}
	list := &chat.PriceList{AsOf: f.AsOf, Currency: f.Currency, Prices: make(map[chat.ModelRef]chat.Price, len(f.Models))}
	if _, err := time.Parse(time.DateOnly, f.AsOf); err != nil {
		refuse("as_of", "wants the day the prices were looked up, as in 2026-09-23, got %q", clip(f.AsOf))
	}
	if !currencyWord.MatchString(f.Currency) {
		refuse("currency", "wants a word such as USD, got %q", clip(f.Currency))
	}
	for i, m := range f.Models {
		key := fmt.Sprintf("models[%d].", i)
		var p chat.Price
		for _, part := range []struct {
			name, text string
			needed     bool
			to         *chat.Money
			per        chat.Money
			rest       string
		}{{"input", m.Input, m.Minute == "", &p.Input, 1e6, "has more than three digits after the point"},
			{"cached", m.Cached, false, &p.Cached, 1e6, "has more than three digits after the point"},
			{"output", m.Output, m.Minute == "", &p.Output, 1e6, "has more than three digits after the point"},
			{"minute", m.Minute, false, &p.Second, 60, "is no whole number of billionths a second"}} {
			if part.text == "" {
				if part.needed {
					lines[key+part.name] = lines[key+"model"]
					refuse(key+part.name, "is required: the price of a million tokens")
				}
				continue
			}
			price, err := chat.ParseMoney(part.text)
			if err == nil && price%part.per != 0 {
				err = errors.New(part.rest)
			}
			if err != nil {
				refuse(key+part.name, "%v", err)
			}
			*part.to = price / part.per
		}
		if strings.TrimSpace(m.Model) == "" {
			refuse(key+"model", "is required")
		}
		for _, name := range append([]string{m.Model}, m.Also...) {
			ref := chat.ModelRef{Provider: m.Provider, Model: name}
			if _, twice := list.Prices[ref]; twice {
				refuse(key+"model", "has the price of %q for the second time", clip(name))
			}
			list.Prices[ref] = p
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return list, nil
}
