// Plots on canvases: theme, colours, scales, axes, points that can be picked.

// Okabe and Ito's colours, which people with any colour vision tell apart.
const HUES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a00", "#7f7f7f"];
const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"]
  .map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
const LIGHT = {
  ground: "#ffffff", text: "#1b1f27", quiet: "#586172", line: "#d5d9e0", faint: "#c3c8d1",
  a: "#b34700", b: "#00695a", mark: "#0b5cad",
};
const DARK = {
  ground: "#14171c", text: "#e6e9ee", quiet: "#a3acba", line: "#39404c", faint: "#4a5260",
  a: "#ff9d5c", b: "#4fd1b8", mark: "#7cb8f5",
};
const dark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;
const isDark = () => dark.matches && !printing;
const theme = () => (isDark() ? DARK : LIGHT);

// Both ends of viridis vanish on one of the grounds.
function viridis(share) {
  const [from, to] = isDark() ? [0.22, 1] : [0, 0.92];
  const at = (from + (to - from) * Math.max(0, Math.min(1, share))) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2), rest = at - low;
  return VIRIDIS[low].map((v, i) => Math.round(v + rest * (VIRIDIS[low + 1][i] - v)));
}
const css = (rgb) => `rgb(${rgb.join(",")})`;

// The values of a column that decide its scale: not those of candidates that diverged.
function settled(values) {
  const own = Array.from(values).filter((value, row) => !asideRows.has(row));
  return own.some(Number.isFinite) ? own : Array.from(values);
}
// A column's colours, the same in every plot: hues for text, viridis for numbers.
function colouring(column) {
  if (!column) return { at: () => theme().mark, legend: [] };
  const all = kindsOf(column);
  const isNumber = column.kind === "number";
  if (isStepped(column)) {
    const hue = (k) => isNumber ? css(viridis(all.length > 1 ? k / (all.length - 1) : 0.5)) : HUES[Math.min(k, HUES.length - 1)];
    const colours = new Map(all.map((kind, k) => [kind, hue(k)]));
    const legend = all.slice(0, isNumber ? MANY : HUES.length).map((kind, k) => [kind, hue(k)]);
    if (all.length > legend.length) legend[legend.length - 1][0] = "others";
    return { at: (row) => colours.get(kindAt(column, row)), legend };
  }
  const scale = numberScale(settled(column.values), column.role === "score");
  return {
    at: (row) => {
      const value = column.values[row];
      return Number.isFinite(value) ? css(viridis(scale.share(value))) : theme().faint;
    },
    bar: [scale.low, scale.high].map((end) => shown(scale.isLog ? 10 ** end : end, 3)),
    legend: [],
  };
}

// Where the values of a column lie, from 0 to 1. The ends are robust, so that one diverged
// candidate does not push all others into a corner; what is beyond lies at 0 or 1.
function numberScale(values, isScore = false) {
  const sorted = ascending(finite(values));
  const none = { low: 0, high: 1, isLog: false, share: () => NaN, ticks: [] };
  if (!sorted.length) return none;
  const [least, most] = [sorted[0], sorted[sorted.length - 1]];
  const isSkewed = (quantile(sorted, 0.5) - least) / (most - least) < 0.25;
  const isLog = !isScore && least > 0 && most / least > 30 && isSkewed;
  const places = isLog ? sorted.map(Math.log10) : sorted;
  const [first, last] = [places[0], places[places.length - 1]];
  const [q1, q3] = [quantile(places, 0.25), quantile(places, 0.75)];
  // Halves at least as wide as a rounding, so that constant values keep their axis.
  const room = 4 * (q3 - q1) || (quantile(places, 0.95) - quantile(places, 0.05)) * 4 || last - first;
  let low = Math.max(first, q1 - room), high = Math.min(last, q3 + room);
  if (last - first < 3 * (high - low)) [low, high] = [first, last];
  // The axis ends at values that there are.
  low = places.find((value) => value >= low);
  high = places.findLast((value) => value <= high);
  if (high - low <= 1e-12 * Math.max(Math.abs(low), Math.abs(high))) {
    const half = 0.05 * Math.abs(low) || 0.5;
    [low, high] = [low - half, low + half];
  }
  const share = (value) => {
    const at = isLog ? Math.log10(value) : value;
    return (Math.min(Math.max(at, low), high) - low) / (high - low);
  };
  const isBeyond = (value) => {
    const at = isLog ? Math.log10(value) : value;
    return at < low - 1e-9 * (high - low) ? -1 : at > high + 1e-9 * (high - low) ? 1 : 0;
  };
  return { low, high, isLog, share, isBeyond, ticks: isLog ? logTicks(low, high) : linearTicks(low, high) };
}
function linearTicks(low, high, wanted = 5) {
  const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((k) => k * power >= raw) * power;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step && ticks.length < 20; k++) {
    const value = k * step;
    ticks.push([(value - low) / (high - low), shown(value, 6)]);
  }
  return ticks;
}
function logTicks(low, high) {
  if (high - low < 1) {
    return linearTicks(10 ** low, 10 ** high).map(([, text]) => [(Math.log10(Number(text)) - low) / (high - low), text])
      .filter(([at]) => Number.isFinite(at));
  }
  const step = Math.max(1, Math.ceil((high - low) / 6)), ticks = [];
  for (let k = Math.ceil(low / step) * step; k <= high + 1e-9; k += step) {
    ticks.push([(k - low) / (high - low), shown(10 ** k, 3)]);
  }
  return ticks;
}
// Any column as a scale: steps of equal width in natural order, or numbers.
function scaleOf(column) {
  if (!isStepped(column)) {
    const scale = numberScale(settled(column.values), column.role === "score");
    return { ...scale, at: (row) => scale.share(column.values[row]), isFinite: (row) => Number.isFinite(column.values[row]), isBeyond: (row) => scale.isBeyond?.(column.values[row]) ?? 0 };
  }
  const all = kindsOf(column), index = new Map(all.map((kind, k) => [kind, k]));
  const middle = (k) => (k + 0.5) / all.length;
  return {
    steps: all, isFinite: () => true, isBeyond: () => 0,
    at: (row) => middle(index.get(kindAt(column, row))),
    ticks: all.map((kind, k) => [middle(k), kind]),
  };
}

