package main

import (
	"context"
	"os/exec"

	"github.com/redis/go-redis/v9"
)

// redisSocket is where Redis listens, in the working directory. A socket of this
// kind costs it less than one of TCP.
const redisSocket = "redis.sock"

// redisConns is one for every second request that can be under way.
const redisConns = 128

func missingRedis() string {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return "redis-server is not installed"
	}
	return ""
}

func redisVersion() string { return firstLine("redis-server", "--version") }

// startRedis starts Redis with Debian's defaults, but for what makes it durable: the
// append-only file is flushed before an answer is given. There are no snapshots
// beside it.
func startRedis(ctx context.Context) (*redis.Client, error) {
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", redisSocket, "--dir", ".", "--daemonize", "no",
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning")
	if err := startChild(cmd); err != nil {
		return nil, err
	}
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: redisSocket, PoolSize: redisConns})
	return c, up(ctx, "redis-server", func(ctx context.Context) error { return c.Ping(ctx).Err() })
}

// streamKey is the stream that has every message.
const streamKey = "inbound"

func serveRedisStream(ctx context.Context, s site) (string, error) {
	c, err := startRedis(ctx)
	if err != nil {
		return "", err
	}
	return serveFast(s, func(ctx context.Context, id string, body []byte) error {
		return c.XAdd(ctx, &redis.XAddArgs{Stream: streamKey, Values: []any{"id", id, "body", body}}).Err()
	})
}

func auditRedisStream(ctx context.Context, found func(id string)) error {
	c, err := startRedis(ctx)
	if err != nil {
		return err
	}
	const page = 1000
	for from := "-"; ; {
		entries, err := c.XRangeN(ctx, streamKey, from, "+", page).Result()
		if err != nil {
			return err
		}
		for _, e := range entries {
			if id, ok := e.Values["id"].(string); ok && e.Values["body"] != "" {
				found(id)
			}
			from = "(" + e.ID
		}
		if len(entries) < page {
			return nil
		}
	}
}
