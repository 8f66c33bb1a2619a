// What JavaScript adds: the switch of colours, copying, and search as one types. Every page works without it.
"use strict";

const root = document.documentElement;

function setUpTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // The choice then lasts as long as the page.
    }
    show();
  });
  system.addEventListener("change", show);
  show();
}

function setUpCopy(button) {
  const name = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source); // so that the reader's own keys copy it
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = name), 2000);
  });
}

function setUpSearch(form) {
  const list = document.querySelector("[data-list]");
  const status = document.querySelector("[data-status]");
  let timer;
  let running;

  async function search() {
    running?.abort();
    running = new AbortController();
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    if (query.get("mode") === "hybrid") query.delete("mode");
    const address = query.size ? `?${query}` : location.pathname;
    list.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${form.dataset.results}?${query}`, { signal: running.signal });
      if (!answer.ok) throw new Error(answer.statusText);
      list.innerHTML = await answer.text(); // escaped by the server, as on the page itself
      status.textContent = list.querySelector(".quiet, h2")?.textContent ?? "";
    } catch (error) {
      if (error.name === "AbortError") return;
      list.replaceChildren(failure(address)); // what was found before answers another query
      status.textContent = "The search did not answer; press Enter to try again.";
    }
    document.title = [query.get("q")?.trim(), form.dataset.title].filter(Boolean).join(" · ");
    history.replaceState(null, "", address);
    nameFeeds(list);
    list.removeAttribute("aria-busy");
  }

  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(search, event.target.type === "search" ? 200 : 0);
  });
}

function failure(address) {
  const again = document.createElement("a");
  again.href = address;
  again.textContent = "Try again";
  const note = document.createElement("p");
  note.className = "note";
  note.append("The search did not answer. ", again, ".");
  return note;
}

// What the list links to for feed readers stands in the head, too, where they look for it.
function nameFeeds(list) {
  document.head.querySelectorAll("link[data-own]").forEach((each) => each.remove());
  const others = document.head.querySelector("link[rel=alternate]");
  for (const { rel, type, href } of list.querySelectorAll("a[rel=alternate]")) {
    const link = Object.assign(document.createElement("link"), { rel, type, href, title: document.title });
    link.dataset.own = "";
    others.before(link);
  }
}

// --- readers ---

async function sendVote(event) {
  const form = event.target.closest("form.vote");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.disabled) return;
  button.disabled = true;
  try {
    const headers = { Accept: "application/json" };
    const answer = await fetch(form.action, { method: "POST", headers, body: new URLSearchParams(new FormData(form)) });
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    const { voted, votes } = await answer.json();
    button.setAttribute("aria-pressed", String(voted));
    form.elements.want.value = voted ? "0" : "1";
    form.querySelector("[data-votes]").textContent = votes.toLocaleString("en");
    button.disabled = false;
    button.focus();
  } catch {
    form.submit(); // the page that then opens says what is wrong
  }
}

// --- runs ---

function followRun(page) {
  const source = new EventSource(page.dataset.events);
  const put = (name, text) => {
    const place = page.querySelector(`[data-${name}]`);
    if (place.textContent !== text) place.textContent = text;
  };
  source.addEventListener("message", (event) => {
    const run = JSON.parse(event.data);
    if (run.ended) {
      source.close();
      location.reload(); // what it came to is written by the server
      return;
    }
    const chip = page.querySelector("[data-chip]");
    chip.className = `chip ${run.state}`;
    put("chip", run.chip);
    put("sentence", run.sentence);
    put("trial", run.trial || "–");
    put("log", run.log);
    page.querySelectorAll("[data-printed]").forEach((each) => (each.hidden = !run.log));
    page.querySelector("[data-silent]").hidden = Boolean(run.log);
    page.querySelector("[data-far]").hidden = !run.total;
    const bar = page.querySelector("progress");
    bar.max = run.total || 1;
    bar.value = run.done || 0;
  });
  source.addEventListener("error", () => {
    // The browser comes back by itself after a broken connection, but not after it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
}

document.addEventListener("submit", sendVote); // also of cards that a search brings later
document.querySelectorAll("button.theme").forEach(setUpTheme);
document.querySelectorAll("button.copy").forEach(setUpCopy);
document.querySelectorAll("form[data-results]").forEach(setUpSearch);
document.querySelectorAll("[data-events]").forEach(followRun);