// A canvas with a layer above for what changes with the pointer. `draw` paints the plot and
// returns its marks: { rows, x, y } in pixels, and perhaps zones with a text each, what is
// said of each mark, and which marks the arrow keys move between and the selection rings
// (all by default).
const plots = [];
class Plot {
  constructor({ label, height, draw, over, click, drag }) {
    Object.assign(this, { draw, over, onClick: click, drag, height });
    this.base = element("canvas");
    this.top = element("canvas");
    this.node = element("div", [this.base, this.top], {
      class: "plot", tabindex: "0", role: "application", "aria-label": `${label}. Arrow keys move between candidates, Enter selects.`,
    });
    this.marks = { rows: [], x: [], y: [] };
    this.visible = false;
    plots.push(this);
    new IntersectionObserver((entries) => {
      this.visible = entries.some((entry) => entry.isIntersecting);
      if (this.visible) this.stale ? this.paint() : this.lay();
    }, { rootMargin: "300px" }).observe(this.node);
    new ResizeObserver(() => this.refresh()).observe(this.node);
    this.stale = true;
    this.listen();
  }
  refresh() {
    this.stale = true;
    if (this.visible) requestAnimationFrame(() => { if (this.stale) this.paint(); });
  }
  context(canvas) {
    const scale = Math.max(window.devicePixelRatio || 1, printing ? 2 : 1);
    const [w, h] = [this.width, this.tall];
    if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
      canvas.width = Math.round(w * scale);
      canvas.height = Math.round(h * scale);
    }
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, w, h);
    const size = Math.round(0.8 * parseFloat(getComputedStyle(document.body).fontSize));
    context.font = `${size}px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif`;
    context.textBaseline = "middle";
    return context;
  }
  paint() {
    this.width = this.node.clientWidth;
    if (!this.width) return;
    this.tall = typeof this.height === "function" ? this.height(this.width) : this.height;
    this.node.style.height = `${this.tall}px`;
    this.stale = false;
    this.marks = this.draw(this.context(this.base), this.width, this.tall) ?? { rows: [], x: [], y: [] };
    this.node.marks = this.marks;
    this.lay();
  }
  // The pair and the hovered candidate, above everything.
  lay() {
    if (this.stale) return;
    const context = this.context(this.top);
    if (this.over) this.over(context, this.marks);
    const { rows: own, x, y, rings } = this.marks;
    const ring = (row, colour, isSquare) => {
      for (const i of rings ?? own.keys()) {
        if (own[i] !== row) continue;
        context.strokeStyle = colour;
        context.lineWidth = 2.5;
        context.beginPath();
        if (isSquare) context.rect(x[i] - 8, y[i] - 8, 16, 16);
        else context.arc(x[i], y[i], 9, 0, 7);
        context.stroke();
      }
    };
    const { a, b, text } = theme();
    if (state.pair[0] !== null) ring(state.pair[0], a, false);
    if (state.pair[1] !== null) ring(state.pair[1], b, true);
    if (state.hover !== null) ring(state.hover, text, false);
  }
  // What is told of a candidate, and of a mark of it.
  lines(row, i) {
    const said = this.marks.say?.(i);
    return said ? [...describe(row), said] : describe(row);
  }
  nearest(px, py, reach = 16) {
    const { rows: own, x, y } = this.marks;
    let best = -1, least = reach * reach;
    for (let i = 0; i < own.length; i++) {
      const distance = (x[i] - px) ** 2 + (y[i] - py) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }
  listen() {
    const at = (event) => {
      const box = this.node.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    let dragged = null;
    this.node.addEventListener("pointermove", (event) => {
      const [x, y] = at(event);
      if (dragged && this.drag.move(dragged, x, y)) return;
      const zone = this.marks.zones?.find((one) => x >= one.x && x <= one.x + one.w && y >= one.y && y <= one.y + one.h);
      const i = this.nearest(x, y);
      const row = i >= 0 ? this.marks.rows[i] : this.marks.rowAt?.(x, y) ?? null;
      setHover(row);
      if (row !== null) tip(this.lines(row, i), event.clientX, event.clientY);
      else if (zone) tip(zone.lines, event.clientX, event.clientY);
      else tip(null);
    });
    this.node.addEventListener("pointerleave", () => { setHover(null); tip(null); });
    this.node.addEventListener("pointerdown", (event) => {
      if (!this.drag) return;
      dragged = this.drag.start(...at(event));
      if (dragged) this.node.setPointerCapture(event.pointerId);
    });
    this.node.addEventListener("pointerup", (event) => {
      const was = dragged;
      dragged = null;
      if (was) this.drag.end(was, ...at(event));
    });
    this.node.addEventListener("pointercancel", () => { dragged = null; });
    this.node.addEventListener("click", (event) => {
      const [x, y] = at(event);
      if (this.onClick?.(x, y, this.marks)) return;
      const i = this.nearest(x, y);
      if (i >= 0) toggle(this.marks.rows[i]);
    });
    this.node.addEventListener("blur", () => { setHover(null); tip(null); });
    this.node.addEventListener("keydown", (event) => this.key(event));
  }
  key(event) {
    const { rows: own, x, y, rings } = this.marks;
    const axis = { ArrowLeft: [x, -1], ArrowRight: [x, 1], ArrowUp: [y, -1], ArrowDown: [y, 1] }[event.key];
    if (axis && own.length) {
      event.preventDefault();
      const [values, step] = axis, other = values === x ? y : x;
      const order = [...(rings ?? own.keys())].sort((i, j) => values[i] - values[j] || other[i] - other[j] || i - j);
      const now = order.findIndex((i) => own[i] === state.hover);
      const i = order[now < 0 ? 0 : (now + step + order.length) % order.length];
      setHover(own[i]);
      const box = this.node.getBoundingClientRect();
      tip(this.lines(own[i], i), box.left + x[i], box.top + y[i]);
      byId("live").textContent = this.lines(own[i], i).join(", ");
    } else if ((event.key === "Enter" || event.key === " ") && state.hover !== null) {
      event.preventDefault();
      toggle(state.hover);
    } else if (event.key === "Escape") {
      setHover(null);
      tip(null);
    }
  }
}
const refreshAll = () => { for (const plot of plots) plot.refresh(); };
const layAll = () => { for (const plot of plots) if (plot.visible) plot.lay(); };

function tip(lines, x, y) {
  const box = byId("tip");
  box.hidden = !lines;
  if (!lines) return;
  box.replaceChildren(...lines.map((line) => element("div", line)));
  const { offsetWidth: w, offsetHeight: h } = box;
  box.style.left = `${Math.max(4, x + w + 24 > innerWidth ? x - w - 14 : x + 14)}px`;
  box.style.top = `${Math.max(4, y + h + 24 > innerHeight ? y - h - 14 : y + 14)}px`;
}

function fitted(context, text, width, cut = tail) {
  let limit = Array.from(text).length;
  let short = text;
  while (limit > 1 && context.measureText(short).width > width) short = cut(text, --limit);
  return short;
}

// Axes around an area; returns it with functions from shares to pixels. Values that are
// not finite lie in a gutter beside the axis that says so.
function frame(context, w, h, x, y, titles, zones = []) {
  const colours = theme();
  const gutterY = y?.gutter ? 22 : 0, gutterX = x.gutter ? 26 : 0;
  const widest = Math.max(...(y ? y.ticks : []).map(([, text]) => context.measureText(head(text, 14)).width), 20);
  const l = Math.max(Math.min(widest + 30, 0.3 * w), y ? 44 : 12), t = 12, r = 14;
  const slot = (w - l - r) / Math.max(1, x.ticks.length);
  const isTilted = x.steps && x.ticks.some(([, text]) => context.measureText(head(text, 12)).width > slot - 6);
  const bottom = (isTilted ? 76 : 24) + (titles.x ? 20 : 0);
  const area = { l: l + gutterX, t, w: w - l - r - gutterX, h: h - t - bottom - gutterY };
  const inset = (scale) => (scale?.steps ? 0 : 10);
  const px = (share) => area.l + inset(x) + share * (area.w - 2 * inset(x));
  const py = (share) => area.t + area.h - inset(y) - share * (area.h - 2 * inset(y));
  context.lineWidth = 1;
  context.strokeStyle = colours.line;
  context.fillStyle = colours.quiet;
  if (y) {
    context.textAlign = "right";
    for (const [share, text] of y.ticks) {
      const at = Math.round(py(share)) + 0.5;
      context.beginPath();
      context.moveTo(area.l, at);
      context.lineTo(area.l + area.w, at);
      context.stroke();
      context.fillText(fitted(context, head(text, 40), l - 28, head), l - 6, at);
      if (Array.from(text).length > 10) zones.push({ x: 0, y: at - 8, w: l, h: 16, lines: [text] });
    }
    context.save();
    context.translate(10, area.t + area.h / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillStyle = colours.text;
    context.fillText(fitted(context, titles.y ?? "", area.h), 0, 0);
    context.restore();
    if (titles.wholeY) zones.push({ x: 0, y: t, w: 20, h: area.h, lines: [titles.wholeY] });
  }
  context.fillStyle = colours.quiet;
  let free = -Infinity;
  const base = area.t + area.h + gutterY;
  for (const [share, text] of x.ticks) {
    const at = px(share), short = head(text, isTilted ? 14 : 24), width = context.measureText(short).width;
    if (isTilted) {
      if (at - free < 13) continue;
      free = at;
      context.save();
      context.translate(at + 3, base + 8);
      context.rotate(-Math.PI / 4);
      context.textAlign = "right";
      context.fillText(short, 0, 0);
      context.restore();
    } else {
      if (at - width / 2 < free + 6) continue;
      free = at + width / 2;
      context.textAlign = "center";
      context.fillText(short, at, base + 12);
    }
    if (short !== text) zones.push({ x: at - slot / 2, y: base, w: slot, h: bottom - 20, lines: [text] });
  }
  context.beginPath();
  context.moveTo(area.l, area.t + area.h + 0.5);
  context.lineTo(area.l + area.w, area.t + area.h + 0.5);
  context.stroke();
  if (titles.x) {
    context.fillStyle = colours.text;
    context.textAlign = "center";
    context.fillText(fitted(context, titles.x, area.w), area.l + area.w / 2, h - 9);
    if (titles.wholeX) zones.push({ x: area.l, y: h - 20, w: area.w, h: 20, lines: [titles.wholeX] });
  }
  context.fillStyle = colours.quiet;
  context.textAlign = "right";
  if (gutterY) context.fillText("none", l - 6, area.t + area.h + 12);
  if (gutterX) {
    context.textAlign = "center";
    context.fillText("none", l + 12, base + 12);
  }
  return { ...area, px, py, noneY: area.t + area.h + 12, noneX: l + 12, zones };
}

// Points of candidates: circles; a triangle where a value is beyond the axis, a cross where
// the candidate diverged. Those that are filtered out stay as a faint trace.
function points(context, own, x, y, beyond = () => 0) {
  const colour = colouring(state.colour);
  const radius = own.length > 3000 ? 2.2 : own.length > 400 ? 3 : 4.5;
  for (const pass of [0, 1]) {
    for (let i = 0; i < own.length; i++) {
      const row = own[i];
      if (state.kept[row] !== pass) continue;
      context.globalAlpha = pass ? (own.length > 400 ? 0.7 : 0.85) : 0.35;
      context.fillStyle = context.strokeStyle = pass ? colour.at(row) : theme().faint;
      context.beginPath();
      const away = beyond(row);
      if (asideRows.has(row)) {
        context.lineWidth = 2;
        context.moveTo(x[i] - 4, y[i] - 4);
        context.lineTo(x[i] + 4, y[i] + 4);
        context.moveTo(x[i] + 4, y[i] - 4);
        context.lineTo(x[i] - 4, y[i] + 4);
        context.stroke();
      } else if (away) {
        context.moveTo(x[i] - 5, y[i] - 4 * away * -1);
        context.lineTo(x[i] + 5, y[i] - 4 * away * -1);
        context.lineTo(x[i], y[i] - 6 * away);
        context.fill();
      } else {
        context.arc(x[i], y[i], row === bestRow ? radius + 1.5 : radius, 0, 7);
        context.fill();
        if (row === bestRow) {
          context.lineWidth = 1.5;
          context.strokeStyle = theme().text;
          context.stroke();
        }
      }
    }
  }
  context.globalAlpha = 1;
}
// A little to the side, always the same, so that points on a step do not hide each other.
const jitter = (row) => ((row * 0.618034) % 1) - 0.5;
