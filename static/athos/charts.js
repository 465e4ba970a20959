// Draws the table of each figure.chart. Without this script the table itself is there to read.
const UTC = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
const SHAPES = [[], [6, 4], [2, 3], [10, 3, 2, 3]]; // dashes: lines differ without colour too
const HEIGHT = 220; // pixels

function read(figure) {
  const rows = [...figure.querySelectorAll("tbody tr")];
  const labels = [...figure.querySelectorAll("thead th")].slice(1, -1).map((cell) => cell.textContent);
  const value = (row, place) => {
    const text = row.querySelectorAll("[data-y]")[place].dataset.y;
    return text === "" ? null : Number(text);
  };
  return {
    labels,
    x: rows.map((row) => Number(row.dataset.x)),
    series: labels.map((_, place) => rows.map((row) => value(row, place))),
    said: rows.map((row) => sentence(row, labels, figure.dataset.unit)),
  };
}

// "3 Nov 2026: 72 points of 100, n = 4"
function sentence(row, labels, unit) {
  const cells = [...row.querySelectorAll("[data-y]")].map((cell, place) => {
    const name = labels.length > 1 ? `${labels[place]} ` : "";
    return cell.dataset.y === "" ? `${name}no figure` : `${name}${cell.textContent} ${unit}`;
  });
  return `${row.firstElementChild.textContent}: ${cells.join("; ")}, n = ${row.lastElementChild.textContent}`;
}

function options(figure, data, width) {
  const style = getComputedStyle(figure);
  const colour = (name) => style.getPropertyValue(name).trim();
  const bars = figure.dataset.kind === "bars";
  const high = figure.dataset.high === undefined ? null : Number(figure.dataset.high);
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: colour("--soft"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    tzDate: UTC,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
    scales: {
      x: { range: (_, min, max) => (bars ? [min - 43200, max + 43200] : [min - 21600, max + 21600]) },
      y: { range: (_, __, max) => [Number(figure.dataset.low), high ?? Math.max(max * 1.1, 1)] },
    },
    axes: [
      { ...axis, size: 30, grid: { show: false }, space: 70, values: (_, splits) => splits.map((second) => day.format(second * 1000)), incrs: [86400, 172800, 432000, 604800, 1209600, 2592000] },
      { ...axis, size: 46 },
    ],
    series: [
      {},
      ...data.labels.map((label, place) => ({
        label,
        stroke: colour(`--chart-${place + 1}`),
        fill: bars ? colour(`--chart-${place + 1}`) : undefined,
        width: bars ? 0 : 2.5,
        dash: SHAPES[place % SHAPES.length],
        spanGaps: true,
        points: { show: !bars, size: 6 },
        paths: bars ? uPlot.paths.bars({ size: [0.7, 36], radius: 0.15 }) : undefined,
      })),
    ],
  };
}

const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

// One figure: drawn, redrawn for another width or colour scheme, read by pointer and by keys.
function draw(figure) {
  if (figure.dataset.drawn) return;
  const place = figure.querySelector(".plot");
  if (!place) return;
  figure.dataset.drawn = "true";
  const data = read(figure);
  const reading = document.createElement("p");
  reading.className = "reading";
  reading.setAttribute("aria-hidden", "true");
  place.after(reading);
  place.hidden = false;
  figure.querySelector("details").open = false;
  Object.entries({
    role: "slider",
    tabindex: "0",
    "aria-label": `${figure.querySelector("h2, h3").textContent}, day by day`,
    "aria-valuemin": "0",
    "aria-valuemax": String(data.x.length - 1),
  }).forEach(([name, value]) => place.setAttribute(name, value));
  let chosen = data.series[0].findLastIndex((value) => value !== null);
  let plot;

  const tell = (index) => {
    chosen = Math.min(Math.max(index, 0), data.x.length - 1);
    place.setAttribute("aria-valuenow", String(chosen));
    place.setAttribute("aria-valuetext", data.said[chosen]);
    reading.textContent = data.said[chosen];
  };
  const make = () => {
    plot?.destroy();
    const made = options(figure, data, place.clientWidth);
    made.hooks = { setCursor: [(self) => { if (self.cursor.idx != null) tell(self.cursor.idx); }] };
    plot = new uPlot(made, [data.x, ...data.series], place);
  };
  const move = (index) => {
    tell(index);
    const y = data.series[0][chosen];
    plot.setCursor({ left: plot.valToPos(data.x[chosen], "x"), top: plot.valToPos(y ?? 0, "y") });
  };
  tell(chosen);
  make();
  place.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, ArrowDown: chosen - 1, ArrowUp: chosen + 1, Home: 0, End: data.x.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  });
  new ResizeObserver(() => { if (place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: HEIGHT }); }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", make);
}

const drawAll = (within) => within.querySelectorAll("figure.chart").forEach(draw);
drawAll(document);
document.addEventListener("htmx:load", (event) => drawAll(event.target));
