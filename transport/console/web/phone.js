// The simulated phone: what the customer sees.

import { element, clock } from "./dom.js";

const ranks = ["", "sent", "delivered", "read"];
const words = { sent: "sent", delivered: "delivered", read: "read", failed: "not delivered" };

/** One chat per channel kind; a phone shows one of them. */
export class Phone {
  constructor(root, list, scroller) {
    this.root = root;
    this.list = list;
    this.scroller = scroller;
    this.chats = new Map();
    this.kind = "whatsapp";
  }

  /** Says who the customer is on a kind of channel. */
  open(kind, account, customer) {
    this.chats.set(kind, { account, customer, messages: [], byID: new Map(), typing: false });
  }

  chat(kind = this.kind) {
    return this.chats.get(kind);
  }

  /** Tells whether a message of the engine's is one of this chat's. */
  knows(kind, remoteID) {
    return this.chat(kind)?.byID.has(remoteID) ?? false;
  }

  /** Takes one event of the simulator's stream. */
  take(event) {
    const c = this.chat(event.channel);
    if (!c || event.account !== c.account) return;
    if (event.customer ? event.customer !== c.customer : !c.byID.has(event.id)) return;
    if (event.type === "message") this.add(event, c);
    else if (event.type === "tick") this.tick(event, c);
    else if (event.type.startsWith("typing")) this.typing(event.channel, event.type === "typing");
  }

  add(event, c) {
    if (c.byID.has(event.id)) return;
    const m = { ...event, status: event.status || "sent" };
    c.byID.set(event.id, m);
    c.messages.push(m);
    if (m.from === "business") this.typing(event.channel, false);
    if (event.channel === this.kind) this.append(m);
  }

  // A tick without an id is about everything the customer has written so far;
  // a read one is also about what was written before.
  tick(event, c) {
    const about = event.id ? c.byID.get(event.id) : { n: Infinity, from: "customer" };
    if (!about) return;
    for (const m of c.messages) {
      const same = m === about;
      const before = event.status === "read" && m.from === about.from && m.n <= about.n && m.status !== "failed";
      if (!same && !before) continue;
      const failed = event.status === "failed";
      if (failed || ranks.indexOf(event.status) > ranks.indexOf(m.status)) {
        m.status = event.status;
        if (m.node) setTicks(m);
      }
    }
  }

  typing(kind, on) {
    const c = this.chat(kind);
    if (!c || c.typing === on) return;
    c.typing = on;
    if (kind === this.kind) this.showTyping();
  }

  showTyping() {
    const c = this.chat();
    document.getElementById("typing").hidden = !c?.typing;
    this.bottom();
  }

  show(kind) {
    this.kind = kind;
    this.root.dataset.kind = kind;
    this.list.replaceChildren();
    for (const m of this.chat(kind)?.messages ?? []) this.append(m);
    this.showTyping();
  }

  append(m) {
    const mine = m.from === "customer";
    const ticks = element("span", { class: "ticks" });
    m.node = element("li", { class: mine ? "mine" : "theirs" },
      element("span", { class: "hidden" }, mine ? "Customer: " : "Business: "),
      element("span", { class: "text" }, m.text || "(no text)"),
      element("span", { class: "meta" }, element("time", {}, clock(m.time)), ticks));
    setTicks(m);
    this.list.append(m.node);
    this.bottom();
  }

  bottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}

function setTicks(m) {
  const ticks = m.node.querySelector(".ticks");
  ticks.dataset.status = m.status;
  ticks.textContent = m.status === "failed" ? "!" : m.status === "sent" ? "✓" : "✓✓";
  ticks.setAttribute("role", "img");
  ticks.setAttribute("aria-label", words[m.status] ?? m.status);
  ticks.title = words[m.status] ?? m.status;
}
