package main

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"
)

// asynqQueue is the queue that has every message, asynqType what its tasks are.
const (
	asynqQueue = "inbound"
	asynqType  = "webhook"
)

var asynqRedis = asynq.RedisClientOpt{Network: "unix", Addr: redisSocket, PoolSize: redisConns}

func serveAsynq(ctx context.Context, s site) (string, error) {
	if _, err := startRedis(ctx); err != nil {
		return "", err
	}
	c := asynq.NewClient(asynqRedis)
	return serveFast(s, func(ctx context.Context, id string, body []byte) error {
		_, err := c.EnqueueContext(ctx, asynq.NewTask(asynqType, body), asynq.TaskID(id), asynq.Queue(asynqQueue))
		if errors.Is(err, asynq.ErrTaskIDConflict) {
			return nil
		}
		return err
	})
}

func auditAsynq(ctx context.Context, found func(id string)) error {
	if _, err := startRedis(ctx); err != nil {
		return err
	}
	const page = 1000
	i := asynq.NewInspector(asynqRedis)
	for n := 1; ; n++ {
		tasks, err := i.ListPendingTasks(asynqQueue, asynq.PageSize(page), asynq.Page(n))
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if len(t.Payload) > 0 {
				found(t.ID)
			}
		}
		if len(tasks) < page {
			return nil
		}
	}
}
