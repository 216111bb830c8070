// Answer as the handset: the sandbox posts it to the inbound URL and tells what came back.

import { byId, call, failed, fill, words } from "./dom.js";
import * as thread from "./thread.js";

const form = byId("reply");
const text = byId("reply-text");
const result = byId("reply-result");

function tell(sentence, good) {
  result.textContent = sentence;
  result.dataset.good = String(good);
}

async function send() {
  const phone = thread.phone();
  tell(words.reply_sending, true);
  const sent = await call("POST", "inbox/reply", { phone, text: text.value });
  if (thread.phone() !== phone) {
    return;
  }
  thread.arrive([sent]);
  if (sent.status === null) {
    tell(fill(words.reply_failed, { why: sent.error }), false);
    return;
  }
  const good = sent.status >= 200 && sent.status < 300;
  tell(fill(words.reply_status, { status: sent.status }), good);
  if (good) {
    text.value = "";
  }
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  send().catch((error) => tell(failed(error), false));
});

text?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
