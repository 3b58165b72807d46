"use strict";
// What the page knows, decoded from the JSON that stands in it, and small helpers.
// Text from the payload reaches the page as text only: by textContent, by attributes
// other than event handlers, or through escaped().

const payload = JSON.parse(document.getElementById("payload").textContent);

function bytes(text) {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out.buffer;
}
const float32 = (text) => new Float32Array(bytes(text));
const float64 = (text) => new Float64Array(bytes(text));
const uint16 = (text) => new Uint16Array(bytes(text));

const candidates = payload.candidates;
const rowOf = new Map(candidates.map((candidate, row) => [candidate, row]));
const columns = payload.columns.map((column, index) => ({
  ...column,
  index,
  values: column.kind === "number" ? float64(column.values) : column.values,
}));
const byRole = (...roles) => columns.filter((column) => roles.includes(column.role));
const rank = byRole("rank")[0];
const measures = [
  ...byRole("score").sort((a, b) => (b.index === payload.score) - (a.index === payload.score)),
  ...byRole("split", "other").filter((column) => column.kind === "number"),
];

const weights = payload.weights.map((weight) => ({
  ...weight,
  position: new Map(weight.candidates.map((candidate, i) => [candidate, i])),
  statistics: float32(weight.statistics),
}));
const weightNames = [...new Set(weights.map((weight) => weight.name))];
const STAT = Object.fromEntries(payload.statistics.map((name, i) => [name, i]));
const statistic = (weight, position, name) =>
  weight.statistics[position * payload.statistics.length + STAT[name]];

const maps = payload.maps.map((map) => ({
  ...map,
  x: float32(map.x),
  y: float32(map.y),
  position: new Map(map.candidates.map((candidate, i) => [candidate, i])),
}));

// The place of a pair in an upper triangle that is written row by row.
function pairIndex(i, j, n) {
  const low = Math.min(i, j), high = Math.max(i, j);
  return (low * (2 * n - low - 1)) / 2 + high - low - 1;
}
function triangleValue(triangle, levels, i, j, n) {
  if (i === j) return 0;
  const level = levels[pairIndex(i, j, n)];
  return level === 65535 ? NaN : level * triangle.scale;
}

function escaped(text) {
  const marks = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return String(text).replace(/[&<>"']/g, (mark) => marks[mark]);
}
// Text for a plot: short, so that it leaves room, and without markup. The plots' own small
// HTML knows no entities for quotes, which mean nothing outside of its tags.
const label = (text, limit = 28) => {
  const whole = String(text);
  const short = whole.length > limit ? whole.slice(0, limit - 1) + "…" : whole;
  return short.replace(/[&<>]/g, (mark) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[mark]);
};

function shown(value, digits = 5) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  return String(Number(value.toPrecision(digits)));
}

// An element with text or children; never HTML.
function element(tag, content, attributes = {}) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (Array.isArray(content)) node.append(...content);
  else if (content !== undefined && content !== null) node.textContent = content;
  return node;
}
function options(select, entries) {
  select.replaceChildren(
    ...entries.map(([value, text]) => element("option", text, { value })),
  );
}

// The candidates that are compared: at most two, the one picked longer ago first.
const chosen = {
  pair: [null, null],
  listeners: [],
  set(a, b) {
    if (a === b) b = null;
    this.pair = [a, b];
    for (const listener of this.listeners) listener(this.pair);
  },
  toggle(candidate) {
    const [a, b] = this.pair;
    if (candidate === a) this.set(b, null);
    else if (candidate === b) this.set(a, null);
    else if (a === null) this.set(candidate, b);
    else if (b === null) this.set(a, candidate);
    else this.set(b, candidate);
  },
};
