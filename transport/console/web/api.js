// Requests to the engine and to the simulator.

let key = "";

/** Reads the page's configuration and keeps the API key for the other calls. */
export async function configure() {
  const config = await request("GET", "/simulator/api/config");
  key = config.api_key;
  return config;
}

/** Makes a JSON request; throws an Error with the server's message. */
export async function request(method, path, body, { authorize = false, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (authorize) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    if (authorize) headers["Idempotency-Key"] = uniqueKey();
  }
  const response = await fetch(path, {
    method, headers, signal, cache: "no-store",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    // The status below says enough.
  }
  if (!response.ok) {
    throw new Error(value?.error?.message || `${path} answered ${response.status}`);
  }
  return value;
}

function uniqueKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Follows the tenant's feed for ever, from its beginning: calls onEvent for
 * each event once, in order, and onState with "live" or "wait".
 */
export async function followFeed(onEvent, onState) {
  let last = 0;
  for (let failures = 0; ; failures++) {
    try {
      await readFeed(last, (event) => {
        failures = 0;
        if (typeof event.pos === "number" && event.pos <= last) return;
        last = event.pos ?? last;
        onEvent(event);
      }, () => onState("live"));
    } catch {
      // Read again from the last position.
    }
    onState("wait");
    await pause(Math.min(5000, 300 * 2 ** failures));
  }
}

// An EventSource cannot send the Authorization header, so the stream is read by
// hand: events end at an empty line, "data:" lines are joined.
async function readFeed(from, onEvent, onOpen) {
  const response = await fetch(`/v1/events?from=${from}`, {
    headers: { Accept: "text/event-stream", Authorization: `Bearer ${key}` }, cache: "no-store",
  });
  if (!response.ok || !response.body) throw new Error(`feed answered ${response.status}`);
  onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) {
        data.push(line.slice(5).replace(/^ /, ""));
      } else if (line === "" && data.length > 0) {
        const text = data.join("\n");
        data = [];
        onEvent(JSON.parse(text));
      }
    }
  }
}

/**
 * Follows what happens on the phones for ever. onRestart is called when the
 * simulator is another one than before.
 */
export async function followPhones(onEvents, onRestart) {
  let after = 0;
  let run = "";
  for (let failures = 0; ;) {
    try {
      const news = await request("GET", `/simulator/api/stream?after=${after}&run=${run}&wait=5`);
      failures = 0;
      if (run && news.run !== run) return onRestart();
      after = news.next;
      run = news.run;
      onEvents(news.events);
    } catch {
      await pause(Math.min(5000, 300 * 2 ** failures++));
    }
  }
}

/** Lets the customer write. */
export const say = (message) => request("POST", "/simulator/api/messages", message);

const conversation = (id, verb) => `/v1/conversations/${encodeURIComponent(id)}/${verb}`;

/** The three things a member of the team does here. */
export const takeOver = (id) => request("POST", conversation(id, "takeover"), {}, { authorize: true });
export const handBack = (id) => request("POST", conversation(id, "handback"), {}, { authorize: true });
export const reply = (id, text) =>
  request("POST", conversation(id, "messages"), { type: "text", text }, { authorize: true });
