package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// natsCommand is the command by which this program is the server of NATS, in a
	// process of its own.
	natsCommand = "nats"
	natsName    = "INBOUND"
	natsSubject = "inbound"
)

func natsVersion() string { return "nats-server " + server.VERSION }

// runNATS serves NATS with its store in dir: every message is flushed before it is
// acknowledged.
func runNATS(ctx context.Context, dir string, stdout io.Writer) error {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir,
		SyncAlways: true, NoSigs: true})
	if err != nil {
		return err
	}
	go s.Start()
	const patience = 30 * time.Second
	if !s.ReadyForConnections(patience) {
		return errors.New("nats-server does not start")
	}
	fmt.Fprintln(stdout, "ready", s.Addr())
	<-ctx.Done()
	s.Shutdown()
	return nil
}

// startNATS starts the server and opens its stream.
func startNATS(ctx context.Context) (jetstream.JetStream, jetstream.Stream, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	addr, err := startReady(exec.Command(self, natsCommand, "--dir", natsCommand))
	if err != nil {
		return nil, nil, err
	}
	conn, err := nats.Connect("nats://" + addr)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, nil, err
	}
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: natsName, Subjects: []string{natsSubject}, Storage: jetstream.FileStorage})
	return js, stream, err
}

func serveNATS(ctx context.Context, s site) (string, error) {
	js, _, err := startNATS(ctx)
	if err != nil {
		return "", err
	}
	return serveFast(s, func(ctx context.Context, id string, body []byte) error {
		_, err := js.Publish(ctx, natsSubject, body, jetstream.WithMsgID(id))
		return err
	})
}

func auditNATS(ctx context.Context, found func(id string)) error {
	_, stream, err := startNATS(ctx)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	const page = 1000
	for left := info.State.Msgs; left > 0; {
		batch, err := consumer.Fetch(int(min(left, page)))
		if err != nil {
			return err
		}
		before := left
		for m := range batch.Messages() {
			left--
			if len(m.Data()) > 0 {
				found(m.Headers().Get(jetstream.MsgIDHeader))
			}
		}
		if err := batch.Error(); err != nil {
			return err
		}
		if left == before {
			return fmt.Errorf("the stream says it has %d more messages and does not give them", left)
		}
	}
	return nil
}
