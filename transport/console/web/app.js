// Wires the phone and the trail to the simulator and the engine.

import * as api from "./api.js";
import { element } from "./dom.js";
import { Phone } from "./phone.js";
import { Trail } from "./trail.js";

const $ = (id) => document.getElementById(id);

const hints = {
  whatsapp: ["Hi!", "Are you open on Saturday?", "How much is the blue shirt?", "Where is my order 1042?"],
  instagram: ["Hola 👋", "¿Cuánto cuesta?", "Are you open on Saturday?", "Danke!"],
};
const holders = {
  none: "nothing yet", assistant: "held by the assistant",
  member: "held by a person", asked: "waiting for a person",
};
const kindNames = { whatsapp: "WhatsApp", instagram: "Instagram" };

const phone = new Phone($("phone"), $("bubbles"), $("chat"));
const trail = new Trail($("events"), $("trail"), $("empty"));
const conversations = new Map(); // kind -> conversation id
// Events whose message the phone does not know yet: the engine can be faster
// than the simulator's stream.
const unclaimed = new Map(); // remote id -> conversation id
let config;

async function main() {
  config = await api.configure();
  for (const kind of Object.keys(kindNames)) {
    const channel = config.channels.find((c) => c.kind === kind);
    if (channel) phone.open(kind, channel.account, config.contact[kind]);
    else $(`tab-${kind}`).disabled = true;
  }
  show(phone.chat("whatsapp") ? "whatsapp" : "instagram");
  api.followPhones((events) => {
    for (const event of events) {
      phone.take(event);
      if (event.type === "message" && unclaimed.has(event.id)) claim(event.id, unclaimed.get(event.id));
    }
  }, () => location.reload());
  api.followFeed((event) => {
    trail.take(event);
    const remote = event.message?.remote_id;
    if (remote && event.conversation_id) claim(remote, event.conversation_id);
    refresh();
  }, (state) => {
    $("link").dataset.state = state;
    $("link").textContent = state === "live" ? "live" : "reconnecting";
  });
}

// A conversation is the phone's when the engine and the phone speak of the same
// message.
function claim(remote, id) {
  const kind = Object.keys(kindNames).find((k) => phone.knows(k, remote));
  if (!kind) {
    unclaimed.set(remote, id);
    if (unclaimed.size > 1000) unclaimed.delete(unclaimed.keys().next().value);
    return;
  }
  unclaimed.delete(remote);
  if (conversations.get(kind) !== id) {
    conversations.set(kind, id);
    refresh();
  }
}

function show(kind) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const on = tab.dataset.kind === kind;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
  }
  $("chat").setAttribute("aria-labelledby", `tab-${kind}`);
  const channel = config.channels.find((c) => c.kind === kind);
  $("business").textContent = channel?.name ?? kindNames[kind];
  $("face").textContent = (channel?.name ?? "?").trim().slice(0, 1).toUpperCase();
  $("title").textContent = `${config.contact.name} on ${kindNames[kind]}`;
  $("customer").textContent = `You are ${config.contact.name}, ${config.contact[kind]}. Ticks on the left are what the business is told.`;
  $("hints").replaceChildren(...hints[kind].map((text) => {
    const b = element("button", { type: "button" }, text);
    b.addEventListener("click", () => say(text));
    return b;
  }));
  phone.show(kind);
  refresh();
}

function refresh() {
  for (const [kind, id] of conversations) phone.typing(kind, trail.state(id)?.thinking ?? false);
  const id = conversations.get(phone.kind);
  trail.show(id ?? null);
  const holder = (id && trail.state(id)?.holder) || "none";
  $("holder").dataset.holder = holder;
  $("holder").textContent = holders[holder];
  $("conversation").textContent = id ?? "";
  $("takeover").disabled = !id || holder === "member";
  $("handback").disabled = !id || holder === "assistant" || holder === "none";
  for (const field of $("reply").elements) field.disabled = !id;
}

async function attempt(work) {
  $("problem").hidden = true;
  try {
    return await work();
  } catch (err) {
    $("problem").textContent = err.message;
    $("problem").hidden = false;
    return null;
  }
}

function say(text) {
  const channel = config.channels.find((c) => c.kind === phone.kind);
  return attempt(async () => {
    const heard = await api.say({
      channel: channel.account, from: config.contact[phone.kind], name: config.contact.name, text,
    });
    if (!heard.acknowledged) throw new Error(`The engine answered ${heard.status || "nothing"}; the webhook will be repeated.`);
  });
}

$("compose").addEventListener("submit", (e) => {
  e.preventDefault();
  const text = $("text").value.trim();
  if (!text || !config) return;
  $("text").value = "";
  say(text);
});

$("reply").addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = $("member").value.trim();
  const id = conversations.get(phone.kind);
  if (!text || !id) return;
  if (await attempt(() => api.reply(id, text))) $("member").value = "";
});

for (const [button, call] of [["takeover", api.takeOver], ["handback", api.handBack]]) {
  $(button).addEventListener("click", async () => {
    const id = conversations.get(phone.kind);
    $(button).disabled = true;
    await attempt(() => call(id));
    refresh();
  });
}

for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.addEventListener("click", () => config && show(tab.dataset.kind));
  tab.addEventListener("keydown", (e) => {
    if (e.key !== "ArrowLeft" && e.key !== "ArrowRight") return;
    const other = $(tab.id === "tab-whatsapp" ? "tab-instagram" : "tab-whatsapp");
    if (!other.disabled && config) {
      show(other.dataset.kind);
      other.focus();
    }
  });
}

attempt(main);
