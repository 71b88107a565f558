// The analytics pages without reloading: links and forms swap the page in place, it renews itself while it is open,
// and everything has a key. Without this script each link and form does the same by loading a page.
"use strict";
(() => {
  const ROOT = "/dashboard/analytics";
  const RENEW_MS = 4000;
  const frame = () => document.getElementById("analytics");
  const typing = (element) => element?.closest("input, textarea, select, [contenteditable]");
  let paused = false;
  let renewing = false;

  // ---- which links and forms swap the page in place ----

  function swaps(element) {
    if (!element.closest("#analytics[data-swap]")) return false;
    const address = new URL(element.href ?? element.getAttribute("action"), location.href);
    const here = address.pathname === ROOT || address.pathname.startsWith(ROOT + "/");
    const pages = frame().dataset.swap.split(" ");
    return here && pages.includes(address.pathname.slice(ROOT.length + 1)) && (element.method ?? "get") === "get";
  }

  document.addEventListener("htmx:before:init", (event) => {
    if (!event.target.closest("[hx-get], [hx-post]") && !swaps(event.target)) event.preventDefault();
  });
  // A session that has ended answers with the page to log in.
  document.addEventListener("htmx:before:response", (event) => {
    const raw = event.detail.ctx.response.raw;
    if (raw.redirected && !new URL(raw.url).pathname.startsWith(ROOT)) {
      event.preventDefault();
      location.assign(raw.url);
    }
  });
  // What has been asked for by hand goes before a renewal, and is looked at from its top.
  document.addEventListener("htmx:before:request", () => frame()?.setAttribute("aria-busy", "true"));
  document.addEventListener("htmx:finally:request", () => frame()?.removeAttribute("aria-busy"));
  document.addEventListener("htmx:after:swap", () => settle());
  document.addEventListener("htmx:after:history:push", () => {
    closePopups();
    if (window.scrollY > 200) window.scrollTo({ top: 0 });
  });
  document.addEventListener("zoom", (event) => go(event.detail));

  function go(address) {
    if (!frame()?.dataset.swap || !window.htmx) return location.assign(address);
    htmx.ajax("GET", address, { target: "#analytics", select: "#analytics", swap: "outerMorph", push: "true" });
  }

  function settle() {
    showTwins();
    // On a narrow screen the entry of this page may lie outside.
    for (const bar of document.querySelectorAll(".subnav, .tabs")) {
      const current = bar.querySelector("[aria-current]");
      if (current && bar.scrollWidth > bar.clientWidth) bar.scrollLeft = current.offsetLeft - bar.offsetLeft - 40;
    }
    window.ringbackCharts?.drawAll();
    const button = document.querySelector("[data-pause-renewal]");
    if (button) button.textContent = paused ? "Go on" : "Pause";
  }

  function closePopups() {
    for (const element of document.querySelectorAll(".scope details[open], .exports[open]")) element.removeAttribute("open");
  }

  // ---- renewal: only when the analytics have taken something in since ----

  async function renew() {
    // A page that waits for its figures though it is loaded has been cut off, and has no mark yet.
    const standing = document.querySelector("[data-mark], #analytics > .waiting:last-child");
    const busy = frame()?.hasAttribute("aria-busy") || document.querySelector(".scope details[open], .exports[open]");
    if (!standing || paused || document.hidden || renewing || busy || typing(document.activeElement)) return;
    renewing = true;
    try {
      const answer = await fetch(ROOT + "/standing", { headers: { Accept: "application/json" } });
      if (answer.redirected) return location.reload();
      if (!answer.ok) return;
      const told = await answer.json();
      if (told.mark === standing.dataset.mark) return;
      await htmx.ajax("GET", location.pathname + location.search, { target: "#analytics", select: "#analytics", swap: "outerMorph" });
    } catch {
      // The server is away: the next look finds out whether it is back.
    } finally {
      renewing = false;
    }
  }

  function pause() {
    const live = document.querySelector("[data-pause]");
    if (live) return live.click();
    paused = !paused;
    settle();
    if (!paused) renew();
  }

  // ---- charts as tables ----

  function kept() {
    try {
      return localStorage.getItem("ringback-twin") ?? "";
    } catch {
      return ""; // storage is forbidden: nothing is remembered
    }
  }

  function showTwins() {
    const table = document.documentElement.dataset.twin === "table";
    for (const button of document.querySelectorAll("[data-toggle-twin]")) {
      button.setAttribute("aria-pressed", String(table));
      button.textContent = table ? "Chart" : "Table";
    }
  }

  function toggleTwins() {
    const root = document.documentElement;
    root.dataset.twin = root.dataset.twin === "table" ? "chart" : "table";
    try {
      localStorage.setItem("ringback-twin", root.dataset.twin);
    } catch {
      // as above
    }
    settle();
  }

  // ---- keys ----

  let prefix = 0; // when "g" was pressed
  const find = (selector) => document.querySelector(selector);

  function follow(selector) {
    const link = find(selector);
    if (link) link.click();
  }

  function step(by) {
    const periods = [...document.querySelectorAll("[data-period]")];
    const at = periods.findIndex((link) => link.hasAttribute("aria-current"));
    periods[Math.max(0, Math.min(periods.length - 1, (at < 0 ? 1 : at) + by))]?.click();
  }

  function walk(by) {
    const rows = [...document.querySelectorAll("[data-row]")].filter((link) => link.getClientRects().length);
    const at = rows.indexOf(document.activeElement);
    rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))]?.focus();
  }

  function goTo(key) {
    if (key === "m") return location.assign("/dashboard/messages");
    if (key === "i") return location.assign("/dashboard/bins");
    follow(`.subnav [data-key="${CSS.escape(key)}"]`);
  }

  const KEYS = {
    "/": () => find("[data-search]")?.focus(),
    "?": () => find("dialog.help")?.showModal(),
    "[": () => step(-1),
    "]": () => step(1),
    c: () => follow("[data-compare]"),
    x: () => follow("[data-clear]"),
    t: toggleTwins,
    j: () => walk(1),
    k: () => walk(-1),
    " ": pause,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || find("dialog[open]")) return;
    if (event.key === "Escape") {
      closePopups();
      if (typing(event.target)) event.target.blur();
      return;
    }
    if (typing(event.target)) return;
    if (event.key === " " && event.target.closest("button, a, summary, [tabindex]:not(main)")) return;
    if (prefix && event.timeStamp - prefix < 1500) {
      prefix = 0;
      event.preventDefault();
      return goTo(event.key);
    }
    prefix = event.key === "g" ? event.timeStamp : 0;
    const action = KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) find("dialog.help").showModal();
    if (event.target.closest("[data-toggle-twin]")) toggleTwins();
    if (event.target.closest("[data-pause-renewal]")) pause();
    if (!event.target.closest(".scope details, .exports")) closePopups();
  });

  document.documentElement.dataset.twin = kept();
  settle();
  setInterval(renew, RENEW_MS);
  document.addEventListener("visibilitychange", renew);
})();
