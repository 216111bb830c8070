// The gateway's own panel: its balance, and what shall go wrong.

import { amount, byId, call, failed, fill, words } from "./dom.js";

const kind = byId("chaos-kind");
const moment = byId("chaos-moment");
const when = byId("chaos-when");
const fields = { seconds: byId("chaos-seconds"), status: byId("chaos-status"), rate: byId("chaos-rate"), moment };

function offer(name, offered) {
  const field = fields[name];
  field.hidden = !offered;
  field.disabled = !offered;
  document.querySelector(`label[for="${field.id}"]`).hidden = !offered;
}

// Show only the fields that mean something for what is chosen.
function fit() {
  const chosen = kind.selectedOptions[0];
  const moments = chosen.dataset.moments.split(" ");
  for (const option of moment.options) {
    option.hidden = option.disabled = !moments.includes(option.value);
  }
  if (moment.selectedOptions[0].disabled) {
    moment.value = moments[0];
  }
  offer("moment", moments.length > 1);
  offer("seconds", chosen.dataset.field === "seconds");
  offer("status", chosen.dataset.field === "status");
  offer("rate", when.value === "rate");
}

function read() {
  const fault = { when: when.value, kind: kind.value };
  if (!moment.disabled) {
    fault.moment = moment.value;
  }
  for (const name of ["seconds", "status"]) {
    if (!fields[name].disabled) {
      fault[name] = Number(fields[name].value);
    }
  }
  if (when.value === "rate") {
    fault.rate = Number(fields.rate.value) / 100;
  }
  return fault;
}

function name(fault) {
  if (!fault?.kind) {
    return words.well;
  }
  const details = [];
  if (fault.seconds !== undefined) {
    details.push(`${amount(fault.seconds)} s`);
  }
  if (fault.status !== undefined) {
    details.push(`HTTP ${fault.status}`);
  }
  if (fault.kind === "stall" || fault.kind === "status") {
    details.push(words.moments[fault.moment]);
  }
  return [words.kinds[fault.kind], ...details].join(" · ");
}

function line(head, text = "") {
  const item = document.createElement("li");
  const strong = document.createElement("strong");
  strong.textContent = head;
  item.append(strong, text && ` ${text}`);
  return item;
}

export function showFaults(faults) {
  const script = faults.script.map((one, place) => line(place ? `${place + 1}.` : words.next, name(one)));
  const rates = faults.rates.map((one) => line(one.rate === 1 ? words.always : fill(words.percent, { n: amount(one.rate * 100) }), name(one)));
  const rest = faults.pending - faults.script.length;
  const lines = [...script, ...(rest > 0 ? [line(fill(words.more_steps, { n: amount(rest) }))] : []), ...rates];
  const empty = document.createElement("li");
  empty.className = "empty";
  empty.textContent = words.no_faults;
  byId("chaos-pending").replaceChildren(...(lines.length ? lines : [empty]));
  byId("badge").hidden = lines.length === 0;
  byId("badge").textContent = faults.pending + faults.rates.length;
}

// Newest first; what each does stands in the list of all.
export function showMagic(phones) {
  const lines = phones.map((phone) => line(`+${phone}`, byId(`magic-${phone}`).textContent));
  byId("magic-title").hidden = lines.length === 0;
  byId("magic").replaceChildren(...lines);
}

export function showBalance(balance) {
  byId("balance").dataset.amount = balance;
  byId("balance").textContent = `${amount(balance)} XOF`;
}

function tell(error) {
  byId("chaos-error").textContent = error ? failed(error) : "";
}

export function start() {
  kind.addEventListener("change", () => {
    moment.value = kind.selectedOptions[0].dataset.moments.split(" ")[0];
    fit();
  });
  when.addEventListener("change", fit);
  byId("chaos").addEventListener("submit", (event) => {
    event.preventDefault();
    call("POST", "faults", read()).then(() => tell(), tell);
  });
  byId("chaos-clear").addEventListener("click", () => call("DELETE", "faults").then(() => tell(), tell));
  byId("refill").addEventListener("submit", (event) => {
    event.preventDefault();
    call("PUT", "balance", { add: byId("refill-amount").value }).then(() => tell(), tell);
  });
  fit();
}
