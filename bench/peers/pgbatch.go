package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// batchMax bounds one insert; at 256 connections no more can wait.
	batchMax = 256
	// batchWriters insert at the same time: while one waits for the disk the next is
	// made ready, and PostgreSQL flushes for all that are.
	batchWriters = 4
)

// row is one message on its way into a batch.
type row struct {
	id   string
	body []byte
	done chan error
}

// servePostgresBatch is the same table filled as fast as is fair: each writer takes
// all that waits and inserts it in one statement. Nobody waits for a batch to fill.
func servePostgresBatch(ctx context.Context, s site) (string, error) {
	pool, err := startPostgres(ctx)
	if err != nil {
		return "", err
	}
	if _, err := pool.Exec(ctx, `CREATE TABLE inbound (id text PRIMARY KEY, received timestamptz NOT NULL DEFAULT now(), body bytea NOT NULL)`); err != nil {
		return "", err
	}
	queue := make(chan row, batchMax)
	for range batchWriters {
		go writeBatches(ctx, pool, queue)
	}
	return serveHTTP(s, fastID, func(ctx context.Context, id string, body []byte) error {
		r := row{id: id, body: body, done: make(chan error, 1)}
		select {
		case queue <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
		return <-r.done
	})
}

func writeBatches(ctx context.Context, pool *pgxpool.Pool, queue <-chan row) {
	for r := range queue {
		batch := []row{r}
	fill:
		for len(batch) < batchMax {
			select {
			case r := <-queue:
				batch = append(batch, r)
			default:
				break fill
			}
		}
		ids, bodies := make([]string, len(batch)), make([][]byte, len(batch))
		for i, r := range batch {
			ids[i], bodies[i] = r.id, r.body
		}
		_, err := pool.Exec(ctx, `INSERT INTO inbound (id, body) SELECT * FROM unnest($1::text[], $2::bytea[]) ON CONFLICT DO NOTHING`, ids, bodies)
		for _, r := range batch {
			r.done <- err
		}
	}
}
