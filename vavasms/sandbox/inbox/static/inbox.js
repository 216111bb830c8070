// The page: wires its parts together and listens to what changes.

import * as conversations from "./conversations.js";
import { byId, call, counted, failed, fill, root, say, whenSeen, words } from "./dom.js";
import * as gateway from "./gateway.js";
import "./reply.js";
import * as thread from "./thread.js";

const main = byId("main");
const wide = window.matchMedia("(min-width: 720px)");
const title = document.title;
let unseen = 0;

function view(name) {
  main.dataset.view = name;
  for (const tab of document.querySelectorAll("[data-tab]")) {
    tab.setAttribute("aria-pressed", String((tab.dataset.tab === "gateway") === (name === "gateway")));
  }
}

const complain = (error) => say(failed(error));

async function open(phone, { push = true } = {}) {
  conversations.choose(phone);
  if (push) {
    history.pushState(null, "", `/?to=${phone}`);
  }
  await thread.open(phone);
}

function close() {
  conversations.choose("");
  thread.close(conversations.first() ? words.choose : words.none_hint);
}

// In a wide window the newest conversation is open from the beginning.
function openFirst() {
  const phone = conversations.first();
  if (wide.matches && phone && !thread.phone()) {
    open(phone, { push: false }).catch(complain);
  }
}

async function lookAtAll() {
  await conversations.reload();
  const phone = thread.phone();
  if (phone && !(await thread.open(phone)) && thread.phone() === phone) {
    close();
    if (main.dataset.view === "thread") {
      view("list");
    }
  }
  openFirst();
}

function count(totals) {
  byId("totals").textContent = `${counted("messages", totals.messages)} · ${counted("numbers", totals.conversations)}`;
}

function arrive({ messages, more, totals }) {
  count(totals);
  unseen += document.hidden ? messages.length : 0;
  document.title = unseen ? `(${unseen}) ${title}` : title;
  const last = messages[messages.length - 1];
  say(fill(words.new_message, { phone: `+${last.phone}`, text: last.preview }));
  if (more) {
    lookAtAll().catch(complain);
    return;
  }
  messages.forEach(conversations.arrive);
  const mine = messages.filter((one) => one.phone === thread.phone());
  if (mine.length) {
    thread.arrive(mine);
  }
  openFirst();
}

function listen() {
  const events = new EventSource(`/sandbox/inbox/events?since=${root.dataset.version}`);
  const link = (state) => {
    byId("link").dataset.state = state;
    byId("link").textContent = words[state];
  };
  const on = (name, react) => events.addEventListener(name, (event) => react(JSON.parse(event.data)));
  on("messages", arrive);
  on("reset", (totals) => {
    count(totals);
    lookAtAll().catch(complain);
  });
  on("balance", gateway.showBalance);
  on("faults", gateway.showFaults);
  on("magic", gateway.showMagic);
  events.addEventListener("open", () => link("live"));
  events.addEventListener("error", () => link("offline"));
  // An open stream keeps the page out of the back/forward cache, and counts as one of six connections.
  window.addEventListener("pagehide", () => events.close());
}

function wireList() {
  byId("conversations").addEventListener("click", (event) => {
    const link = event.target.closest("[data-phone]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) {
      return;
    }
    event.preventDefault();
    view("thread");
    open(link.dataset.phone)
      .then(() => wide.matches || byId("back").focus())
      .catch(complain);
  });
  byId("back").addEventListener("click", () => {
    view("list");
    conversations.linkOf(thread.phone())?.focus();
  });
  window.addEventListener("popstate", () => {
    const phone = new URLSearchParams(location.search).get("to");
    view(phone ? "thread" : "list");
    if (phone) {
      open(phone, { push: false }).catch(complain);
    }
  });
}

function wireSearch() {
  let timer = 0;
  const look = () => conversations.reload(byId("search").value).catch(complain);
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, 150);
  });
  byId("search").form.addEventListener("submit", (event) => {
    event.preventDefault();
    view("list");
    look();
  });
}

function wireBar() {
  byId("clear").addEventListener("click", () => call("DELETE", "journal").catch(complain));
  for (const tab of document.querySelectorAll("[data-tab]")) {
    tab.addEventListener("click", () => view(tab.dataset.tab === "gateway" ? "gateway" : "list"));
  }
  document.addEventListener("visibilitychange", () => {
    unseen = 0;
    document.title = title;
  });
}

wireList();
wireSearch();
wireBar();
gateway.start();
thread.start();
whenSeen(byId("more"), byId("list"), conversations.next);
whenSeen(byId("older"), byId("messages-scroll"), thread.showOlder);
openFirst();
listen();
