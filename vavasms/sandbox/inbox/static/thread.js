// The messages of one handset, and its answers.

import { amount, byId, call, counted, failed, fill, pattern, say, setTime, slot, words } from "./dom.js";

const section = byId("thread");
const list = byId("messages");
const older = byId("older");
const scroll = byId("messages-scroll");
const KEPT = 300;

const nodes = new Map();
let timer = 0;
let dueAt = Infinity;
let turn = 0;

for (const node of list.children) {
  nodes.set(node.dataset.messageId, node);
}

export const phone = () => section.dataset.phone;

function showMessage(one) {
  const node = pattern("message");
  node.dataset.messageId = one.message_id;
  node.dataset.number = one.number;
  slot(node, "sender").textContent = one.sender_id;
  setTime(slot(node, "time"), one.time);
  slot(node, "text").replaceChildren(...one.parts.map(showPart));
  slot(node, "otp").hidden = !one.otp;
  slot(node, "code").textContent = one.otp ?? "";
  slot(node, "why").hidden = one.costly.length === 0;
  slot(node, "why").textContent = fill(words.costly[one.encoding], { letters: one.costly.join(" ") });
  slot(node, "segments").textContent = `${counted("segments", one.segments)} · ${words.encodings[one.encoding]}`;
  slot(node, "price").textContent = `${amount(one.price)} XOF`;
  slot(node, "lot").textContent = one.lot_id || one.message_id;
  setStatus(node, one.status);
  return node;
}

function showPart([text, cost]) {
  if (!cost) {
    return document.createTextNode(text);
  }
  const mark = document.createElement("mark");
  mark.className = cost;
  mark.title = words.marks[cost];
  mark.textContent = text;
  return mark;
}

function setStatus(node, status) {
  const place = slot(node, "status");
  const name = status ?? "unknown";
  place.dataset.status = name;
  place.textContent = words.statuses[name] ?? name;
}

function showReply(one) {
  const node = pattern("reply");
  node.dataset.messageId = one.message_id;
  node.dataset.number = one.after;
  setTime(slot(node, "time"), one.time);
  slot(node, "text").textContent = one.text;
  const result = slot(node, "result");
  result.dataset.status = one.status >= 200 && one.status < 300 ? "delivered" : "failed";
  result.textContent = one.status ? `HTTP ${one.status}` : one.error;
  return node;
}

function show(one) {
  const node = one.reply ? showReply(one) : showMessage(one);
  nodes.set(one.message_id, node);
  return node;
}

const fresh = (items) => items.filter((one) => !nodes.has(one.message_id)).map(show);
const bottom = () => {
  scroll.scrollTop = scroll.scrollHeight;
};

function setOlder(number) {
  section.dataset.older = number ?? "";
  older.hidden = !number;
}

function ask(to, below) {
  return call("GET", `inbox/conversations/${to}${below ? `?below=${below}` : ""}`);
}

// Show a conversation; the same one is shown anew.
export async function open(to) {
  const mine = ++turn;
  const answer = await ask(to);
  if (mine !== turn) {
    return false;
  }
  section.dataset.phone = to;
  byId("thread-title").textContent = `+${to}`;
  byId("choose").hidden = true;
  byId("answer").hidden = false;
  byId("reply-result").textContent = "";
  nodes.clear();
  list.replaceChildren(...fresh(answer.items));
  setOlder(answer.older);
  bottom();
  watch(answer.items);
  return answer.items.length > 0;
}

export function close(sentence) {
  turn += 1;
  clearTimeout(timer);
  dueAt = Infinity;
  section.dataset.phone = "";
  byId("thread-title").textContent = words.thread;
  byId("choose").hidden = false;
  byId("choose-words").textContent = sentence;
  byId("answer").hidden = true;
  nodes.clear();
  list.replaceChildren();
  setOlder(null);
}

export async function showOlder() {
  const mine = turn;
  const answer = await ask(phone(), section.dataset.older);
  if (mine !== turn) {
    return;
  }
  const height = scroll.scrollHeight - scroll.scrollTop;
  list.prepend(...fresh(answer.items));
  setOlder(answer.older);
  scroll.scrollTop = scroll.scrollHeight - height;
}

// Messages and answers came for this conversation.
export function arrive(items) {
  const near = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  list.append(...fresh(items));
  if (near) {
    trim();
    bottom();
  }
  watch(items);
}

function trim() {
  if (list.children.length <= KEPT) {
    return;
  }
  while (list.children.length > KEPT / 2 || list.firstElementChild.dataset.testid === "reply") {
    nodes.delete(list.firstElementChild.dataset.messageId);
    list.firstElementChild.remove();
  }
  setOlder(list.firstElementChild.dataset.number);
}

// Look again when the next status is due.
function watch(items) {
  const due = items.map((one) => one.changes_in).filter((seconds) => typeof seconds === "number");
  if (due.length === 0) {
    return;
  }
  const at = performance.now() + Math.max(0.25, Math.min(...due)) * 1000;
  if (at >= dueAt) {
    return;
  }
  clearTimeout(timer);
  dueAt = at;
  timer = setTimeout(look, at - performance.now());
}

async function look() {
  dueAt = Infinity;
  const mine = turn;
  const answer = await ask(phone()).catch(() => ({ items: [] }));
  if (mine !== turn) {
    return;
  }
  for (const one of answer.items) {
    if (!one.reply && nodes.has(one.message_id)) {
      setStatus(nodes.get(one.message_id), one.status);
    }
  }
  watch(answer.items);
}

async function copy(button) {
  const code = slot(button.parentElement, "code").textContent;
  await navigator.clipboard.writeText(code).catch(() => {
    throw new Error(words.not_copied);
  });
  button.textContent = words.copied;
  say(`${words.copied} ${code}`);
  setTimeout(() => {
    button.textContent = words.copy_code;
  }, 2000);
}

list.addEventListener("click", (event) => {
  const button = event.target.closest('[data-testid="otp-copy"]');
  if (button) {
    copy(button).catch((error) => say(failed(error)));
  }
});

export function start() {
  bottom();
  if (phone()) {
    look();
  }
}
