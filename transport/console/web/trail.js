// The trail: the engine's events, kept by conversation, one shown.

import { element, clock } from "./dom.js";

const keptEvents = 500;
const keptConversations = 200;

// What a kind is about gives its colour.
const families = [
  ["message_received", "customer"], ["message_failed", "bad"], ["message_cancelled", "quiet"],
  ["message_", "business"], ["attempt_", "quiet"], ["status_", "quiet"],
  ["turn_failed", "bad"], ["turn_", "turn"], ["tool_", "turn"], ["handoff_", "handoff"], ["received_quarantined", "bad"],
];

function family(kind) {
  return families.find(([prefix]) => kind.startsWith(prefix))?.[1] ?? "quiet";
}

/** One line that says what an event says. */
export function summary(event) {
  const { message, status, attempt, turn, tool, handoff, contact, update } = event;
  if (status?.status) return status.status;
  if (message?.text) return message.text;
  if (message?.type) return `[${message.type}]`;
  if (turn?.tool_calls) return turn.tool_calls.map((call) => `${call.name} ${JSON.stringify(call.args ?? {})}`).join(", ");
  if (turn?.response) return why(turn);
  if (turn?.answer) return turn.answer;
  if (tool) return [tool.name, tool.result?.error ?? tool.result?.content].filter(Boolean).join(": ");
  if (event.summary) return event.summary.text;
  if (turn?.reason) return turn.reason.replaceAll("_", " ");
  if (turn?.model) return turn.model;
  if (attempt?.reason) return attempt.reason.replaceAll("_", " ");
  if (attempt?.n) return `attempt ${attempt.n}`;
  if (handoff?.reason) return handoff.reason.replaceAll("_", " ");
  if (update?.type) return update.type;
  if (contact?.name) return contact.name;
  return "";
}

/** How an answer is meant, and what it rests on. */
function why({ response, saw }) {
  const { intent, sentiment, language, sources } = response;
  const titles = (saw ?? []).filter((p) => sources?.includes(p.chunk)).map((p) => p.title || p.chunk);
  return [intent, sentiment, language, titles.length ? `rests on ${titles.join(", ")}` : ""].filter(Boolean).join(" · ");
}

export class Trail {
  constructor(list, scroller, empty) {
    this.list = list;
    this.scroller = scroller;
    this.empty = empty;
    this.conversations = new Map();
    this.shown = null;
  }

  /** Keeps an event, and shows it if it is of the conversation shown. */
  take(event) {
    const id = event.conversation_id;
    if (!id) return;
    let c = this.conversations.get(id);
    if (!c) {
      c = { events: [], holder: "assistant", thinking: false };
      this.conversations.set(id, c);
      if (this.conversations.size > keptConversations) {
        this.conversations.delete(this.conversations.keys().next().value);
      }
    }
    c.events.push(event);
    if (c.events.length > keptEvents) c.events.shift();
    follow(c, event.kind);
    if (id === this.shown) this.append(event);
  }

  state(id) {
    return this.conversations.get(id);
  }

  show(id) {
    if (id === this.shown) return;
    this.shown = id;
    this.list.replaceChildren();
    const c = this.conversations.get(id);
    this.empty.hidden = Boolean(c);
    for (const event of c?.events ?? []) this.append(event);
  }

  append(event) {
    const atEnd = this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 40;
    const row = element("details", {},
      element("summary", {},
        element("span", { class: "seq" }, String(event.seq)),
        element("time", { datetime: event.time }, clock(event.time, true)),
        element("span", { class: "kind", "data-family": family(event.kind) }, event.kind.replaceAll("_", " ")),
        element("span", { class: "what" }, summary(event)),
        ...(simulated(event) ? [element("span", { class: "simulated" }, "simulated")] : [])));
    // Most rows are never opened: their record is written out when they are.
    row.addEventListener("toggle", () => {
      if (row.open && !row.querySelector("pre")) row.append(element("pre", {}, JSON.stringify(event, null, 2)));
    });
    this.list.append(element("li", {}, row));
    while (this.list.children.length > keptEvents) this.list.firstChild.remove();
    this.empty.hidden = true;
    if (atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}

function simulated(event) {
  return Boolean(event.message?.simulated || event.turn?.simulated);
}

// Who holds the conversation and whether the assistant is at it, as the events
// tell in their order.
function follow(c, kind) {
  switch (kind) {
    case "handoff_requested": c.holder = "asked"; break;
    case "handoff_taken": c.holder = "member"; break;
    case "handoff_returned": c.holder = "assistant"; break;
  }
  if (kind === "turn_started") c.thinking = true;
  else if (kind.startsWith("turn_") || kind.startsWith("handoff_") || kind === "message_queued") c.thinking = false;
}
