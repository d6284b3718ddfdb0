package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/console"
	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// The demo business of `chumi dev`.
const (
	demoTenant    = chat.TenantID("demo")
	demoApp       = chat.AppID("demo")
	demoName      = "Demo Shop"
	demoWhatsApp  = "106540000000001"
	demoWABA      = "102290000000001"
	demoInstagram = "17841400000000001"

	// simulatedModel is what answers are labelled with.
	simulatedModel = openaisim.ModelName
	// demoQuietPeriod makes the first answer come soon.
	demoQuietPeriod = time.Second
)

func (c *cli) devCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dev", Short: "Try it: the engine with both simulators, a demo business and a page to type on",
		Long: `dev runs the engine with a simulated WhatsApp, Instagram and model beside it, all
on loopback addresses, and prints the address of a page where you type as a
customer and watch the engine answer. Nothing leaves this machine. The answers
come from rules, not from an AI.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.dev(cmd, loaded)
		}}
	c.configFlags(cmd, listenKeys...)
	return cmd
}

func (c *cli) dev(cmd *cobra.Command, loaded *Loaded) error {
	cfg := &loaded.Config
	if loaded.Origin["data_dir"] == "default" {
		cfg.DataDir = filepath.Join(cfg.DataDir, "dev")
	}
	if loaded.Origin["assistant.quiet_period"] == "default" {
		cfg.Assistant.QuietPeriod = demoQuietPeriod
	}
	if loaded.Origin["log.level"] == "default" {
		cfg.Log.Level = "warn"
	}
	bootstrap, err := demoBootstrap(cfg.DataDir)
	if err != nil {
		return err
	}
	sims, err := startSimulators("127.0.0.1:0", "127.0.0.1:0",
		metasim.Options{
			Accounts: simulatedAccounts(bootstrap), LedgerMax: ledgerMax,
			Plan: metasim.Plan{Latency: metasim.Latency{Median: 80 * time.Millisecond}, Reports: patient},
		},
		openaisim.Options{LedgerMax: ledgerMax, Plan: openaisim.Plan{
			Latency: openaisim.Latency{Median: 400 * time.Millisecond}, TokenPause: 15 * time.Millisecond}})
	if err != nil {
		return err
	}
	sims.page = demoPage(bootstrap)
	cfg.Meta.GraphURL, cfg.Meta.InstagramURL = sims.graphURL, sims.graphURL
	err = c.serve(cmd.Context(), ServerOptions{
		Config: cfg, Log: newLog(c.stderr, cfg.Log), Bootstrap: bootstrap, Simulator: sims,
	}, func(s *Server) {
		hooks, api, _ := s.Addresses()
		if err := s.furnish(cmd.Context()); err != nil {
			s.opt.Log.Warn("the demo business is not complete", "error", err)
		}
		sims.meta.SetHooks("http://" + hooks)
		fmt.Fprintf(c.stdout, "\n  chumi dev: everything is simulated, nothing leaves this machine\n\n"+
			"  page      http://%[1]s/\n"+
			"  API key   %[2]s\n"+
			"  try       curl -H 'Authorization: Bearer %[2]s' http://%[1]s/v1/conversations\n"+
			"  stop      Ctrl-C\n\n", api, bootstrap.APIKeys[0].Secret.Reveal())
	})
	return errors.Join(err, sims.Close())
}

// demoBootstrap declares the demo business. Its secrets are drawn once per data
// directory and kept there, so that the key printed stays the same.
func demoBootstrap(dataDir string) (*Bootstrap, error) {
	secret, err := demoSecret(filepath.Join(dataDir, "secrets", "demo"))
	if err != nil {
		return nil, err
	}
	assistant, err := demoAssistant()
	if err != nil {
		return nil, err
	}
	return &Bootstrap{
		declared: []declaredAssistant{assistant},
		Apps:     []BootstrapApp{{ID: demoApp, AppSecret: "app_" + secret, VerifyToken: "verify_" + secret}},
		Tenants:  []BootstrapTenant{{ID: demoTenant, Name: demoName}},
		Channels: []BootstrapChannel{
			{ID: "demo-wa", Tenant: demoTenant, App: demoApp, Kind: chat.WhatsApp.String(),
				PhoneNumberID: demoWhatsApp, WABAID: demoWABA, AccessToken: "wa_" + secret, simulated: true},
			{ID: "demo-ig", Tenant: demoTenant, App: demoApp, Kind: chat.Instagram.String(),
				IGID: demoInstagram, AccessToken: "ig_" + secret, simulated: true},
		},
		APIKeys: []BootstrapKey{{Tenant: demoTenant, Secret: "sk_test_" + secret, Scopes: []string{"*"}}},
	}, nil
}

// demoPage is what the page needs to know.
func demoPage(b *Bootstrap) console.Config {
	page := console.Config{APIKey: b.APIKeys[0].Secret.Reveal(),
		Contact: console.Contact{Name: "Ada", WhatsApp: demoCustomer, Instagram: "6270000000000001"}}
	for i := range b.Channels {
		ch := b.Channels[i].channel()
		page.Channels = append(page.Channels, console.Channel{ID: string(ch.ID), Kind: ch.Kind.String(), Name: demoName, Account: ch.Account})
	}
	return page
}

// demoSecret reads the random word at path, or draws and keeps one.
func demoSecret(path string) (chat.Secret, error) {
	text, err := readSmall(path)
	if err == nil && len(strings.TrimSpace(string(text))) > 0 {
		return chat.Secret(strings.TrimSpace(string(text))), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the demo's secret in %s cannot be read: %s", path, cause(err))
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // documented never to fail
	secret := hex.EncodeToString(random[:])
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("the demo's secret cannot be kept: %w", err)
	}
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("the demo's secret cannot be kept: %w", err)
	}
	return chat.Secret(secret), nil
}
