// Elements from data. Every text goes in as a text node: nothing of a tenant's is ever markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const number = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const count = (value) => (value === null || value === undefined ? "–" : number.format(value));
const percent = (value) =>
  value === null || value === undefined ? "–" : `${floored(value)} %`;

// 99.96 is not 100: what is not whole is never shown as whole.
function floored(value) {
  const shown = Math.floor(value * 10 + 1e-6) / 10;
  return number.format(shown);
}

function hours(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${Math.round(value * 60)} min`;
  return value < 72 ? `${number.format(value)} h` : `${number.format(value / 24)} d`;
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 120 ? `${number.format(value)} s` : `${number.format(value / 60)} min`;
}

function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = value < 1 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), units.length - 1);
  return `${number.format(value / 1000 ** step)} ${units[step]}`;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const two = (value) => String(value).padStart(2, "0");
const day = (moment) => `${moment.getUTCDate()} ${MONTHS[moment.getUTCMonth()]}`;

function time(text) {
  if (!text) return "–";
  const moment = new Date(text);
  return `${day(moment)} ${two(moment.getUTCHours())}:${two(moment.getUTCMinutes())}`;
}

// A name of parts may break after each part, and nowhere else.
const code = (name) => el("code", {},
  name.split("_").flatMap((part, i) => (i ? ["_", el("wbr"), part] : [part])));

const SIGNS = { good: "✓", watch: "!", bad: "✕", none: "·" };
const mark = (kind, text) =>
  el("span", { class: `mark ${kind}` }, kind === "none" ? "" : `${SIGNS[kind]} `, text);

// A table with a caption for who cannot see its heading. A cell is a text, an element or
// {value, class}; the first of a row is its header.
function table(caption, columns, rows, kind) {
  const heads = columns.map((c) =>
    el("th", { scope: "col", class: c.class }, c.title === undefined ? c : c.title));
  const cell = (content, index) => {
    const isPlain = content === null || content instanceof Node || typeof content !== "object";
    const inner = isPlain ? content : content.value;
    const style = isPlain ? columns[index] && columns[index].class : content.class;
    return index === 0
      ? el("th", { scope: "row", class: style }, inner)
      : el("td", { class: style }, inner);
  };
  return el("div", { class: "scroll" },
    el("table", { class: kind },
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, heads)),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell))))));
}

const numeric = (title) => ({ title, class: "number" });

function section(title, about, ...children) {
  return el("section", { class: "card" },
    el("h2", {}, title), about ? el("p", { class: "quiet" }, about) : null, children);
}

function more(summary, inside, isOpen, keepOpen) {
  // what is inside is made when it is first opened
  const box = el("details", { open: isOpen }, el("summary", {}, summary));
  const open = () => {
    if (box.open && !box.querySelector(":scope > .inside")) {
      box.append(el("div", { class: "inside" }, inside()));
    }
  };
  box.addEventListener("toggle", () => {
    open();
    if (keepOpen) keepOpen(box.open);
  });
  open();
  return box;
}

function themeButton() {
  const order = ["auto", "light", "dark"];
  const stored = () => {
    try { return localStorage.getItem("eta.theme"); } catch { return null; }
  };
  let theme = order.includes(stored()) ? stored() : "auto";
  const button = el("button", { type: "button", onclick: () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    try { localStorage.setItem("eta.theme", theme); } catch { /* a file has no storage */ }
    show();
  } });
  const show = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Colours: ${theme}`;
  };
  show();
  return button;
}
