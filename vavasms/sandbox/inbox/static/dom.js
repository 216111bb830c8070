// What every part of the page needs: words, nodes, times, calls. Texts of an SMS become text nodes, never markup.

export const root = document.documentElement;
export const words = JSON.parse(root.dataset.words);

const amounts = new Intl.NumberFormat(root.lang, { maximumFractionDigits: 2 });
const plurals = new Intl.PluralRules(root.lang);
const full = new Intl.DateTimeFormat(root.lang, { dateStyle: "full", timeStyle: "medium" });

export const byId = (id) => document.getElementById(id);
export const slot = (node, name) => node.querySelector(`[data-slot="${name}"]`);
// As Python groups: not by the narrow space.
export const amount = (value) => amounts.format(Number(value)).replaceAll("\u202f", "\u00a0");
export const pattern = (name) => byId(`${name}-pattern`).content.firstElementChild.cloneNode(true);

export const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// A number with its noun.
export function counted(what, number) {
  const forms = words.counts[what];
  return fill(forms[plurals.select(number)] ?? forms.other, { count: amount(number) });
}

const two = (number) => String(number).padStart(2, "0");

export function setTime(node, seconds) {
  const time = new Date(seconds * 1000);
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  const [year, month, day] = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())];
  const date = root.lang === "fr" ? `${day}/${month}/${year}` : `${year}-${month}-${day}`;
  node.textContent = time.toDateString() === new Date().toDateString() ? clock : `${date} ${clock}`;
  node.dateTime = time.toISOString();
  node.title = full.format(time);
}

// Tell those who do not see the page.
export function say(sentence) {
  byId("said").textContent = sentence;
}

export const failed = (error) => fill(words.error, { why: error.message });

export async function call(method, path, body) {
  const init = { method, cache: "no-store" };
  if (method !== "GET") {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body ?? {});
  }
  const response = await fetch(`/sandbox/${path}`, init).catch(() => {
    throw new Error(words.unreachable);
  });
  const value = await response.json();
  if (!response.ok) {
    throw new Error(words.errors[value.code] ?? value.error ?? `HTTP ${response.status}`);
  }
  return value;
}

// Load the next page when its button comes into sight; the button does it for the keyboard.
export function whenSeen(button, scroll, load) {
  let busy = false;
  const run = async () => {
    if (busy || button.hidden) {
      return;
    }
    busy = true;
    try {
      await load();
    } catch (error) {
      say(failed(error));
    } finally {
      busy = false;
    }
  };
  button.addEventListener("click", run);
  new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && run(), {
    root: scroll,
    rootMargin: "200px",
  }).observe(button);
}
