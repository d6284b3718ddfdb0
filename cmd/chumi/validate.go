package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/seal"
)

// validate refuses values that no start should accept. Each problem names the
// key and where its value came from.
func (l *Loaded) validate() error {
	var problems []error
	refuse := func(key, format string, args ...any) {
		problems = append(problems, &Problem{Where: l.Origin[key], Key: key, What: fmt.Sprintf(format, args...)})
	}
	for _, s := range settingsOf(&l.Config) {
		if what := s.check(s.value(&l.Config)); what != "" {
			refuse(s.Key, "%s", what)
		}
	}
	c := &l.Config
	if remote(c.API.Addr) && !c.API.AllowRemote {
		refuse("api.addr", "is reachable from other machines; use a loopback address, or set api.allow_remote and put TLS in front")
	}
	if remote(c.Ops.Addr) && !c.Ops.AllowRemote {
		refuse("ops.addr", "is reachable from other machines and serves profiles; use a loopback address, or set ops.allow_remote")
	}
	for _, same := range samePorts(c) {
		refuse(same[1], "is the same address as %s; each listener needs its own", same[0])
	}
	if c.Assistant.SilenceDeadline < c.Assistant.QuietPeriod+answerMin {
		refuse("assistant.silence_deadline", "must be at least %s longer than assistant.quiet_period, or no answer can come in time", answerMin)
	}
	if c.Edge.BodyBytesMax < metaBodyBytesMax {
		refuse("edge.body_bytes_max", "must be at least %d: Meta sends bodies that large, and repeats one that is refused", metaBodyBytesMax)
	}
	if c.Engine.DrainTimeout > drainMax {
		refuse("engine.drain_timeout", "must be at most %s, so that a stop ends within 30 s", drainMax)
	}
	if c.Meta.SendTimeout > sendMax {
		refuse("meta.send_timeout", "must be at most %s: %s after it began a send counts as lost and may be made again, also while the first is under way",
			sendMax, chat.AttemptOverdue)
	}
	for _, file := range [][2]string{{"cluster.key_file", c.Cluster.KeyFile}, {"cluster.ca_file", c.Cluster.CAFile}} {
		if (file[1] == "") != (c.Cluster.CertFile == "") {
			refuse(file[0], "cluster.cert_file, cluster.key_file and cluster.ca_file are set together or not at all; chumi cluster init makes them")
		}
	}
	for _, key := range [][2]string{{"assistant.embedding_provider", c.Assistant.EmbeddingProvider}, {"assistant.transcription_provider", c.Assistant.TranscriptionProvider}} {
		if _, known := c.Assistant.Providers[key[1]]; key[1] != "" && !known {
			refuse(key[0], "there is no assistant.providers.%s", clip(key[1]))
		}
	}
	if s3 := &c.Media.S3; s3.On() != (s3.Bucket != "") {
		refuse("media.s3.bucket", "media.s3.endpoint and media.s3.bucket are set together or not at all")
	}
	if n := c.Cluster.LogEntries; n > 0 && n < logEntriesMin {
		refuse("cluster.log_entries", "must be at least %d, or a node that pauses for a moment gets snapshots", logEntriesMin)
	}
	if host, _, _ := net.SplitHostPort(c.Peer.Addr); c.Cluster.On() && c.Peer.Advertise == "" && unspecified(host) {
		refuse("peer.advertise", "is required: no node can reach this one at %s", c.Peer.Addr)
	}
	problems = append(problems, l.loadPrices(refuse))
	if c.Keys.File != "" {
		if what := unsafeKeyFile(c.Keys.File); what != "" {
			refuse("keys.file", "%s", what)
		}
	}
	return errors.Join(problems...)
}

// loadPrices loads the price list and holds the budget against it.
func (l *Loaded) loadPrices(refuse func(key, format string, args ...any)) error {
	a := &l.Config.Assistant
	var err error
	if a.Prices, err = loadPricing(a.PricingFile); err != nil {
		return err
	}
	a.Prices.Models = []chat.ModelRef{{Model: a.Model}}
	budget, _ := chat.ParseMoney(a.BudgetPerMonth)
	if soft, _ := chat.ParseMoney(a.BudgetSoft); soft > budget {
		refuse("assistant.budget_soft", "is above assistant.budget_per_month, where nothing is spent any more")
	}
	for _, m := range a.Prices.Unpriced(nil) {
		if budget > 0 {
			refuse("assistant.budget_per_month", "cannot bound what the model %q costs: the price list has no price for it; add one to a file of assistant.pricing_file", clip(m.Model))
		}
	}
	return nil
}

