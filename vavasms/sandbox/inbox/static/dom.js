// What every part of the page needs: words, nodes, times, calls. Texts of an SMS become text nodes, never markup.

export const root = document.documentElement;
export const words = JSON.parse(root.dataset.words);

const amounts = new Intl.NumberFormat(root.lang, { maximumFractionDigits: 2 });
const full = new Intl.DateTimeFormat(root.lang, { dateStyle: "full", timeStyle: "medium" });

export const byId = (id) => document.getElementById(id);
export const slot = (node, name) => node.querySelector(`[data-slot="${name}"]`);
export const amount = (value) => amounts.format(Number(value));
export const pattern = (name) => byId(`${name}-pattern`).content.firstElementChild.cloneNode(true);

const two = (number) => String(number).padStart(2, "0");

export function setTime(node, seconds) {
  const time = new Date(seconds * 1000);
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  node.textContent = time.toDateString() === new Date().toDateString() ? clock : `${date} ${clock}`;
  node.dateTime = time.toISOString();
  node.title = full.format(time);
}

// Tell those who do not see the page.
export function say(sentence) {
  byId("said").textContent = sentence;
}

export async function call(method, path, body) {
  const init = { method, cache: "no-store" };
  if (method !== "GET") {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body ?? {});
  }
  const response = await fetch(`/sandbox/${path}`, init);
  const value = await response.json();
  if (!response.ok) {
    throw new Error(value.error ?? `HTTP ${response.status}`);
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
      say(`${words.error} ${error.message}`);
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
