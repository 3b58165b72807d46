// What all plots share: colours, axes, points that can be picked.

// Okabe and Ito's colours, which people with any colour vision tell apart.
const HUES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a00", "#7f7f7f"];
// Viridis at even steps, for the few values of a number.
const STEPS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "cross", "x"];
const MANY = 12;

const theme = () => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { text: of("--text"), quiet: of("--quiet"), line: of("--line"), a: of("--a"), b: of("--b"), ground: of("--ground") };
};

function layout(extra) {
  const { text, line } = theme();
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: 12, family: "system-ui, -apple-system, Segoe UI, Roboto, sans-serif" },
    margin: { l: 56, r: 12, t: 34, b: 48 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: text },
    hovermode: "closest",
    showlegend: false,
    ...extra,
    xaxis: { ...axis, ...extra.xaxis },
    yaxis: { ...axis, ...extra.yaxis },
  };
}
// The buttons are named one by one, since the library has one that uploads the plot.
const CONFIG = {
  displaylogo: false, responsive: true, plotlyServerURL: "",
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
};

// Numbers as places on an axis. The range is fixed, so that the library need not look at
// all points again when a mark moves.
function numberAxis(title, values) {
  const finite = Array.from(values).filter(Number.isFinite);
  return { values: Array.from(values), axis: { title: { text: label(title) }, range: rangeOf(finite) } };
}
function rangeOf(finite) {
  if (!finite.length) return [0, 1];
  const least = lowest(finite), most = highest(finite);
  const room = 0.06 * (most - least) || 0.5 * Math.abs(least) || 1;
  return [least - room, most + room];
}
const lowest = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const highest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

// The same, with logarithms where values are positive and span more than a factor of
// thirty. On the library's own logarithmic axes marks of a fixed size are distorted.
const isWide = (values) => {
  const finite = Array.from(values).filter(Number.isFinite);
  return finite.length > 1 && lowest(finite) > 0 && highest(finite) / lowest(finite) > 30;
};
function wideAxis(title, values) {
  if (!isWide(values)) return numberAxis(title, values);
  const { values: places, axis } = numberAxis(title, Array.from(values, Math.log10));
  const [from, to] = axis.range;
  const decades = [];
  const step = Math.ceil((to - from) / 8);
  for (let k = Math.ceil(from / step) * step; k <= to; k += step) decades.push(k);
  const steps = to - from < 3 ? [1, 2, 5] : [1];
  const ticks = decades.length ? [decades[0] - 1, ...decades].flatMap((k) => steps.map((s) => k + Math.log10(s))) : [];
  const within = ticks.filter((place) => place >= from && place <= to);
  return {
    values: places,
    axis: { ...axis, tickmode: "array", tickvals: within, ticktext: within.map((place) => power(place)), zeroline: false },
  };
}
const power = (place) => {
  const value = 10 ** place;
  if (place > -4 && place < 5) return shown(value, 1);
  const [digit, exponent] = value.toExponential(0).split("e");
  return `${digit === "1" ? "" : `${digit}·`}10<sup>${Number(exponent)}</sup>`;
};

// A column as places on an axis: text, and numbers among missing ones, become places with
// a name, at which points are spread a little so that none hides another.
function columnAxis(column, rows) {
  const values = rows.map((row) => column.values[row]);
  if (column.kind === "number" && values.every((value) => !Number.isNaN(value))) {
    return wideAxis(column.name, values);
  }
  const kinds = kindsOf(column, rows);
  const places = new Map(kinds.map((kind, i) => [kind, i]));
  return {
    values: rows.map((row, i) => places.get(shown(column.values[row])) + (((i * 0.618034) % 1) - 0.5) * 0.5),
    axis: {
      title: { text: label(column.name) }, range: [-0.6, kinds.length - 0.4],
      tickmode: "array", tickvals: kinds.map((_, i) => i), zeroline: false, showgrid: false,
      ticktext: kinds.map((kind) => label(kind, 16)),
    },
  };
}
function kindsOf(column, rows) {
  const kinds = [...new Set(rows.map((row) => shown(column.values[row])))];
  // Numbers by their size, also where None or another text is among them.
  return kinds.sort((a, b) => {
    const [x, y] = [Number(a), Number(b)], [m, n] = [Number.isNaN(x), Number.isNaN(y)];
    return m || n ? m - n || (a < b ? -1 : 1) : x - y;
  });
}

