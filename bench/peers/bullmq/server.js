// Express + BullMQ as its documentation has it: the raw body is checked, decoded and
// added to a queue under the message's id. One process per CPU, all on one address.
import cluster from 'node:cluster';
import crypto from 'node:crypto';
import os from 'node:os';
import express from 'express';
import { Queue } from 'bullmq';

if (cluster.isPrimary) {
  const workers = os.availableParallelism();
  let listening = 0;
  cluster.on('listening', (_, address) => {
    if (++listening === workers) console.log(`ready ${address.address}:${address.port}`);
  });
  cluster.on('exit', () => process.exit(1));
  for (let i = 0; i < workers; i++) cluster.fork();
} else {
  const secret = process.env.SECRET;
  const queue = new Queue('inbound', { connection: { path: process.env.REDIS } });
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.post(/.*/, express.raw({ type: () => true, limit: '3mb' }), async (req, res) => {
    const sent = Buffer.from(req.get('X-Hub-Signature-256') ?? '');
    const sum = crypto.createHmac('sha256', secret).update(req.body).digest('hex');
    const want = Buffer.from('sha256=' + sum);
    if (sent.length !== want.length || !crypto.timingSafeEqual(sent, want)) {
      res.status(401).end();
      return;
    }
    const hook = JSON.parse(req.body.toString('utf8'));
    const entry = hook.entry?.[0];
    const id = entry?.changes?.[0]?.value?.messages?.[0]?.id ?? entry?.messaging?.[0]?.message?.mid;
    if (!id) {
      res.status(400).end();
      return;
    }
    await queue.add('webhook', hook, { jobId: id });
    res.status(200).end();
  });
  const [host, port] = process.env.ADDR.split(':');
  app.listen(Number(port), host);
}
