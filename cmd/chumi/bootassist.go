package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/chumiai/chumi/chat"
)

// declaredAssistant is an assistant of a bootstrap file.
type declaredAssistant struct {
	where  string
	tenant chat.TenantID
	id     chat.AssistantID
	// channels are where it answers instead of main.
	channels []chat.ChannelID
	content  chat.Assistant
	// by names the declaration: one that was applied once is not applied again, so
	// that it undoes nothing that came later.
	by string
}

// declared parts an entry of a bootstrap file into whose it is and what it says.
func declared(file string, n *yaml.Node) (d declaredAssistant, err error) {
	if n.Kind != yaml.MappingNode {
		return d, &Problem{Where: fmt.Sprintf("%s:%d", file, n.Line), Key: "assistants", What: "wants keys below it, got " + kindWord(n)}
	}
	d.where = fmt.Sprintf("%s:%d", file, n.Line)
	content := *n
	content.Content = slices.Clone(n.Content)
	take := func(key string, into any) {
		for i := 0; i+1 < len(content.Content); i += 2 {
			if k, v := content.Content[i], content.Content[i+1]; k.Value == key {
				if v.Decode(into) != nil {
					err = errors.Join(err, &Problem{Where: fmt.Sprintf("%s:%d", file, k.Line), Key: "assistants." + key, What: "has a value of the wrong type"})
				}
				content.Content = slices.Delete(content.Content, i, i+2)
				return
			}
		}
	}
	take("tenant", &d.tenant)
	take("id", &d.id)
	take("answers_on", &d.channels)
	if err != nil {
		return d, err
	}
	if d.tenant == "" {
		return d, &Problem{Where: d.where, Key: "assistants.tenant", What: "is required and must not be empty"}
	}
	if d.id == "" {
		d.id = chat.DefaultAssistant
	}
	var body []byte
	if d.content, body, err = (assistantNode{file, &content}).read(); err != nil {
		return d, err
	}
	sum := sha256.Sum256(fmt.Append(body, d.channels))
	d.content.ID, d.by = d.id, "bootstrap:"+hex.EncodeToString(sum[:6])
	d.content.Author = d.by
	return d, nil
}

// declarePause is how often a node looks whether assistants of tenants that others
// lead have been declared.
const declarePause = time.Second

// declareAssistants applies the assistants of the bootstrap file. Those of tenants
// that another node leads are that node's to apply: it has the same file.
func (s *Server) declareAssistants(ctx context.Context) error {
	if s.opt.Bootstrap == nil {
		return nil
	}
	for _, d := range s.opt.Bootstrap.declared {
		for {
			if s.node != nil && s.store.Epoch(s.store.Group(d.tenant)) == 0 {
				s.opt.Log.Info("an assistant is declared where its tenant is led", "tenant", d.tenant, "assistant", d.id)
				break
			}
			err := s.declareAssistant(ctx, d)
			if err == nil {
				break
			}
			switch chat.KindOf(err) {
			case chat.KindBusy, chat.KindUnavailable, chat.KindUnknown, chat.KindFenced:
			default:
				return usageError(fmt.Errorf("the bootstrap file cannot be applied: %s: %w", d.where, err))
			}
			select {
			case <-time.After(declarePause):
			case <-ctx.Done():
				return nil
			}
		}
	}
	return nil
}

// declareAssistant drafts and publishes one, unless this very declaration was applied
// before.
func (s *Server) declareAssistant(ctx context.Context, d declaredAssistant) error {
	a := s.system.Assistants()
	heads, err := a.Heads(ctx, d.tenant)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if h.ID == d.id && h.Draft != 0 {
			s.opt.Log.Warn("an assistant is not declared again while somebody writes a draft of it", "tenant", d.tenant, "assistant", d.id)
			return nil
		}
		if h.ID == d.id && slices.ContainsFunc(h.Past, func(p chat.Publication) bool { return p.By == d.by }) {
			return nil
		}
	}
	v, err := a.Draft(ctx, d.tenant, chat.DraftAssistant{Draft: d.content})
	if err := verdictError(v, err); err != nil {
		return err
	}
	v, err = a.Publish(ctx, d.tenant, chat.PublishAssistant{ID: d.id, Version: v.Version, By: d.by})
	if err := verdictError(v, err); err != nil {
		return err
	}
	if len(d.channels) == 0 {
		return nil
	}
	return verdictError(a.Place(ctx, d.tenant, chat.PlaceAssistant{ID: d.id, Channels: d.channels, By: d.by}))
}

// verdictError is a refusal as an error.
func verdictError(v chat.Verdict, err error) error {
	switch {
	case err != nil || v.Kind != chat.VerdictRefused:
		return err
	case v.Limit != nil:
		return chat.E("bootstrap", chat.KindInvalid, v.Limit.Message, v.Limit)
	}
	return chat.E("bootstrap", chat.KindInvalid, strings.ReplaceAll(v.Reason, "_", " "), nil)
}
