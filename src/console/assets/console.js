// The console: live rows, charts, and the token of forms that htmx sends. Pages work without it.
"use strict";

(() => {
  const MOST_ROWS = 200;

  // Live rows: the server sends the rows of new calls; the ids of calls sort by time.
  const live = document.getElementById("live");
  if (live && window.EventSource) follow(live, document.getElementById("calls"));

  function follow(status, body) {
    const source = new EventSource(status.dataset.live);
    source.addEventListener("open", () => show(true));
    source.addEventListener("error", () => show(false));
    source.addEventListener("calls", (event) => insert(event.data));

    function show(isLive) {
      status.classList.toggle("on", isLive);
      status.textContent = isLive ? "live: new calls appear by themselves" : "not live: connecting";
    }

    function insert(html) {
      const part = document.createElement("template");
      part.innerHTML = `<table><tbody>${html}</tbody></table>`;
      for (const row of part.content.querySelectorAll("tr")) {
        const id = row.dataset.id;
        if (body.querySelector(`tr[data-id="${CSS.escape(id)}"]`)) continue;
        const older = [...body.rows].find((other) => other.dataset.id < id);
        if (!older && body.rows.length >= 50) continue;
        row.classList.add("new");
        body.insertBefore(row, older ?? null);
      }
      while (body.rows.length > MOST_ROWS) body.lastElementChild.remove();
      document.getElementById("no-calls")?.remove();
    }
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
    const options = {
      width: Math.max(place.clientWidth, 200),
      height: 180,
      legend: { show: isBars },
      cursor: { drag: { x: false, y: false } },
      axes: [axis, { ...axis, size: 50 }],
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.05 : 1] } },
      series: [{}, ...order.map((index) => lines[index])],
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
