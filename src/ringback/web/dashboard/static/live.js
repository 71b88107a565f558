// Keeps an open page up to date from the live stream. Without it every page works the same on reload.
"use strict";
(() => {
  const bar = document.querySelector("[data-live]");
  if (!bar) return;
  const address = new URL(bar.dataset.live, location.href);
  const state = bar.querySelector("[data-state]");
  const pause = bar.querySelector("[data-pause]");
  const part = document.querySelector("[data-part]"); // on the overview: what is renewed as a whole
  const list = document.querySelector("[data-rows]"); // on the message list: the rows
  const pill = document.querySelector("[data-pill]");
  const limit = Number(list?.dataset.limit);
  const waiting = new Map(); // rows that are not shown yet, by id
  let leftOut = 0; // messages that are waiting without a row
  let stream = null;
  let paused = false;
  let renewal = 0;
  let stale = false;

  function show(name) {
    state.dataset.state = name;
    state.textContent = name;
  }

  function open() {
    if (stream || document.hidden) return;
    stream = new EventSource(address);
    stream.onopen = () => show(paused ? "paused" : "live");
    stream.onerror = () =>
      show(stream.readyState === EventSource.CLOSED ? "ended: reload the page" : "reconnecting");
    stream.addEventListener("over", () => location.reload());
    stream.addEventListener("changes", (event) => {
      address.searchParams.set("after", event.lastEventId);
      const frame = JSON.parse(event.data);
      if (frame.shown) takeInCaptures(frame);
      else if (part) renewSoon();
      else if (list) takeIn(frame);
      else if (frame.rows.length) location.reload(); // the list was empty
    });
  }

  function close() {
    stream?.close();
    stream = null;
  }

  const away = () => list.dataset.rows === "later" || window.scrollY > 160;
  const shown = (id) => document.getElementById("m-" + id);

  function takeIn(frame) {
    for (const id of frame.gone) {
      if (paused && shown(id)) waiting.set(id, { id, key: "", html: "" });
      else waiting.delete(id);
      if (!paused) shown(id)?.remove();
    }
    for (const row of frame.rows) {
      if (!paused && (shown(row.id) || !away())) place(row);
      else if (waiting.has(row.id) || waiting.size < 5 * limit) waiting.set(row.id, row);
      else leftOut += 1;
    }
    leftOut += frame.left_out;
    settle();
  }

  function place(row) {
    if (!row.html) return shown(row.id)?.remove();
    const template = document.createElement("template");
    template.innerHTML = row.html; // escaped by the server
    const element = template.content.firstElementChild;
    if (shown(row.id)) return shown(row.id).replaceWith(element);
    element.classList.add("fresh");
    const after = [...list.children].find((other) => other.dataset.key < row.key);
    if (after) after.before(element);
    else if (list.children.length < limit) list.append(element);
  }

  function settle() {
    while (!away() && list.children.length > 2 * limit) list.lastElementChild.remove();
    const top = list.firstElementChild?.dataset.key ?? "";
    const count = leftOut + [...waiting.values()].filter((row) => row.key > top).length;
    pill.hidden = count === 0;
    pill.textContent = count + " new";
  }

  function catchUp() {
    if (leftOut || list.dataset.rows === "later") {
      const newest = new URL(location.href);
      newest.searchParams.delete("before");
      return location.assign(newest);
    }
    for (const row of waiting.values()) place(row);
    waiting.clear();
    window.scrollTo({ top: 0 });
    settle();
  }

  function takeInCaptures(frame) {
    if (paused) {
      stale = true; // the part is renewed as a whole when it goes on
      return;
    }
    const body = part.querySelector("[data-captures]");
    const keep = new Set(frame.shown);
    for (const row of [...body.children]) if (!keep.has(Number(row.dataset.number))) row.remove();
    for (const row of frame.rows) placeCapture(body, row);
    const empty = !body.children.length;
    for (const element of part.querySelectorAll("[data-filled]")) element.hidden = empty;
    for (const element of part.querySelectorAll("[data-empty]")) element.hidden = !empty;
    const held = document.querySelector("[data-held]");
    if (held) held.textContent = frame.held;
  }

  function placeCapture(body, row) {
    const template = document.createElement("template");
    template.innerHTML = row.html; // escaped by the server
    const element = template.content.firstElementChild;
    const there = document.getElementById(element.id);
    if (there?.isEqualNode(element)) return;
    if (there) {
      const focused = there.contains(document.activeElement);
      there.replaceWith(element);
      if (focused) element.querySelector("a").focus({ preventScroll: true });
      return;
    }
    if (body.children.length) element.classList.add("fresh");
    const after = [...body.children].find((other) => Number(other.dataset.number) < row.id);
    if (after) after.before(element);
    else body.append(element);
  }

  function renewSoon() {
    stale = true;
    if (!renewal && !paused) renewal = setTimeout(renew, 250);
  }

  async function renew() {
    stale = false;
    try {
      const answer = await fetch(part.dataset.part);
      if (answer.redirected) return location.reload();
      if (paused || !answer.ok) stale = true;
      else put(await answer.text());
    } catch {
      stale = true; // the stream's state says that the connection is lost
    }
    renewal = setTimeout(() => {
      renewal = 0;
      if (stale) renewSoon();
    }, 2000);
  }

  function put(html) {
    const opened = [...part.querySelectorAll("details[open]")].map((element) => element.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.innerHTML = html; // escaped by the server
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  pill?.addEventListener("click", () => {
    catchUp();
    list.querySelector("a")?.focus({ preventScroll: true });
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume" : "Pause";
    show(paused ? "paused" : "live");
    if (!paused && part && stale) renewSoon();
    if (!paused && list && !away()) catchUp();
  });
  // A browser opens few connections to one host: hidden tabs must not hold them.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  bar.hidden = false;
  open();
})();
