// What is selected, in one place: every view listens, so that all show the same.
//   pair    the two candidates that are compared, A and B, as rows
//   hover   the row under the pointer or the keyboard's focus
//   filters column -> the range that is kept; `kept` says it for each row
//   metric, colour  the columns that all plots show

const state = {
  pair: [null, null],
  hover: null,
  filters: new Map(),
  search: "",
  kept: new Uint8Array(candidates.length).fill(1),
  nKept: candidates.length,
  metric: metrics[0] ?? byRole("split", "other").find((column) => column.kind === "number") ?? null,
  colour: null,
};
const listeners = { pair: [], hover: [], kept: [], view: [] };
const on = (what, listener) => listeners[what].push(listener);
const tell = (what) => { for (const listener of listeners[what]) listener(); };

function setPair(a, b) {
  state.pair = [a, a === b ? null : b];
  tell("pair");
}
// The one picked longer ago gives way.
function toggle(row) {
  const [a, b] = state.pair;
  if (row === a) setPair(b, null);
  else if (row === b) setPair(a, null);
  else if (a === null) setPair(row, b);
  else if (b === null) setPair(a, row);
  else setPair(b, row);
}
function setHover(row) {
  if (state.hover === row) return;
  state.hover = row;
  tell("hover");
}

// A range is of places on the column's scale: numbers, or positions among its kinds.
function place(column, row) {
  return isStepped(column) ? kindsOf(column).indexOf(kindAt(column, row)) : column.values[row];
}
function setFilter(column, range) {
  if (range) state.filters.set(column, range);
  else state.filters.delete(column);
  refilter();
}
const textOfRow = (row) =>
  [candidates[row], ...columns.map((column) => shown(column.values[row]))].join(" ").toLowerCase();
let texts = null;
function refilter() {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) texts ??= rows.map(textOfRow);
  const filters = [...state.filters].map(([column, [low, high]]) => [column, low, high]);
  state.nKept = 0;
  for (const row of rows) {
    const kept = filters.every(([column, low, high]) => {
      const at = place(column, row);
      return at >= low && at <= high;
    }) && words.every((word) => texts[row].includes(word));
    state.kept[row] = kept;
    state.nKept += kept;
  }
  tell("kept");
}
function clearFilters() {
  state.filters.clear();
  state.search = "";
  refilter();
}

function describe(row) {
  const lines = [`candidate ${candidates[row]}${row === bestRow ? " (best)" : ""}`];
  const shownColumns = [...new Set([state.metric, state.colour, ...varied.slice(0, 10)])];
  for (const column of shownColumns) {
    if (!column) continue;
    const spread = column === state.metric ? spreadOf(column) : null;
    const more = spread && Number.isFinite(spread.values[row]) ? ` ± ${shown(spread.values[row], 2)}` : "";
    lines.push(`${column.short}: ${head(shown(column.values[row], 4), 60)}${more}`);
  }
  if (asideRows.has(row)) lines.push("diverged");
  return lines;
}
const spreadOf = (metric) => byName.get(metric.name.replace(/^mean_/, "std_")) ?? null;
