package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/redis/go-redis/v9"
)

// bullQueue is the queue that has every message; server.js has the name too.
const bullQueue = "bull:inbound:"

// nodeDir is the directory of the Node part, as an absolute path: below the working
// directory, or beside the directory of this program.
func nodeDir() (string, error) {
	below := filepath.Join("bench", "peers", "bullmq")
	places := []string{below, "bullmq"}
	if self, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(self), "..", below))
	}
	for _, p := range places {
		if _, err := os.Stat(filepath.Join(p, "server.js")); err == nil {
			return filepath.Abs(p)
		}
	}
	return "", fmt.Errorf("bench/peers/bullmq is not here")
}

func missingBullMQ() string {
	if reason := missingRedis(); reason != "" {
		return reason
	}
	if _, err := exec.LookPath("node"); err != nil {
		return "node is not installed"
	}
	dir, err := nodeDir()
	if err != nil {
		return err.Error()
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "bullmq")); err != nil {
		return "bullmq is not installed: run bench/peers/setup.sh"
	}
	return ""
}

func bullVersion() string {
	return redisVersion() + "; node " + firstLine("node", "--version")
}

func serveBullMQ(ctx context.Context, s site) (string, error) {
	if _, err := startRedis(ctx); err != nil {
		return "", err
	}
	cmd := exec.Command("node", filepath.Join(s.files, "server.js"))
	cmd.Env = append(os.Environ(), "NODE_ENV=production", "REDIS="+redisSocket, "ADDR="+s.addr, "SECRET="+s.secret)
	return startReady(cmd)
}

func auditBullMQ(ctx context.Context, found func(id string)) error {
	c, err := startRedis(ctx)
	if err != nil {
		return err
	}
	const page = 1000
	for from := int64(0); ; from += page {
		ids, err := c.LRange(ctx, bullQueue+"wait", from, from+page-1).Result()
		if err != nil {
			return err
		}
		pipe := c.Pipeline()
		kept := make([]*redis.BoolCmd, len(ids))
		for i, id := range ids {
			kept[i] = pipe.HExists(ctx, bullQueue+id, "data")
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		for i, id := range ids {
			if kept[i].Val() {
				found(id)
			}
		}
		if len(ids) < page {
			return nil
		}
	}
}
