// The console: live rows, charts, and the token of forms that htmx sends. Pages work without it.
"use strict";

(() => {
  const MOST_ROWS = 200;
  // Rows of one event at most.
  const MOST_SENT = 50;
  // Time after which a live page that was refused asks again.
  const RETRY_MS = 5_000;

  // Live rows: the server sends the rows of new calls; the ids of calls sort by time.
  const live = document.getElementById("live");
  if (live && window.EventSource) follow(live, document.getElementById("calls"));

  // A browser has six connections to a host for all its tabs, and the server a place for each live page: a page
  // that nobody sees has neither, and receives what it missed when it is seen again.
  function follow(status, body) {
    const url = new URL(status.dataset.live, location.href);
    let source = null;
    let retry = null;

    function start() {
      if (source || document.hidden) return;
      clearTimeout(retry);
      const current = new EventSource(url);
      source = current;
      current.addEventListener("open", () => show("live: new calls appear by themselves", true));
      current.addEventListener("calls", (event) => {
        url.searchParams.set("after", event.lastEventId);
        insert(event.data);
      });
      current.addEventListener("error", () => {
        if (source !== current) return;
        show("not live: connecting");
        // The browser does not try again after a refusal, such as that of too many live pages.
        if (current.readyState !== EventSource.CLOSED) return;
        stop();
        show("not live: trying again in a few seconds");
        retry = setTimeout(start, RETRY_MS);
      });
    }

    function stop() {
      clearTimeout(retry);
      source?.close();
      source = null;
    }

    function show(text, isLive = false) {
      status.classList.toggle("on", isLive);
      status.textContent = text;
    }

    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) return start();
      stop();
      show("not live while the page is hidden");
    });
    window.addEventListener("pagehide", stop);
    window.addEventListener("pageshow", start);
    start();

    function insert(html) {
      const part = document.createElement("template");
      part.innerHTML = `<table><tbody>${html}</tbody></table>`;
      const rows = part.content.querySelectorAll("tr");
      if (rows.length >= MOST_SENT) status.textContent = "live: more calls than can be shown; filter them";
      for (const row of rows) {
        const id = row.dataset.id;
        if (body.querySelector(`tr[data-id="${CSS.escape(id)}"]`)) continue;
        const older = [...body.rows].find((other) => other.dataset.id < id);
        if (!older && body.rows.length >= 50) continue;
        row.classList.add("new");
        body.insertBefore(row, older ?? null);
      }
      while (body.rows.length > MOST_ROWS) {
        body.lastElementChild.remove();
        leadTo(body.lastElementChild.dataset.id);
      }
      document.getElementById("no-calls")?.remove();
    }
  }

  // Makes the link to older calls go on after a row.
  function leadTo(id) {
    let link = document.querySelector("a[rel=next]");
    if (!link) {
      link = document.createElement("a");
      Object.assign(link, { className: "button", rel: "next", textContent: "Older calls" });
      link.href = location.href;
      const place = document.createElement("p");
      place.className = "more";
      place.append(link);
      document.getElementById("main").append(place);
    }
    const url = new URL(link.href);
    url.searchParams.set("before", id);
    link.href = url.href;
  }

  // Charts: `data-chart` has the numbers, which a table repeats for those who do not see the chart.
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const SERIES = ["#1f8a5b", "#c0392b", "#b7791f", "#5b6b77"];

  function draw(place) {
    if (place.firstChild || !window.uPlot) return;
    const { at, series } = JSON.parse(place.dataset.chart);
    const isBars = place.dataset.kind === "bars";
    // Bars are stacked: each series is drawn from zero to its sum with those below it, highest first.
    const sums = [];
    series.forEach(({ values }, index) => {
      sums.push(values.map((value, hour) => value + (isBars && index ? sums[index - 1][hour] : 0)));
    });
    const lines = series.map(({ name, values }, index) => ({
      label: name,
      value: (_, __, ___, hour) => (hour == null ? "–" : `${values[hour]}`),
      stroke: SERIES[index],
      fill: isBars ? SERIES[index] : undefined,
      width: isBars ? 0 : 1,
      paths: isBars ? uPlot.paths.bars({ size: [0.9, 40] }) : () => null,
      points: { show: !isBars, size: 4, fill: SERIES[index] },
    }));
    const order = lines.map((_, index) => index);
    if (isBars) order.reverse();
    const axis = { stroke: color("--faint"), grid: { stroke: color("--line"), width: 1 } };
    const zone = place.dataset.zone;
    const day = "{D} {MMM}";
    // Step in seconds, format, and the formats where a year, month, day, hour, minute or second begins.
    const dates = [
      [86400, day, `\n{YYYY}`, null, null, null, null, null, 1],
      [3600, "{HH}:{mm}", `\n${day} {YYYY}`, null, `\n${day}`, null, null, null, 1],
      [60, "{HH}:{mm}", `\n${day} {YYYY}`, null, `\n${day}`, null, null, null, 1],
      [0.001, "{HH}:{mm}:{ss}", `\n${day} {YYYY}`, null, `\n${day}`, null, null, null, 1],
    ];
    const options = {
      tzDate: (seconds) => {
        const at = new Date(seconds * 1000);
        return zone.includes("/") || zone === "UTC" ? uPlot.tzDate(at, zone) : at;
      },
      width: Math.max(place.clientWidth, 200),
      height: 180,
      legend: { show: isBars },
      cursor: { drag: { x: false, y: false } },
      axes: [{ ...axis, values: dates, space: 70 }, { ...axis, size: 50 }],
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.05 : 1] } },
      series: [{ value: `${day} {HH}:{mm}`, label: "time" }, ...order.map((index) => lines[index])],
    };
    const plot = new uPlot(options, [at, ...order.map((index) => sums[index])], place);
    new ResizeObserver(() => {
      plot.setSize({ width: Math.max(place.clientWidth, 200), height: 180 });
    }).observe(place);
  }

  const drawAll = () => document.querySelectorAll(".plot[data-chart]").forEach(draw);
  document.addEventListener("htmx:afterSettle", drawAll);
  drawAll();

  // What htmx sends belongs to the session, like a form.
  document.addEventListener("htmx:configRequest", (event) => {
    const token = document.querySelector('input[name="csrf"]')?.value;
    if (token && event.detail.verb !== "get") event.detail.parameters.csrf ??= token;
  });

  // Buttons that copy a text.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected: press Ctrl+C";
    }
  });
})();
