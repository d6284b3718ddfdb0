package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// saying is what a simulated customer writes, and how long an answer may take.
type saying struct {
	cli       *cli
	simulator string
	said      metasim.Said
	within    time.Duration
}

func (c *cli) sayCommand() *cobra.Command {
	s := saying{cli: c}
	cmd := &cobra.Command{Use: "say TEXT", Short: "Write as a simulated customer, and print the answer",
		Long: `say writes one message on a phone of the simulator that chumi simulate runs (or chumi
dev, at its page's address), which posts it to the engine as Meta would, and prints what
comes back on that phone:

  chumi say "Are you open on Saturday?"

Exit code 1 when nothing has come within --within.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(errors.New(`say takes one text: chumi say "Are you open on Saturday?"`))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s.said.Text = args[0]
			return s.run(cmd.Context())
		}}
	f := cmd.Flags()
	f.StringVar(&s.simulator, "simulator", defaultGraphAddr, "address of the Graph simulator")
	f.StringVar(&s.said.Channel, "to", "whatsapp", "channel that is written to, by its id; whatsapp or instagram for the first of the kind")
	f.StringVar(&s.said.From, "from", demoCustomer, "the customer's WhatsApp or Instagram-scoped id: digits")
	f.DurationVar(&s.within, "within", 30*time.Second, "how long to wait for an answer")
	return cmd
}

// phoneNews is what the phones' stream answers.
type phoneNews struct {
	Events []metasim.PhoneEvent `json:"events"`
	Next   uint64               `json:"next"`
	Run    string               `json:"run"`
}

// run writes the message and waits for what the business says to it.
func (s *saying) run(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	before, err := s.news(limited, phoneNews{}, 0)
	if err != nil {
		return err
	}
	body, err := json.Marshal(s.said)
	if err != nil {
		return err
	}
	began := time.Now()
	var heard metasim.Heard
	if err := s.ask(limited, http.MethodPost, "messages", body, &heard); err != nil {
		return err
	}
	if heard.Acknowledged {
		s.acknowledged(began)
	}
	for at := before; ; {
		at, err = s.news(limited, at, s.within)
		switch {
		case limited.Err() != nil && !heard.Acknowledged:
			return fmt.Errorf("no webhook was answered 200 within %s; the simulator goes on posting it, as Meta does", s.within)
		case limited.Err() != nil:
			return fmt.Errorf("nothing was answered within %s", s.within)
		case err != nil:
			return err
		}
		for _, e := range at.Events {
			switch {
			case e.Type == "tick" && e.ID == heard.ID && !heard.Acknowledged:
				heard.Acknowledged = true
				s.acknowledged(began)
			case e.Type == "message" && e.From == "business" && e.Customer == s.said.From:
				_, err = fmt.Fprintf(s.cli.stdout, "business: %s  [after %s]\n", e.Text, since(began))
				return err
			}
		}
	}
}

// acknowledged tells that the engine has the message.
func (s *saying) acknowledged(began time.Time) {
	fmt.Fprintf(s.cli.stdout, "customer: %s  [webhook answered 200 after %s]\n", s.said.Text, since(began))
}

// news waits for what happens on the phones after the last news.
func (s *saying) news(ctx context.Context, last phoneNews, wait time.Duration) (next phoneNews, err error) {
	q := url.Values{"after": {strconv.FormatUint(last.Next, 10)}, "run": {last.Run}, "wait": {strconv.Itoa(int(wait / time.Second))}}
	err = s.ask(ctx, http.MethodGet, "stream?"+q.Encode(), nil, &next)
	return next, err
}

// ask makes one request to the simulator's own API.
func (s *saying) ask(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+strings.TrimPrefix(s.simulator, "http://")+"/simulator/api/"+path, bytes.NewReader(body))
	if err != nil {
		return usageError(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no simulator answers at %s (--simulator; chumi simulate runs one): %w", s.simulator, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		var problem struct{ Error struct{ Message string } }
		if json.NewDecoder(resp.Body).Decode(&problem) != nil || problem.Error.Message == "" {
			return fmt.Errorf("what answers at %s is no simulator (--simulator)", s.simulator)
		}
		return usageError(errors.New(problem.Error.Message))
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("the simulator's answer is unreadable: %w", err)
	}
	return nil
}

// since is the time from began, as a person reads it.
func since(began time.Time) time.Duration {
	d := time.Since(began)
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
