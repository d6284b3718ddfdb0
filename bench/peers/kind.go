package main

import "context"

// description is what chumi bench is told of a kind.
type description struct {
	Name       string   `json:"name"`
	Title      string   `json:"title"`
	Durability string   `json:"durability"`
	By         string   `json:"by"`
	Lacks      []string `json:"lacks"`
	Version    string   `json:"version,omitempty"`
	Skipped    string   `json:"skipped,omitempty"`
}

// synced is the class of all that answer when a message is on disk.
const synced = "fsync before 200"

// What the engine does with each message and a peer does not.
const (
	lacksDedupe = "no dedupe"
	lacksOrder  = "no order per conversation"
	lacksSeal   = "not encrypted"
	lacksViews  = "no feed, inbox or agenda"
	lacksRoute  = "body parsed for its id alone"
)

// kind is one peer.
type kind struct {
	description
	// missing says what is not installed, "" when all is. version is of what is.
	missing func() string
	version func() string
	// serve starts the store in the working directory and an edge before it, and
	// returns the edge's address. It lasts until the process ends.
	serve func(context.Context, site) (string, error)
	// audit starts the store again and gives the id of each message in it.
	audit func(context.Context, func(id string)) error
	// node is true when it needs the files of nodeDir.
	node bool
}

// site is where and for whom a kind serves.
type site struct {
	addr, secret string
	// files is the directory of the Node part.
	files string
}

// The kinds.
const (
	redisStream   = "redis-stream"
	redisAsynq    = "asynq"
	redisBullMQ   = "bullmq"
	postgresPlain = "postgres"
	postgresBatch = "postgres-batch"
	natsStream    = "nats"
)

// order is the one in which they are listed.
var order = []string{redisStream, redisAsynq, redisBullMQ, postgresPlain, postgresBatch, natsStream}

func kinds() map[string]kind {
	const aof = "Redis appendfsync always"
	const commit = "PostgreSQL synchronous_commit on"
	rest := []string{lacksRoute, lacksOrder, lacksSeal, lacksViews}
	return map[string]kind{
		redisStream: {
			description: description{Title: "fasthttp + Redis Streams", Durability: synced, By: aof, Lacks: append([]string{lacksDedupe}, rest...)},
			missing:     missingRedis, version: redisVersion, serve: serveRedisStream, audit: auditRedisStream,
		},
		redisAsynq: {
			description: description{Title: "fasthttp + asynq", Durability: synced, By: aof, Lacks: append([]string{"dedupe only while a task is queued"}, rest...)},
			missing:     missingRedis, version: redisVersion, serve: serveAsynq, audit: auditAsynq,
		},
		redisBullMQ: {
			description: description{Title: "Express + BullMQ", Durability: synced, By: aof + "; a process per CPU", Lacks: append([]string{"dedupe only while a job is kept"}, rest...)},
			missing:     missingBullMQ, version: bullVersion, serve: serveBullMQ, audit: auditBullMQ, node: true,
		},
		postgresPlain: {
			description: description{Title: "net/http + pgx + PostgreSQL", Durability: synced, By: commit + "; an insert per message into jsonb, 32 connections", Lacks: rest},
			missing:     missingPostgres, version: postgresVersion, serve: servePostgresPlain, audit: auditPostgres,
		},
		postgresBatch: {
			description: description{Title: "net/http + pgx + PostgreSQL, batched", Durability: synced, By: commit + "; one insert for all that wait, into bytea", Lacks: rest},
			missing:     missingPostgres, version: postgresVersion, serve: servePostgresBatch, audit: auditPostgres,
		},
		natsStream: {
			description: description{Title: "fasthttp + NATS JetStream", Durability: synced, By: "sync_interval always, one replica", Lacks: append([]string{"dedupe for 2 minutes"}, rest...)},
			missing:     func() string { return "" }, version: natsVersion, serve: serveNATS, audit: auditNATS,
		},
	}
}
