"use strict";
// The run, decoded from the compressed JSON in the page, and small helpers. Text from the
// payload reaches the page as text only: textContent, attributes that are not handlers,
// or a canvas.

function bytes(text) {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
async function inflated(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}
const ARRAYS = { u2: Uint16Array, f4: Float32Array, f8: Float64Array };
const numbers = ([type, text]) => new ARRAYS[type](bytes(text).buffer);

const payload = await inflated(document.getElementById("payload").textContent);
const candidates = payload.candidates;
const rows = candidates.map((_, row) => row);
const rowOf = new Map(candidates.map((candidate, row) => [candidate, row]));
const bestRow = rowOf.get(payload.best) ?? null;
const asideRows = new Set(payload.diverged.map((candidate) => rowOf.get(candidate)));

const columns = payload.columns.map((column, index) => ({
  ...column,
  index,
  values: column.kind === "number" ? numbers(column.values) : column.values,
}));
const byName = new Map(columns.map((column) => [column.name, column]));
const byRole = (...roles) => columns.filter((column) => roles.includes(column.role));
const metrics = byRole("score").sort((a, b) => (b.index === payload.score) - (a.index === payload.score));

const weights = payload.weights.map((weight) => ({
  ...weight,
  position: new Map(weight.candidates.map((candidate, i) => [candidate, i])),
  statistics: numbers(weight.statistics),
}));
// One entry for each name, whatever its shapes; the final estimator's come first.
const weightNames = [...new Map(weights.map((weight) => [weight.name, weight])).values()]
  .sort((a, b) => b.main - a.main)
  .map(({ name, short, main }) => ({ name, short, main }));
const STATISTIC = Object.fromEntries(payload.statistics.map((name, i) => [name, i]));
const STATISTIC_NAMES = {
  l1: "l1 norm", l2: "norm", share_zero: "share of zeros", share_nonfinite: "share of NaN or inf",
  spectral_norm: "spectral norm", stable_rank: "stable rank",
  condition_number: "condition number", effective_rank: "effective rank",
};
const statistic = (weight, position, name) =>
  weight.statistics[position * payload.statistics.length + STATISTIC[name]];

// A statistic of a weight as a column of the table, so that every plot takes it.
const made = new Map();
function statisticColumn(name, wanted) {
  const key = `${wanted} ${name}`;
  if (!made.has(key)) {
    const values = new Float64Array(candidates.length).fill(NaN);
    let short = name;
    for (const weight of weights) {
      if (weight.name !== name) continue;
      short = weight.short;
      weight.candidates.forEach((candidate, i) => {
        values[rowOf.get(candidate)] = statistic(weight, i, wanted);
      });
    }
    const of = STATISTIC_NAMES[wanted] ?? wanted;
    made.set(key, { name: `${of} of ${name}`, short: `${of} of ${short}`, role: "statistic", kind: "number", values });
  }
  return made.get(key);
}

const maps = payload.maps.map((map) => ({
  ...map, x: numbers(map.x), y: numbers(map.y), levels: numbers(map.distances.data),
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

function shown(value, digits = 5) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const text = Number(value.toPrecision(digits));
  const size = Math.abs(text);
  return size >= 1e6 || (size && size < 1e-4) ? text.toExponential().replace("e+", "e") : String(text);
}
// Names differ at their ends, so they are shortened at the front.
function tail(text, limit = 28) {
  const whole = Array.from(String(text));
  return whole.length > limit ? `…${whole.slice(1 - limit).join("")}` : whole.join("");
}
function head(text, limit = 28) {
  const whole = Array.from(String(text));
  return whole.length > limit ? `${whole.slice(0, limit - 1).join("")}…` : whole.join("");
}
const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

const finite = (values) => Array.from(values).filter(Number.isFinite);
function quantile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  return low + 1 < sorted.length ? sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]) : sorted[low];
}
const ascending = (values) => Float64Array.from(values).sort();

// The different values of a column in natural order: numbers by size, then text.
const kinds = new Map();
function kindsOf(column) {
  if (!kinds.has(column)) {
    const all = new Map();
    for (const row of rows) all.set(shown(column.values[row], 12), column.values[row]);
    const size = (text) => (typeof all.get(text) === "number" ? all.get(text) : Number(text));
    // Tuples by their numbers: (8,) before (16,) before (16, 8).
    const within = (text) => (/^[[(]/.test(text) ? (text.match(/-?[\d.]+(?:e[-+]?\d+)?/g) ?? []).map(Number) : []);
    const compareLists = (a, b) => {
      const k = a.findIndex((value, i) => value !== b[i]);
      return k < 0 || k >= b.length ? a.length - b.length : a[k] - b[k];
    };
    const compare = (a, b) => {
      const [x, y] = [size(a), size(b)], [m, n] = [Number.isNaN(x), Number.isNaN(y)];
      return m || n ? m - n || compareLists(within(a), within(b)) || a.localeCompare(b, "en", { numeric: true }) : x - y;
    };
    kinds.set(column, [...all.keys()].sort(compare));
  }
  return kinds.get(column);
}
const kindAt = (column, row) => shown(column.values[row], 12);
const params = byRole("param");
const varied = params.filter((column) => kindsOf(column).length > 1);
// Columns that are drawn as steps rather than along a scale.
const MANY = 15;
const isStepped = (column) =>
  column.kind === "text" || (column.role === "param" && kindsOf(column).length <= MANY);

// An element with text or children; never HTML.
function element(tag, content, attributes = {}) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (Array.isArray(content)) node.append(...content);
  else if (content !== undefined && content !== null) node.textContent = content;
  return node;
}
function named(tag, short, whole, attributes = {}) {
  return element(tag, short, short === whole ? attributes : { title: whole, ...attributes });
}
function options(select, entries) {
  select.replaceChildren(...entries.map(([value, text, whole]) =>
    named("option", tail(text), whole ?? text, { value })));
}
function chooser(text, entries, start, onChange) {
  const select = element("select");
  options(select, entries);
  if (start !== undefined) select.value = String(start);
  select.addEventListener("change", () => onChange(select.value));
  return [element("label", [document.createTextNode(text), select]), select];
}
const entriesOf = (list) => list.map((column) => [column.name, column.short, column.name]);
const byId = (id) => document.getElementById(id);