const (
	// metaBodyBytesMax is the largest webhook body Meta documents.
	metaBodyBytesMax = 3 << 20
	// logEntriesMin is a second or two of a busy group.
	logEntriesMin = 100
	// answerMin is the least time a turn needs after the quiet period.
	answerMin = time.Second
	// sendMax leaves a sender time to say what became of a request.
	sendMax = chat.AttemptOverdue - 30*time.Second
	// drainMax leaves time to close the store within the 30 s a stop may take.
	drainMax = 28 * time.Second
)

var graphVersion = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,2}$`)

// check applies the rule of one setting and returns what is wrong, or "".
func (s setting) check(v any) string {
	if d, ok := v.(time.Duration); ok {
		if d <= 0 {
			return "must be greater than zero"
		}
		return ""
	}
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Int:
		n := rv.Int()
		if n < 0 || n == 0 && s.Rule != "optional" {
			return "must be greater than zero"
		}
	case reflect.String:
		return s.checkText(rv.String())
	}
	return ""
}

func (s setting) checkText(text string) string {
	if s.Enum != nil && !slices.Contains(s.Enum, text) {
		return fmt.Sprintf("wants one of %s, got %q", strings.Join(s.Enum, ", "), clip(text))
	}
	switch s.Rule {
	case "optional":
		return ""
	case "addr", "loopback":
		return checkAddr(text)
	case "addr_opt":
		if text == "" {
			return ""
		}
		return checkAddr(text)
	case "url_opt":
		if text == "" {
			return ""
		}
		return checkURL(text)
	case "url":
		return checkURL(text)
	case "money":
		if text == "" {
			return ""
		}
		if _, err := chat.ParseMoney(text); err != nil {
			return err.Error()
		}
		return ""
	case "graph_version":
		if !graphVersion.MatchString(text) {
			return fmt.Sprintf("wants a version such as v25.0, got %q", clip(text))
		}
		return ""
	}
	if strings.TrimSpace(text) == "" {
		return "must not be empty"
	}
	return ""
}

func checkAddr(text string) string {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Sprintf("wants HOST:PORT such as 127.0.0.1:8080, got %q", clip(text))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Sprintf("wants a port between 0 and 65535, got %q", clip(port))
	}
	return ""
}

func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf("wants an http or https URL, got %q", clip(text))
	case u.User != nil:
		return "must not hold a user or password; set the key in its own place"
	case u.RawQuery != "" || u.Fragment != "":
		return "must not hold a query or fragment"
	}
	return ""
}

// remote reports whether other machines can reach a listener on addr.
func remote(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

// unspecified reports whether host stands for every address of the machine.
func unspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// samePorts lists pairs of keys whose listeners would collide.
func samePorts(c *Config) [][2]string {
	listeners := [][2]string{{"edge.addr", c.Edge.Addr}, {"api.addr", c.API.Addr}, {"ops.addr", c.Ops.Addr}}
	if c.Cluster.On() {
		listeners = append(listeners, [2]string{"peer.addr", c.Peer.Addr})
	}
	var out [][2]string
	for i, a := range listeners {
		for _, b := range listeners[i+1:] {
			if a[1] == b[1] && !strings.HasSuffix(a[1], ":0") {
				out = append(out, [2]string{a[0], b[0]})
			}
		}
	}
	return out
}

// unsafeKeyFile says why a key file that exists must not be used. Whether a
// missing one may be created is the store's decision.
func unsafeKeyFile(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "does not exist; restore the key file, or leave keys.file empty to have a key created on the first start"
	case err != nil:
		return "cannot be read: " + cause(err)
	case info.IsDir():
		return "is a directory; it must be the file that holds the key"
	case seal.Exposed(info):
		return fmt.Sprintf("can be read by other users (mode %04o); run: chmod 0400 %s", info.Mode().Perm(), path)
	}
	return ""
}
