// The list on the left: one line a number, the newest on top.

import { byId, call, pattern, setTime, slot, words } from "./dom.js";

const list = byId("conversations");
const more = byId("more");
const none = byId("none");
const scroll = byId("list");
const KEPT = 300;

const lines = new Map();
let wanted = byId("search").value;
let turn = 0;
let current = byId("thread").dataset.phone;

for (const link of list.querySelectorAll("[data-phone]")) {
  lines.set(link.dataset.phone, link.parentElement);
}

function show(one) {
  const line = pattern("conversation");
  const link = line.firstElementChild;
  link.href = `/?to=${one.phone}`;
  link.dataset.phone = one.phone;
  link.dataset.hue = one.phone.slice(-1);
  slot(line, "avatar").textContent = one.phone.slice(-2);
  slot(line, "phone").textContent = `+${one.phone}`;
  return refresh(line, one);
}

function refresh(line, one) {
  const link = line.firstElementChild;
  link.dataset.number = one.number;
  slot(line, "sender").textContent = one.sender_id;
  slot(line, "preview").textContent = one.preview;
  setTime(slot(line, "time"), one.time);
  mark(one.phone, link);
  return line;
}

function mark(phone, link) {
  if (phone === current) {
    link.setAttribute("aria-current", "true");
    delete link.dataset.unread;
  } else {
    link.removeAttribute("aria-current");
  }
}

function page(answer) {
  for (const one of answer.conversations) {
    if (!lines.has(one.phone)) {
      lines.set(one.phone, show(one));
      list.append(lines.get(one.phone));
    }
  }
  setBelow(answer.below);
  none.hidden = lines.size > 0;
  none.textContent = wanted.trim() ? words.nothing_found : words.none;
}

function setBelow(below) {
  list.dataset.below = below ?? "";
  more.hidden = !below;
}

function ask(below) {
  const query = new URLSearchParams({ q: wanted });
  if (below) {
    query.set("below", below);
  }
  return call("GET", `inbox/conversations?${query}`);
}

// Show the first page anew, for these words or for the old ones.
export async function reload(text = wanted) {
  wanted = text;
  const mine = ++turn;
  const answer = await ask();
  if (mine !== turn) {
    return; // somebody typed on
  }
  const unread = new Set([...lines].filter(([, line]) => line.firstElementChild.dataset.unread).map(([phone]) => phone));
  lines.clear();
  list.replaceChildren();
  page(answer);
  for (const phone of unread) {
    if (lines.has(phone)) {
      lines.get(phone).firstElementChild.dataset.unread = "true";
    }
  }
}

export async function next() {
  const mine = turn;
  const answer = await ask(list.dataset.below);
  if (mine === turn) {
    page(answer);
  }
}

function fits(one) {
  const text = wanted.trim().toLowerCase();
  const digits = text.replace(/[ +.()-]/g, "");
  return one.text.toLowerCase().includes(text) || (/^\d+$/.test(digits) && one.phone.includes(digits));
}

// A message came: its conversation goes to the top, if it is among what is looked for.
export function arrive(one) {
  if (!fits(one)) {
    return;
  }
  const old = lines.get(one.phone);
  if (old && Number(old.firstElementChild.dataset.number) >= one.number) {
    return; // told twice
  }
  const line = old ? refresh(old, one) : show(one);
  const focused = old?.contains(document.activeElement);
  list.prepend(line);
  if (focused) {
    line.firstElementChild.focus({ preventScroll: true });
  }
  if (one.phone !== current) {
    line.firstElementChild.dataset.unread = "true";
  }
  lines.delete(one.phone);
  lines.set(one.phone, line);
  none.hidden = true;
  trim();
}

// Hours of messages must not fill the page: what is far below is fetched again when it is scrolled to.
function trim() {
  if (lines.size <= KEPT || scroll.scrollTop > 100) {
    return;
  }
  while (list.children.length > KEPT / 2) {
    lines.delete(list.lastElementChild.firstElementChild.dataset.phone);
    list.lastElementChild.remove();
  }
  setBelow(list.lastElementChild.firstElementChild.dataset.number);
}

export function choose(phone) {
  const before = lines.get(current);
  current = phone;
  if (before) {
    mark(before.firstElementChild.dataset.phone, before.firstElementChild);
  }
  if (lines.has(phone)) {
    mark(phone, lines.get(phone).firstElementChild);
  }
}

export const first = () => list.querySelector("[data-phone]")?.dataset.phone;
export const linkOf = (phone) => lines.get(phone)?.firstElementChild;