const hovers = new Map();
function hover(candidate) {
  if (!hovers.has(candidate)) hovers.set(candidate, hoverText(candidate));
  return hovers.get(candidate);
}
function hoverText(candidate) {
  const row = rowOf.get(candidate);
  const lines = [`<b>candidate ${candidate}</b>`];
  for (const column of byRole("score", "param").slice(0, 10)) {
    lines.push(`${label(column.name, 40)}: ${label(shown(column.values[row]), 40)}`);
  }
  return lines.join("<br>");
}

// Points, a trace for each kind where a column of text colours them.
function points(numbers, x, y, colour) {
  const rows = numbers.map((candidate) => rowOf.get(candidate));
  const base = (picked) => ({
    type: "scatter", mode: "markers", hoverinfo: "text",
    x: picked.map((i) => x[i]), y: picked.map((i) => y[i]),
    customdata: picked.map((i) => numbers[i]),
    text: picked.map((i) => hover(numbers[i])),
  });
  const all = numbers.map((_, i) => i);
  const marker = { size: numbers.length > 400 ? 6 : 8, opacity: 0.8, line: { width: 0.5, color: theme().ground } };
  if (!colour) return [{ ...base(all), marker: { ...marker, color: HUES[0] } }];
  const kinds = kindsOf(colour, rows);
  if (colour.kind === "number" && (kinds.length > 8 || colour.role !== "param")) {
    const values = rows.map((row) => colour.values[row]);
    const log = colour.role !== "score" && isWide(values);
    const bar = { title: { text: label(colour.name, 24) + (log ? " (log₁₀)" : ""), side: "right" }, thickness: 12, outlinewidth: 0 };
    return [{ ...base(all), marker: { ...marker, color: log ? values.map(Math.log10) : values, colorscale: "Viridis", showscale: true, colorbar: bar } }];
  }
  const hue = (k) => colour.kind === "text" || kinds.length < 2
    ? HUES[k % HUES.length]
    : STEPS[Math.round((k * (STEPS.length - 1)) / (kinds.length - 1))];
  const other = "other";
  const groups = kinds.length > MANY ? [...kinds.slice(0, MANY - 1), other] : kinds;
  return groups.map((kind, k) => ({
    ...base(all.filter((i) => {
      const own = shown(colour.values[rows[i]]);
      return own === kind || (kind === other && !groups.includes(own));
    })),
    name: label(kind, 20), showlegend: true,
    marker: { ...marker, color: hue(k), symbol: SYMBOLS[Math.floor(k / HUES.length) % SYMBOLS.length] },
  }));
}

// A circle around A, a square around B: of what is drawn, these alone change with them.
// They are shapes, since the library draws all again for a new annotation or trace.
function rings({ numbers, x, y }) {
  const { a, b } = theme();
  return chosen.pair.map((candidate, which) => {
    const i = candidate === null ? -1 : numbers.indexOf(candidate);
    const visible = i >= 0 && Number.isFinite(x[i]) && Number.isFinite(y[i]);
    return {
      type: which ? "rect" : "circle", visible, line: { color: which ? b : a, width: 3 },
      xsizemode: "pixel", xanchor: visible ? x[i] : 0, x0: -10, x1: 10,
      ysizemode: "pixel", yanchor: visible ? y[i] : 0, y0: -10, y1: 10,
    };
  });
}

const LEGEND = { showlegend: undefined, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, margin: { l: 56, r: 12, t: 56, b: 48 } };
