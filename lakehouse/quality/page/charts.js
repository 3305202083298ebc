// One small line chart per measure. The charts of a group share their time axis and their cursor:
// a pointer, or the arrow keys in any of them, moves it in all.

const WIDTH = 360, HEIGHT = 150, LEFT = 40, RIGHT = 12, TOP = 12, BOTTOM = 22;

function chartGroup(points, measures, about) {
  const times = points.map((p) => new Date(p.measured_at).getTime());
  const first = times[0], span = Math.max(times[times.length - 1] - first, 1);
  const x = (index) => times.length === 1
    ? (LEFT + WIDTH - RIGHT) / 2
    : LEFT + ((times[index] - first) / span) * (WIDTH - LEFT - RIGHT);
  const charts = measures.map((m) => lineChart(points, m, x, about, (index) => move(index)));
  const move = (index) => charts.forEach((chart) => chart.move(index));
  move(points.length - 1);
  return el("div", { class: "panels" }, charts.map((chart) => chart.node));
}

function lineChart(points, measure, x, about, onMove) {
  const values = points.map((p) => p[measure.name]);
  const known = values.filter((v) => v !== null);
  const [low, high] = measure.range(known);
  const y = (value) => TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM });
  const dot = svg("circle", { class: "dot", r: 4.5 });
  const drawing = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0",
    "aria-label": describe(points, measure, known, about),
  }, axes(points, measure, x, y, low, high), line(values, x, y), cursor, dot);
  const readout = el("output", { "aria-live": "off" });
  let at = points.length - 1;
  const move = (index) => {
    at = Math.min(Math.max(index, 0), points.length - 1);
    fill(cursor, { x1: x(at), x2: x(at) }, []);
    const value = values[at];
    dot.setAttribute("visibility", value === null ? "hidden" : "visible");
    if (value !== null) fill(dot, { cx: x(at), cy: y(value) }, []);
    readout.textContent =
      `${time(points[at].measured_at)} · ${value === null ? "not measured" : measure.text(value)}`;
  };
  listen(drawing, readout, points, x, () => at, onMove);
  const node = el("div", { class: "panel" },
    el("div", { class: "row" }, el("h3", {}, measure.title), readout), drawing);
  return { node, move };
}

function listen(drawing, readout, points, x, at, onMove) {
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * WIDTH;
    let nearest = 0;
    points.forEach((_, i) => {
      if (Math.abs(x(i) - place) < Math.abs(x(nearest) - place)) nearest = i;
    });
    onMove(nearest);
  });
  drawing.addEventListener("pointerleave", () => onMove(points.length - 1));
  const keys = { ArrowLeft: -1, ArrowRight: 1, Home: -points.length, End: points.length };
  drawing.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    onMove(at() + keys[event.key]);
  });
  drawing.addEventListener("focus", () => readout.setAttribute("aria-live", "polite"));
  drawing.addEventListener("blur", () => readout.setAttribute("aria-live", "off"));
}

function axes(points, measure, x, y, low, high) {
  const steps = [low, (low + high) / 2, high].map((value) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, measure.tick(value)),
  ]);
  const ends = points.length === 1 ? [[0, "middle"]] : [[0, "start"], [points.length - 1, "end"]];
  const dates = ends.map(([index, anchor]) => svg("text",
    { x: x(index), y: HEIGHT - 5, "text-anchor": anchor }, day(new Date(points[index].measured_at))));
  const aim = measure.aim;
  const isDrawn = aim !== undefined && aim >= low && aim <= high;
  return [steps, dates, isDrawn && [
    svg("line", { class: "aim", x1: LEFT, x2: WIDTH - RIGHT, y1: y(aim), y2: y(aim) }),
    svg("text", { x: WIDTH - RIGHT, y: y(aim) - 4, "text-anchor": "end" },
      `${measure.aimed} ${measure.text(aim)}`),
  ]];
}

// One path per stretch of measured values: what was not measured is a gap. A lone value is a dot.
function line(values, x, y) {
  const parts = [];
  let stretch = [];
  const end = () => {
    if (stretch.length === 1) {
      parts.push(svg("circle", { class: "dot", r: 3, cx: x(stretch[0]), cy: y(values[stretch[0]]) }));
    } else if (stretch.length) {
      const path = stretch.map((i, n) =>
        `${n ? "L" : "M"}${x(i).toFixed(1)} ${y(values[i]).toFixed(1)}`).join("");
      parts.push(svg("path", { class: "series", d: path }));
    }
    stretch = [];
  };
  values.forEach((value, index) => { if (value === null) end(); else stretch.push(index); });
  end();
  return parts;
}

function describe(points, measure, known, about) {
  const title = `${measure.title} of ${about}`;
  if (!known.length) return `${title}: not measured.`;
  const from = time(points[0].measured_at), to = time(points[points.length - 1].measured_at);
  return `${title}, ${points.length} measurements from ${from} to ${to}: ` +
    `lowest ${measure.text(Math.min(...known))}, highest ${measure.text(Math.max(...known))}, ` +
    `last ${measure.text(known[known.length - 1])}. The arrow keys go through them; ` +
    "the table below has them all.";
}

// Percentages end at 100 and begin at 95 or the whole ten below the least: the axis says which.
function percentRange(known) {
  const least = Math.min(100, ...known);
  return [least >= 95 ? 95 : Math.max(0, Math.floor(least / 10) * 10), 100];
}

function hoursRange(objective) {
  return (known) => {
    const most = Math.max(objective * 1.25, ...known);
    const step = most > 96 ? 24 : 4;
    return [0, Math.ceil(most / step) * step];
  };
}
