// What works without script works better with it: the live part follows the ledger, times are in the browser's zone on hover, and
// keys lead round. Nothing here makes HTML of a text.
"use strict";
const zoned = root => {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.title = `${at.toLocaleString()} · ${time.dateTime}`;
  }
};
zoned(document);

const live = document.querySelector("[data-live]");
if (live) {
  const lost = document.getElementById("lost");
  const hear = said => {
    lost.hidden = !said.lost;
    if (said.html === undefined) return;
    const inside = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    // Rendered and escaped by the server, as the page itself was.
    live.innerHTML = said.html;
    zoned(live);
    if (inside) live.querySelector(`a[href="${CSS.escape(inside)}"]`)?.focus();
  };
  const follow = tell => {
    const source = new EventSource(live.dataset.live);
    source.onmessage = event => tell({ html: event.data });
    source.onopen = () => tell({});
    source.onerror = () => tell({ lost: true });
    source.addEventListener("lost", () => tell({ lost: true }));
  };
  // A browser makes six connections to a host, whatever number of tabs it has: one tab follows and tells the others, as long as it is there.
  if (navigator.locks && window.BroadcastChannel) {
    const others = new BroadcastChannel("live");
    others.onmessage = event => hear(event.data);
    navigator.locks.request("live", () => new Promise(() => follow(said => { hear(said); others.postMessage(said); })));
  } else follow(hear);
}

const look = document.querySelector("[data-look]");
if (look) {
  const lost = document.getElementById("lost");
  const source = new EventSource(look.dataset.look);
  source.onmessage = event => { look.textContent = event.data; lost.hidden = true; };
  source.onerror = () => { lost.hidden = false; };
  // The answer is kept for this page.
  source.addEventListener("over", () => { source.close(); location.reload(); });
}

const reload = document.querySelector("[data-reload]");
if (reload) setTimeout(() => location.reload(), 1000);

const all = document.querySelector("[data-all]");
if (all) all.hidden = false;
all?.addEventListener("change", () => {
  for (const box of document.querySelectorAll("input[name=id]")) box.checked = all.checked;
});

let pending = false;
let place = -1;
const help = "Keys: / searches, j and k go through rows, Enter opens one, g then n, r, o, e, a or p goes to a page.";
const move = step => {
  const rows = [...document.querySelectorAll("table.rows tbody tr, article.group")];
  if (rows.length === 0) return;
  place = Math.min(rows.length - 1, Math.max(0, place + step));
  rows[place].querySelector("a")?.focus();
};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  if (pending) {
    pending = false;
    const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  switch (event.key) {
    case "g": pending = true; break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "/": {
      const search = document.querySelector("[data-search]");
      event.preventDefault();
      if (search) search.focus(); else location.assign("/object");
      break;
    }
    case "?": {
      const dialog = document.createElement("dialog");
      const text = document.createElement("p");
      const close = document.createElement("button");
      text.textContent = help;
      close.textContent = "Close";
      close.onclick = () => dialog.close();
      dialog.onclose = () => dialog.remove();
      dialog.append(text, close);
      document.body.append(dialog);
      dialog.showModal();
    }
  }
});
