package main

import (
	"slices"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/openai"
)

// buildModel returns nil when no model is configured: customers' messages then
// go to people.
func (s *Server) buildModel() (*openai.Client, error) {
	c := &s.opt.Config.Assistant
	o := openai.Options{
		BaseURL: c.BaseURL, Model: c.Model, APIKey: c.APIKey, API: openai.API(c.API), APIVersion: c.APIVersion, HTTP2: c.HTTP2,
		Named:         c.providers(),
		Embedding:     chat.ModelRef{Provider: c.EmbeddingProvider, Model: c.EmbeddingModel},
		Transcription: chat.ModelRef{Provider: c.TranscriptionProvider, Model: c.TranscriptionModel},
	}
	switch {
	case s.opt.Simulator != nil:
		o = openai.Options{BaseURL: s.opt.Simulator.modelURL, Model: simulatedModel, Simulated: true}
	case !s.opt.Config.AssistantReady():
		return nil, nil
	}
	o.Spent = func(t chat.TenantID, used chat.Spend) { s.system.Charge(t, used) }
	o.Timeout, o.Metrics, o.ConnectionsMax = c.TurnTimeout, &s.metrics.Model, connectionsMax()
	client, err := openai.New(o)
	if err == nil {
		s.onClose(func() error { client.Close(); return nil })
	}
	return client, err
}

// providers are the servers of models that have a name.
func (c *AssistantConfig) providers() map[string]openai.ProviderOptions {
	out := map[string]openai.ProviderOptions{}
	for name, p := range c.Providers {
		out[name] = openai.ProviderOptions{BaseURL: p.BaseURL, APIKey: p.APIKey, API: openai.API(p.API), APIVersion: p.APIVersion,
			Models: p.Models, HTTP2: p.HTTP2}
	}
	return out
}

// Knows implements actors.Models.
func (c *AssistantConfig) Knows(m chat.ModelRef) bool {
	if m.Provider == "" {
		return true
	}
	p, found := c.Providers[m.Provider]
	return found && (len(p.Models) == 0 || slices.Contains(p.Models, m.Model))
}

// connectionsMax leaves half of the descriptors to everything else: calls of models
// above it wait for a connection.
func connectionsMax() int { return descriptorsMax() / 2 }
