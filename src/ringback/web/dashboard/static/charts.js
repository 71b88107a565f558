// Draws each chart from the table beside it: what a chart shows is what its table says.
"use strict";
(() => {
  const DASHES = { solid: [], dash: [8, 5], dot: [2, 4], long: [14, 5] };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const count = new Intl.NumberFormat("en-US");

  const UNITS = {
    count: (value) => (value >= 10000 ? count.format(Math.round(value / 100) / 10) + " k" : count.format(value)),
    share: (value) => Math.round(value * 1000) / 10 + " %",
    ms: duration,
    money: (value) => count.format(value),
  };

  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const two = (value) => String(value).padStart(2, "0");

  // 16:00 within days, 23 Nov at midnight; all UTC.
  function instants(ticks) {
    return ticks.map((tick) => {
      const at = new Date(tick * 1000);
      const midnight = at.getUTCHours() === 0 && at.getUTCMinutes() === 0;
      return midnight ? at.getUTCDate() + " " + MONTHS[at.getUTCMonth()] : two(at.getUTCHours()) + ":" + two(at.getUTCMinutes());
    });
  }

  function duration(ms) {
    if (ms < 1000) return Math.round(ms) + " ms";
    if (ms < 60000) return Math.round(ms / 100) / 10 + " s";
    if (ms < 3600000) return Math.round(ms / 6000) / 10 + " m";
    return Math.round(ms / 360000) / 10 + " h";
  }

  // Columns of the table as series; the first column is the time.
  function read(table) {
    const heads = [...table.querySelectorAll("thead th[data-series]")];
    const rows = [...table.querySelectorAll("tbody tr[data-t]")];
    const number = (cell) => (cell.dataset.v === "" ? null : Number(cell.dataset.v));
    return {
      times: rows.map((row) => Number(row.dataset.t)),
      labels: rows.map((row) => row.cells[0].textContent.trim()),
      settling: rows.map((row) => row.dataset.settling !== undefined),
      series: heads.map((head) => ({
        label: head.textContent.trim(),
        colour: head.dataset.colour,
        dash: head.dataset.dash || "solid",
        stacked: head.dataset.stacked !== undefined,
        values: rows.map((row) => number(row.cells[head.cellIndex])),
        texts: rows.map((row) => row.cells[head.cellIndex].textContent.trim()),
      })),
    };
  }

  function columns(shown) {
    const below = shown.times.map(() => 0);
    const stacked = shown.series.filter((one) => one.stacked);
    const tops = stacked.map((one) => one.values.map((value, at) => (below[at] += value ?? 0)));
    // The highest is drawn first and each lower one over it.
    const bars = stacked.map((one, at) => ({ one, values: tops[at] })).reverse();
    const lines = shown.series.filter((one) => !one.stacked).map((one) => ({ one, values: one.values }));
    return [...bars, ...lines];
  }

  function options(figure, shown, drawn) {
    const unit = UNITS[figure.dataset.unit] ?? UNITS.count;
    const soft = colour("--soft");
    const line = colour("--line");
    const step = shown.times.length > 1 ? shown.times[1] - shown.times[0] : 3600;
    const bars = uPlot.paths.bars({ size: [0.86, 64], align: 1 });
    const place = figure.querySelector(".canvas");
    const stacked = drawn.filter((each) => each.one.stacked).length;
    const font = "12px " + getComputedStyle(document.body).fontFamily;
    return {
      width: place.clientWidth,
      height: place.clientHeight,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      scales: {
        x: { range: (_, low, high) => [low, Math.max(high, low + step) + (stacked ? step : 0)] },
        y: { range: (_, low, high) => [0, high > 0 ? high * 1.06 : 1] },
      },
      axes: [
        { stroke: soft, font, size: 30, grid: { show: false }, ticks: { stroke: line, size: 4 }, values: (_, ticks) => instants(ticks) },
        { stroke: soft, font, size: 58, grid: { stroke: line, width: 1 }, ticks: { show: false }, values: (_, ticks) => ticks.map(unit) },
      ],
      series: [
        {},
        ...drawn.map(({ one }) => {
          const ink = colour(one.colour);
          if (one.stacked) return { label: one.label, fill: ink, stroke: ink, width: 0, paths: bars, points: { show: false } };
          return { label: one.label, stroke: ink, width: 2, dash: DASHES[one.dash], points: { show: shown.times.length < 3, size: 5 }, spanGaps: false };
        }),
      ],
      hooks: {
        drawSeries: [(plot, at) => at === (stacked || drawn.length) && fade(plot, shown, step)],
        setCursor: [(plot) => tell(figure, shown, plot.cursor.idx)],
        setSelect: [(plot) => zoom(figure, plot)],
      },
    };
  }

  // What is still settling is drawn fainter.
  function fade(plot, shown, step) {
    const ctx = plot.ctx;
    const end = plot.bbox.left + plot.bbox.width;
    ctx.save();
    ctx.globalAlpha = 0.5;
    ctx.fillStyle = colour("--card");
    shown.settling.forEach((settling, at) => {
      if (!settling) return;
      const left = Math.max(plot.valToPos(shown.times[at], "x", true), plot.bbox.left);
      const right = Math.min(plot.valToPos(shown.times[at] + step, "x", true), end);
      ctx.fillRect(left, plot.bbox.top, right - left, plot.bbox.height);
    });
    ctx.restore();
  }

  function words(shown, at) {
    const parts = shown.series.filter((one) => one.values[at] !== null).map((one) => one.label + " " + one.texts[at]);
    return shown.labels[at] + ": " + (parts.join(", ") || "nothing") + (shown.settling[at] ? "; still settling" : "");
  }

  function tell(figure, shown, at) {
    const place = figure.querySelector(".readout");
    if (at === null || at === undefined) place.textContent = place.dataset.idle ?? "";
    else place.textContent = words(shown, at);
  }

  // Dragging across a chart asks for that time.
  function zoom(figure, plot) {
    if (!figure.dataset.zoom || plot.select.width < 8) return;
    const at = (x) => new Date(Math.round(plot.posToVal(x, "x")) * 1000).toISOString().slice(0, 16).replace("T", " ");
    const address = new URL(figure.dataset.zoom, location.href);
    address.searchParams.set("since", at(plot.select.left));
    address.searchParams.set("until", at(plot.select.left + plot.select.width));
    figure.dispatchEvent(new CustomEvent("zoom", { bubbles: true, detail: address.pathname + address.search }));
  }

  function draw(figure) {
    const place = figure.querySelector(".canvas");
    const table = figure.querySelector("table");
    if (!place || !table || !place.clientWidth) return;
    const shown = read(table);
    if (!shown.times.length) return;
    const drawn = columns(shown);
    const data = [shown.times, ...drawn.map((each) => each.values)];
    place.plot?.destroy();
    place.plot = new uPlot(options(figure, shown, drawn), data, place);
    place.shown = shown;
    if (place.at !== undefined && document.activeElement === place) move(figure, Math.min(place.at, shown.times.length - 1), false);
    else tell(figure, shown, null);
    if (place.listens) return;
    place.listens = true;
    place.addEventListener("keydown", (event) => walk(event, figure));
    place.addEventListener("blur", () => tell(figure, place.shown, null));
  }

  function walk(event, figure) {
    const place = figure.querySelector(".canvas");
    const last = place.shown.times.length - 1;
    const at = place.at ?? last + 1;
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, PageUp: at - 10, PageDown: at + 10 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    move(figure, Math.max(0, Math.min(last, next)), true);
  }

  function move(figure, at, aloud) {
    const place = figure.querySelector(".canvas");
    place.at = at;
    place.plot.setCursor({ left: place.plot.valToPos(place.shown.times[at], "x") + 1, top: 0 });
    tell(figure, place.shown, at);
    if (aloud) figure.querySelector("[aria-live]").textContent = words(place.shown, at);
  }

  function drawAll() {
    for (const figure of document.querySelectorAll("figure[data-chart]")) draw(figure);
  }

  let resizing = 0;
  window.addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(drawAll, 120);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.ringbackCharts = { drawAll };
  drawAll();
})();
