// What makes the desk quicker to use: lists that are dropped, the phone beside the text, progress as it comes.
// Everything but choosing a file works without it.

const token = document.body.dataset.token;

async function upload(drop, file) {
  const working = drop.querySelector(".working");
  drop.dataset.working ??= working.textContent;
  // What was said of an earlier file is not true of this one.
  working.textContent = drop.dataset.working;
  working.hidden = false;
  try {
    const reply = await fetch(drop.dataset.target, {
      method: "POST",
      headers: {
        "Content-Type": "application/octet-stream",
        "X-Desk-Token": token,
        "X-File-Name": encodeURIComponent(file.name),
      },
      body: file,
    });
    const answer = await reply.json();
    if (answer.location) {
      location.assign(answer.location);
      return;
    }
    working.textContent = answer.error;
  } catch {
    working.textContent = drop.dataset.failed;
  }
}

function takeFiles(drop) {
  const input = drop.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    const file = input.files[0];
    if (!file) return;
    upload(drop, file);
    // The same file, mended and chosen again, would be no change.
    input.value = "";
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
    });
  }
  drop.addEventListener("drop", (event) => {
    const file = event.dataTransfer.files[0];
    if (file) upload(drop, file);
  });
}

function showPhones(preview) {
  let shown = 0;
  const phones = () => preview.querySelectorAll(".phone");
  const show = () => phones().forEach((phone, place) => (phone.hidden = place !== shown));
  preview.addEventListener("click", (event) => {
    const turn = event.target.closest("[data-turn]");
    if (!turn) return;
    shown = (shown + Number(turn.dataset.turn) + phones().length) % phones().length;
    show();
  });
  return () => {
    shown = Math.min(shown, Math.max(phones().length - 1, 0));
    show();
  };
}

function followText(form) {
  const preview = document.getElementById("preview");
  const message = document.getElementById("message");
  if (!preview || !message) return;
  const refreshed = showPhones(preview);
  let timer, request = 0;
  async function look() {
    const own = ++request;
    const reply = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const html = await reply.text();
    // An older answer is about another text.
    if (reply.ok && own === request) {
      preview.innerHTML = html;
      refreshed();
    }
  }
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => look().catch(() => {}), 150);
  });
  for (const chip of form.querySelectorAll("[data-column]")) {
    chip.addEventListener("click", () => {
      message.setRangeText(`{${chip.dataset.column}}`, message.selectionStart, message.selectionEnd, "end");
      message.focus();
      message.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }
}

function followCampaign(live) {
  const away = document.getElementById("away");
  async function look() {
    let isThere = false;
    try {
      const reply = await fetch(live.dataset.url);
      isThere = reply.ok;
      if (isThere) {
        live.innerHTML = await reply.text();
        const line = live.querySelector("[data-key]");
        // Other buttons belong to another state.
        if (line && line.dataset.key !== live.dataset.key) {
          location.reload();
          return;
        }
      }
    } catch {
      // The desk is away: it is asked again.
    }
    // Whoever looks at an old page is not to think that anything is sent.
    away.hidden = isThere;
    setTimeout(look, 1000);
  }
  setTimeout(look, 1000);
}

// What was typed and not kept is gone with the page: the browser asks first.
function keepTyped(form) {
  let isTyped = false;
  form.addEventListener("input", () => (isTyped = true));
  form.addEventListener("submit", () => (isTyped = false));
  window.addEventListener("beforeunload", (event) => isTyped && event.preventDefault());
}

document.querySelectorAll(".drop").forEach(takeFiles);
const form = document.getElementById("draft");
if (form) {
  followText(form);
  keepTyped(form);
}
const live = document.querySelector("#live[data-poll]");
if (live) followCampaign(live);
