// The plots, each under the question that it answers.

function card(section, { question, about, controls = [], wide, plot }) {
  const hint = element("p", about, { class: "hint" });
  const node = element("section", [
    element("h3", question), ...(controls.length ? [element("div", controls, { class: "controls" })] : []),
    plot.node, hint,
  ], { class: wide ? "card wide" : "card" });
  byId(section).append(node);
  return hint;
}
const metricName = () => state.metric.short;

// -- which params matter ----------------------------------------------------------

const importance = () => payload.importance[state.metric?.name] ?? null;
// Params from the most important one for the score that the search refits by.
const ranked = () => {
  const found = importance()?.rows.filter((one) => one.names.length === 1).map((one) => byName.get(one.names[0])) ?? [];
  return [...new Set([...found, ...varied])].filter((column) => varied.includes(column));
};

function importanceCard() {
  const list = element("div", null, { class: "bars" }), hint = element("p", "", { class: "hint" });
  const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`);
  const draw = () => {
    const found = importance();
    if (!found) return list.replaceChildren(element("p", "Nothing explains this score."));
    list.replaceChildren(...found.rows.map(({ names, short, share, std, chance, note }) => {
      const bar = element("i", null, { class: names.length > 1 ? "bar pair" : "bar" });
      bar.style.width = `${100 * Math.max(0, Math.min(1, share ?? 0))}%`;
      const text = std === null ? percent(share) : `${percent(share)} ± ${percent(std)}`;
      const about = [text, chance === null ? "" : `by chance: ${percent(chance)}`, note].filter(Boolean).join("; ");
      return element("div", [
        named("b", short.map((name) => tail(name, 24)).join(" and "), names.join(" and ")),
        element("span", [bar], { class: "track" }), element("span", text, { class: "value" }),
        ...(note ? [element("small", note)] : []),
      ], { class: "bargroup", title: about });
    }));
    const isPaired = found.rows.some((one) => one.names.length > 1);
    hint.textContent = [`${found.method} The share of the variance between candidates that each param explains alone`,
      isPaired ? ", and what pairs of them explain beyond that." : ".", found.note ? ` Take care: ${found.note}.` : ""].join("");
  };
  byId("params").append(element("section", [element("h3", "How much of the score does each param explain?"), list, hint], { class: "card" }));
  on("view", draw);
  draw();
}

// The score over one scale, with the spread between splits where there is room for it.
function scorePlot(context, w, h, column) {
  const x = scaleOf(column), y = scaleOf(state.metric), own = rows;
  x.gutter = own.some((row) => !x.isFinite(row));
  y.gutter = own.some((row) => !y.isFinite(row));
  const area = frame(context, w, h, x, y, {
    x: tail(column.short, 60), wholeX: column.name, y: metricName(), wholeY: state.metric.name,
  });
  const step = x.steps ? area.w / x.steps.length : 0;
  const at = (row) => [
    x.isFinite(row) ? area.px(x.at(row)) + (x.steps ? jitter(row) * Math.min(step * 0.5, 60) : 0) : area.noneX,
    y.isFinite(row) ? area.py(y.at(row)) : area.noneY,
  ];
  const places = own.map(at);
  const spread = spreadOf(state.metric), shares = numberScale(settled(state.metric.values), true);
  if (spread && own.length <= 120 && column.role === "param") {
    const colour = colouring(state.colour);
    context.lineWidth = 1;
    own.forEach((row, i) => {
      if (!state.kept[row] || !Number.isFinite(spread.values[row]) || !y.isFinite(row)) return;
      context.strokeStyle = colour.at(row);
      context.globalAlpha = 0.35;
      context.beginPath();
      for (const side of [-1, 1]) {
        const end = area.py(shares.share(state.metric.values[row] + side * spread.values[row]));
        if (side < 0) context.moveTo(places[i][0], end);
        else context.lineTo(places[i][0], end);
      }
      context.stroke();
    });
    context.globalAlpha = 1;
  }
  if (x.steps && x.steps.length <= 40) {
    context.strokeStyle = theme().text;
    context.lineWidth = 2;
    x.steps.forEach((kind, k) => {
      const scores = ascending(own.filter((row) => state.kept[row] && y.isFinite(row) && kindAt(column, row) === kind).map((row) => y.at(row)));
      if (!scores.length) return;
      const middle = area.px((k + 0.5) / x.steps.length), level = area.py(quantile(scores, 0.5));
      context.beginPath();
      context.moveTo(middle - Math.min(step * 0.36, 40), level);
      context.lineTo(middle + Math.min(step * 0.36, 40), level);
      context.stroke();
    });
  }
  points(context, own, places.map((p) => p[0]), places.map((p) => p[1]), (row) => y.isBeyond(row) || x.isBeyond(row));
  return { rows: own, x: places.map((p) => p[0]), y: places.map((p) => p[1]), zones: area.zones };
}

function paramCards() {
  const drawn = ranked().slice(0, 12);
  const grid = element("div", null, { class: "multiples" });
  for (const column of drawn) {
    const plot = new Plot({
      label: `Score against ${column.name}`, height: 250,
      draw: (context, w, h) => scorePlot(context, w, h, column),
    });
    grid.append(plot.node);
  }
  const spread = candidates.length <= 120 ? " thin lines are ± one standard deviation between splits," : "";
  byId("params").append(element("section", [
    element("h3", "How does the score change with each param?"), grid,
    element("p", `A point is a candidate;${spread} a bar is the median of a value.` +
      (varied.length > drawn.length ? ` ${varied.length - drawn.length} more params are not drawn.` : ""), { class: "hint" }),
  ], { class: "card wide" }));
}

// Values of a param as steps; many numbers become ten bins of equal counts.
function steps(column) {
  const all = kindsOf(column);
  if (isStepped(column) && all.length <= 30) {
    const index = new Map(all.map((kind, k) => [kind, k]));
    return { labels: all, of: (row) => index.get(kindAt(column, row)) };
  }
  if (column.kind === "text") {
    const index = new Map(all.map((kind, k) => [kind, Math.min(k, 29)]));
    return { labels: [...all.slice(0, 29), "others"], of: (row) => index.get(kindAt(column, row)) };
  }
  const sorted = ascending(finite(column.values));
  const edges = [...new Set(Array.from({ length: 9 }, (_, k) => quantile(sorted, (k + 1) / 10)))];
  const bounds = [sorted[0], ...edges, sorted[sorted.length - 1]];
  return {
    labels: bounds.slice(1).map((end, k) => `${shown(bounds[k], 2)} – ${shown(end, 2)}`),
    of: (row) => Number.isNaN(column.values[row]) ? -1 : edges.filter((edge) => column.values[row] > edge).length,
  };
}

function heatCard() {
  let [first, second] = ranked(), how = "best";
  const plot = new Plot({
    label: "Score by two params",
    height: (w) => Math.min(460, Math.max(260, w * 0.62)),
    draw: (context, w, h) => {
      const a = steps(first), b = steps(second), cells = new Map();
      for (const row of rows) {
        const value = state.metric.values[row];
        if (!state.kept[row]) continue;
        const key = a.of(row) + a.labels.length * b.of(row);
        if (a.of(row) < 0 || b.of(row) < 0) continue;
        if (!cells.has(key)) cells.set(key, []);
        if (Number.isFinite(value)) cells.get(key).push(row);
      }
      const value = (own) => !own.length ? NaN : how === "best"
        ? Math.max(...own.map((row) => state.metric.values[row]))
        : own.reduce((sum, row) => sum + state.metric.values[row], 0) / own.length;
      const lasting = [...cells.values()].filter((own) => own.some((row) => !asideRows.has(row)));
      const scale = numberScale(lasting.map(value), true);
      const asScale = (one) => ({ steps: one.labels, ticks: one.labels.map((text, k) => [(k + 0.5) / one.labels.length, text]) });
      const area = frame(context, w, h, asScale(a), asScale(b), { x: tail(first.short, 60), wholeX: first.name, y: tail(second.short, 40), wholeY: second.name });
      const [cw, ch] = [area.w / a.labels.length, area.h / b.labels.length];
      const own = [], xs = [], ys = [], zones = area.zones;
      context.textAlign = "center";
      for (const [key, members] of cells) {
        const i = key % a.labels.length, j = Math.floor(key / a.labels.length), v = value(members);
        const x = area.l + i * cw, y = area.t + area.h - (j + 1) * ch;
        const rgb = Number.isFinite(v) ? viridis(scale.share(v)) : null;
        context.fillStyle = rgb ? css(rgb) : theme().line;
        context.fillRect(x + 0.5, y + 0.5, cw - 1, ch - 1);
        if (cw > 38 && ch > 15) {
          context.fillStyle = rgb ? (0.3 * rgb[0] + 0.6 * rgb[1] + 0.1 * rgb[2] > 125 ? "#000000" : "#ffffff") : theme().text;
          context.fillText(Number.isFinite(v) ? shown(v, 3) : "none", x + cw / 2, y + ch / 2);
        }
        zones.push({ x, y, w: cw, h: ch, lines: [`${first.short}: ${a.labels[i]}`, `${second.short}: ${b.labels[j]}`, `${how} ${metricName()}: ${shown(v, 4)}`, counted(members.length, "candidate")] });
        if (!members.length) continue;
        own.push(members.reduce((m, row) => (state.metric.values[row] > state.metric.values[m] ? row : m)));
        xs.push(x + cw / 2);
        ys.push(y + ch / 2);
      }
      return { rows: own, x: xs, y: ys, zones };
    },
  });
  const entries = entriesOf(varied);
  const [labelX] = chooser("Across", entries, first.name, (name) => { first = byName.get(name); plot.refresh(); });
  const [labelY] = chooser("Up", entries, second.name, (name) => { second = byName.get(name); plot.refresh(); });
  const [labelHow] = chooser("Cell", [["best", "best score"], ["mean", "mean score"]], how, (value) => { how = value; plot.refresh(); });
  card("params", {
    question: "How do two params work together?", controls: [labelX, labelY, labelHow], plot,
    about: "A cell is the best or the mean score of the candidates with its two values. Click a cell to select its best candidate.",
  });
}

function parallelCard() {
  const times = byRole("other").filter((column) => /^mean_(fit|score)_time$/.test(column.name));
  const norms = weightNames.filter((one) => one.main).slice(0, 20).map((one) => statisticColumn(one.name, "l2"));
  const possible = [...varied, ...times, ...norms, ...metrics];
  const initial = new Set([...ranked().slice(0, 6), ...times.slice(0, 1), ...norms.slice(0, 1)]);
  let layout = null;
  // Narrow windows scroll sideways rather than draw names on each other.
  const widen = () => { plot.node.style.minWidth = `${90 * axes().length}px`; };
  const axes = () => [...possible.filter((column) => initial.has(column) && column !== state.metric), state.metric];
  const plot = new Plot({
    label: "Candidates as lines over params, times, weights and the score",
    height: (w) => (w < 600 ? 380 : 420),
    draw: (context, w, h) => {
      const shownAxes = axes(), n = shownAxes.length;
      const colour = colouring(state.colour ?? state.metric);
      const scales = shownAxes.map(scaleOf), zones = [];
      const [t, b, side] = [44, h - 26, Math.min(60, w * 0.12)];
      const x = (k) => (n > 1 ? side + (k * (w - 2 * side)) / (n - 1) : w / 2);
      const y = (share) => b - share * (b - t);
      const at = (k, row) => (scales[k].isFinite(row) ? y(scales[k].at(row)) : b + 14);
      layout = { shownAxes, scales, x, t, b, w };
      context.lineWidth = candidates.length > 1000 ? 0.6 : 1.2;
      const places = shownAxes.map((_, k) => Float64Array.from(rows, (row) => at(k, row)));
      // The best on top.
      for (const pass of [0, 1]) {
        for (let row = rows.length - 1; row >= 0; row--) {
          if (state.kept[row] !== pass || (!pass && rows.length > 3000 && row % 4)) continue;
          context.strokeStyle = pass ? colour.at(row) : theme().faint;
          context.globalAlpha = pass ? Math.max(0.12, Math.min(0.75, 150 / state.nKept)) : 0.12;
          context.setLineDash(asideRows.has(row) ? [4, 4] : []);
          context.beginPath();
          for (let k = 0; k < n; k++) context.lineTo(x(k), places[k][row]);
          context.stroke();
        }
      }
      context.setLineDash([]);
      context.globalAlpha = 1;
      const own = [], xs = [], ys = [];
      shownAxes.forEach((column, k) => {
        context.strokeStyle = theme().text;
        context.lineWidth = 1;
        context.beginPath();
        context.moveTo(x(k), t);
        context.lineTo(x(k), b);
        context.stroke();
        context.fillStyle = theme().text;
        const room = (w - 2 * side) / Math.max(1, n - 1) - 4;
        context.textAlign = k === 0 ? "left" : k === n - 1 ? "right" : "center";
        const from = k === 0 ? 4 : k === n - 1 ? w - 4 : x(k);
        context.fillText(fitted(context, column.short, room), from, k % 2 && room < 90 ? 26 : 12);
        zones.push({ x: x(k) - room / 2, y: 0, w: room, h: 34, lines: [column.name] });
        let last = Infinity;
        for (const [share, text] of scales[k].ticks) {
          const level = y(share);
          if (last - level < 13) continue;
          last = level;
          const short = fitted(context, head(text, 24), Math.min(room * 0.6, 110), head);
          const right = k === n - 1;
          const wide = context.measureText(short).width;
          context.textAlign = right ? "right" : "left";
          context.globalAlpha = 0.75;
          context.fillStyle = theme().ground;
          context.fillRect(right ? x(k) - wide - 8 : x(k) + 3, level - 7, wide + 5, 14);
          context.globalAlpha = 1;
          context.fillStyle = theme().text;
          context.fillText(short, x(k) + (right ? -6 : 6), level);
        }
        const range = state.filters.get(column);
        if (range) {
          const ends = range.map((value) => y(shareOf(column, scales[k], value)));
          const top = Math.max(t - 6, Math.min(...ends) - 4), foot = Math.min(b + 6, Math.max(...ends) + 4);
          context.globalAlpha = 0.3;
          context.fillStyle = theme().mark;
          context.fillRect(x(k) - 7, top, 14, foot - top);
          context.globalAlpha = 1;
          context.strokeStyle = theme().mark;
          context.strokeRect(x(k) - 7, top, 14, foot - top);
        }
        for (const row of rows) {
          if (!state.kept[row]) continue;
          own.push(row);
          xs.push(x(k));
          ys.push(places[k][row]);
        }
      });
      return { rows: own, x: xs, y: ys, zones, places };
    },
    over: (context, marks) => {
      if (!layout || !marks.places) return;
      const { a, b, text } = theme();
      for (const [row, colour] of [[state.pair[0], a], [state.pair[1], b], [state.hover, text]]) {
        if (row === null) continue;
        context.strokeStyle = colour;
        context.lineWidth = 2.5;
        context.beginPath();
        marks.places.forEach((place, k) => context.lineTo(layout.x(k), place[row]));
        context.stroke();
      }
    },
    click: () => justDragged,
    drag: {
      start: (px, py) => {
        const k = layout.shownAxes.findIndex((_, i) => Math.abs(layout.x(i) - px) < 16);
        justDragged = false;
        return k >= 0 && py > layout.t - 8 ? { k, from: py } : null;
      },
      move: (was, px, py) => {
        if (Math.abs(py - was.from) < 4) return false;
        justDragged = true;
        was.to = py;
        return true;
      },
      end: (was, px, py) => {
        const column = layout.shownAxes[was.k];
        if (!justDragged) return;
        const share = (level) => (layout.b - level) / (layout.b - layout.t);
        const [low, high] = [share(was.from), share(py)].sort((p, q) => p - q);
        setFilter(column, rangeBetween(column, layout.scales[was.k], low, high));
      },
    },
  });
  let justDragged = false;
  widen();
  const boxes = possible.filter((column) => !metrics.includes(column)).map((column) => {
    const box = element("input", null, { type: "checkbox" });
    box.checked = initial.has(column);
    box.addEventListener("change", () => {
      if (box.checked) initial.add(column);
      else initial.delete(column);
      widen();
      plot.refresh();
    });
    return element("label", [box, named("span", tail(column.short, 34), column.name)], { class: "tick" });
  });
  const menu = element("details", [element("summary", "Axes"), element("div", boxes, { class: "ticks" })], { class: "menu" });
  card("params", {
    question: "What do the good candidates have in common?", wide: true, controls: [menu],
    plot: { node: element("div", [plot.node], { class: "frame" }) },
    about: "A line is a candidate. Drag along an axis to keep a range; all plots and the table follow. The filter above does the same by keyboard.",
  });
}
const shareOf = (column, scale, value) =>
  scale.steps ? (value + 0.5) / scale.steps.length : Number.isFinite(value) ? scale.share(value) : value > 0 ? 1 : 0;
// The values between two shares of an axis; an end of the axis includes what is beyond it.
function rangeBetween(column, scale, low, high) {
  if (scale.steps) {
    const n = scale.steps.length;
    const range = [Math.ceil(low * n - 0.5), Math.floor(high * n - 0.5)];
    return range[0] <= range[1] ? range : [Math.round(low * n - 0.5), Math.round(low * n - 0.5)];
  }
  const value = (share) => {
    const at = scale.low + share * (scale.high - scale.low);
    return scale.isLog ? 10 ** at : at;
  };
  return [low <= 0.005 ? -Infinity : value(low), high >= 0.995 ? Infinity : value(high)];
}

// -- how sure the scores are ------------------------------------------------------

// The paths of some candidates in bold, above a plot whose marks have `paths`.
function boldPaths(context, { paths = [] }, wanted) {
  const { a, b, text } = theme();
  for (const [row, colour] of [...wanted, [state.pair[0], a], [state.pair[1], b], [state.hover, text]]) {
    const found = row === null ? null : paths.find(([own]) => own.includes(row));
    if (!found) continue;
    context.strokeStyle = colour;
    context.lineWidth = 2.5;
    context.beginPath();
    for (const [x, y] of found[1]) context.lineTo(x, y);
    context.stroke();
  }
}
// Lines through points of [share of x, value, row], of the metric or of `values`; `say` tells
// what is said of a point.
function linesCard(section, question, about, series, controls = []) {
  const plot = new Plot({
    label: question, height: 340,
    draw: (context, w, h) => {
      const { x, title, values = { short: metricName(), name: state.metric.name, isScore: true }, lines, say } = series();
      const lasting = lines.filter((line) => line.some(([, , row]) => !asideRows.has(row)));
      const valuesOf = (some) => some.flatMap((line) => line.map(([, value]) => value));
      const y = numberScale(valuesOf(lasting.length ? lasting : lines), values.isScore);
      y.gutter = valuesOf(lines).some((value) => !Number.isFinite(value));
      const area = frame(context, w, h, x, y, { x: title, y: values.short, wholeY: values.name });
      const colour = colouring(state.colour), own = [], xs = [], ys = [], paths = [], ends = [];
      const every = lines.flat();
      for (const line of lines) {
        const path = line.map(([share, value, row]) => {
          const px = area.px(share);
          const py = Number.isFinite(value) ? area.py(y.share(value)) : area.noneY;
          own.push(row);
          xs.push(px);
          ys.push(py);
          return [px, py];
        });
        paths.push([line.map((point) => point[2]), path]);
        ends.push(own.length - 1);
        const row = line[line.length - 1][2], kept = state.kept[row];
        context.strokeStyle = kept ? colour.at(row) : theme().faint;
        context.globalAlpha = kept ? Math.max(0.06, Math.min(0.7, 60 / lines.length)) : 0.15;
        context.lineWidth = 1.2;
        context.beginPath();
        for (const [px, py] of path) context.lineTo(px, py);
        context.stroke();
        if (x.steps) for (const [px, py] of path) context.fillRect(px - 1.5, py - 1.5, 3, 3);
      }
      context.globalAlpha = 1;
      return {
        rows: own, x: xs, y: ys, zones: area.zones, paths,
        rings: x.steps ? undefined : ends, say: say && ((i) => say(every[i])),
      };
    },
    over: (context, marks) => boldPaths(context, marks, [[bestRow, theme().text]]),
  });
  card(section, { question, about, controls, plot });
  return plot;
}
const stepsOf = (labels) => ({ steps: labels, ticks: labels.map((text, k) => [(k + 0.5) / labels.length, text]) });

const splitColumns = () => {
  const metric = state.metric.name.replace(/^mean_/, "");
  return columns.filter((column) => column.role === "split" && column.name.replace(/^split\d+_/, "") === metric);
};
function splitsCard() {
  linesCard("certainty", "How much does the score depend on the split?",
    "A line is a candidate over the splits; the best one is drawn bold. Parallel lines: the splits differ in difficulty, the order of candidates is sure. Crossing lines: it is not.",
    () => {
      const own = splitColumns();
      return {
        title: "split", x: stepsOf(own.map((_, k) => String(k))),
        lines: rows.slice(0, 2000).map((row) => own.map((column, k) => [(k + 0.5) / own.length, column.values[row], row])),
      };
    });
}
function iterationsCard() {
  const iteration = byName.get("iter"), resources = byName.get("n_resources");
  const all = kindsOf(iteration);
  linesCard("certainty", "Who survived the iterations?",
    "A line is one combination of params, which a halving search scores again with more resources while it is among the best.",
    () => {
      const lines = new Map();
      const own = varied.filter((column) => column.name !== "n_resources");
      for (const row of [...rows].sort((a, b) => iteration.values[a] - iteration.values[b])) {
        const key = JSON.stringify(own.map((column) => kindAt(column, row)));
        if (!lines.has(key)) lines.set(key, []);
        lines.get(key).push([(all.indexOf(kindAt(iteration, row)) + 0.5) / all.length, state.metric.values[row], row]);
      }
      const amount = (kind) => rows.find((row) => kindAt(iteration, row) === kind);
      return {
        title: resources ? "iteration (resources)" : "iteration",
        x: stepsOf(all.map((kind) => resources ? `${kind} (${shown(resources.values[amount(kind)])})` : kind)),
        lines: [...lines.values()],
      };
    });
}
function againstCard() {
  const times = byRole("other").filter((column) => column.kind === "number" && column.name !== "iter");
  const possible = [...times.filter((c) => !/^std_/.test(c.name)), ...metrics.slice(1), ...metrics.slice(0, 1), ...times.filter((c) => /^std_/.test(c.name))];
  if (possible.length < 2) return;
  let column = possible[0];
  const plot = new Plot({ label: "Score against another column", height: 340, draw: (context, w, h) => scorePlot(context, w, h, column) });
  const [label] = chooser("Against", entriesOf(possible), column.name, (name) => { column = byName.get(name); plot.refresh(); });
  card("certainty", {
    question: "What comes with a good score?", controls: [label], plot,
    about: "The score against times in seconds, spreads or other metrics.",
  });
}

// -- what was learned -------------------------------------------------------------

const statisticEntries = payload.statistics.map((name) => [name, STATISTIC_NAMES[name] ?? name]);
const weightEntries = weightNames.map(({ name, short }) => [name, short, name]);

function statisticCard() {
  let [name, wanted] = [weightNames[0].name, "l2"];
  const plot = new Plot({
    label: "Score against a statistic of a weight", height: 340,
    draw: (context, w, h) => {
      const column = statisticColumn(name, wanted);
      const isNone = !column.values.some(Number.isFinite);
      hint.textContent = isNone ? `No candidate has a ${STATISTIC_NAMES[wanted] ?? wanted} here: it is defined for matrices and finite numbers.` : about;
      return scorePlot(context, w, h, column);
    },
  });
  const about = "Crosses are candidates that diverged; what has no value lies beside the axes.";
  const [labelName] = chooser("Weight", weightEntries, name, (value) => { name = value; plot.refresh(); });
  const [labelStatistic] = chooser("Statistic", statisticEntries, wanted, (value) => { wanted = value; plot.refresh(); });
  const hint = card("learned", { question: "Which weights go with a good score?", controls: [labelName, labelStatistic], plot, about });
}

function distributionCard() {
  let wanted = "l2", all = false;
  const plot = new Plot({
    label: "A statistic of every weight", height: 380,
    draw: (context, w, h) => {
      const own = weightNames.filter((one) => all || one.main).slice(0, 40);
      const drawn = own.map(({ name }) => statisticColumn(name, wanted));
      const y = numberScale(drawn.flatMap((column) => settled(column.values)));
      const x = { steps: own, ticks: own.map((one, k) => [(k + 0.5) / own.length, tail(one.short, 26)]) };
      const area = frame(context, w, h, x, y, { y: STATISTIC_NAMES[wanted] ?? wanted });
      own.forEach((one, k) => area.zones.push({ x: area.l + (k * area.w) / own.length, y: area.t + area.h, w: area.w / own.length, h: 80, lines: [one.name] }));
      const rowsOf = [], xs = [], ys = [], step = area.w / own.length;
      drawn.forEach((column, k) => {
        const middle = area.px((k + 0.5) / own.length);
        const inner = ascending(rows.filter((row) => state.kept[row] && Number.isFinite(column.values[row])).map((row) => y.share(column.values[row])));
        if (inner.length > 3) {
          const [q1, q2, q3] = [0.25, 0.5, 0.75].map((share) => area.py(quantile(inner, share)));
          context.fillStyle = theme().line;
          context.globalAlpha = 0.5;
          context.fillRect(middle - step * 0.35, q3, step * 0.7, Math.max(1, q1 - q3));
          context.globalAlpha = 1;
          context.fillStyle = theme().text;
          context.fillRect(middle - step * 0.35, q2 - 1, step * 0.7, 2);
        }
        for (const row of rows) {
          if (!Number.isFinite(column.values[row])) continue;
          rowsOf.push(row);
          xs.push(middle + jitter(row) * step * 0.5);
          ys.push(area.py(y.share(column.values[row])));
        }
      });
      points(context, rowsOf, xs, ys);
      return { rows: rowsOf, x: xs, y: ys, zones: area.zones };
    },
  });
  const [label] = chooser("Statistic", statisticEntries, wanted, (value) => { wanted = value; plot.refresh(); });
  const controls = [label];
  if (weightNames.some((one) => !one.main)) {
    controls.push(chooser("Weights", [["", "of the final estimator"], ["all", "of all steps"]], "", (value) => { all = Boolean(value); plot.refresh(); })[0]);
  }
  const left = weightNames.length > 40 ? " At most 40 weights are drawn." : "";
  card("learned", {
    question: "Which candidates have unusual weights?", controls, plot, wide: weightNames.filter((one) => one.main).length > 8,
    about: `A point is a candidate, a box holds half of them.${left}`,
  });
}

function mapCards() {
  const entries = maps.map((map, i) => [i, map.label]);
  let map = maps[0], drawn = maps[0], order = "cluster";
  const plot = new Plot({
    label: "Map of the candidates", height: (w) => Math.min(480, w),
    draw: (context, w, h) => {
      const own = map.candidates.map((candidate) => rowOf.get(candidate));
      // One unit for both directions, so that distances are those of the weights.
      const [minX, maxX, minY, maxY] = [Math.min(...map.x), Math.max(...map.x), Math.min(...map.y), Math.max(...map.y)];
      const unit = Math.max((maxX - minX) / (w - 60), (maxY - minY) / (h - 60)) || 1;
      const x = Array.from(map.x, (v) => w / 2 + (v - (minX + maxX) / 2) / unit);
      const y = Array.from(map.y, (v) => h / 2 - (v - (minY + maxY) / 2) / unit);
      context.strokeStyle = theme().line;
      context.strokeRect(0.5, 0.5, w - 1, h - 1);
      points(context, own, x, y);
      hint.textContent = `Candidates with similar weights are close. The plane shows ${(100 * map.explained).toFixed(0)} % of the squared distances (classical scaling, Torgerson 1952).`;
      return { rows: own, x, y };
    },
  });
  const controlsOf = (set) => maps.length > 1 ? [chooser("Architecture", entries, 0, (i) => set(maps[Number(i)]))[0]] : [];
  const hint = card("learned", {
    question: "Which candidates learned the same?", plot, about: "", controls: controlsOf((one) => { map = one; plot.refresh(); }),
  });
  const matrix = new Plot({
    label: "Distances between candidates", height: (w) => Math.min(480, w),
    draw: (context, w, h) => {
      const positions = drawn.candidates.map((_, i) => i);
      if (order === "rank") positions.sort((i, j) => rowOf.get(drawn.candidates[i]) - rowOf.get(drawn.candidates[j]));
      const places = order === "cluster" ? drawn.order : positions;
      const n = places.length, size = Math.min(w, h) - 8, cell = size / n;
      const left = (w - size) / 2, top = 4;
      const values = places.flatMap((i) => places.map((j) => triangleValue(drawn.distances, drawn.levels, i, j, n)));
      const scale = numberScale(values.filter((value) => value > 0), true);
      const high = Math.max(scale.high, 0);
      const image = new ImageData(n, n);
      values.forEach((value, k) => image.data.set([...(Number.isFinite(value) ? viridis(high ? value / high : 0) : [128, 128, 128]), 255], 4 * k));
      const small = new OffscreenCanvas(n, n);
      small.getContext("2d").putImageData(image, 0, 0);
      context.imageSmoothingEnabled = false;
      context.drawImage(small, left, top, size, size);
      const own = places.map((i) => rowOf.get(drawn.candidates[i]));
      const at = (x, y) => [Math.floor((x - left) / cell), Math.floor((y - top) / cell)];
      return {
        rows: own, x: own.map((_, k) => left + (k + 0.5) * cell), y: own.map((_, k) => top + (k + 0.5) * cell),
        own, at, values, n, left, top, size, cell,
        rowAt: (x, y) => own[at(x, y)[1]] ?? null,
      };
    },
    over: (context, { own, left, top, size, cell }) => {
      const at = (row) => (own ? own.indexOf(row) : -1);
      const line = (k, isRow, dash) => {
        if (k < 0) return;
        context.strokeStyle = "#ffffff";
        context.lineWidth = 1.5;
        context.setLineDash(dash);
        const middle = (k + 0.5) * cell;
        context.beginPath();
        if (isRow) { context.moveTo(left, top + middle); context.lineTo(left + size, top + middle); }
        else { context.moveTo(left + middle, top); context.lineTo(left + middle, top + size); }
        context.stroke();
        context.setLineDash([]);
      };
      line(at(state.pair[0]), true, []);
      line(at(state.pair[1]), false, [4, 3]);
    },
    click: (x, y, marks) => {
      const [i, j] = marks.at(x, y);
      if (i === j || !(i in marks.own) || !(j in marks.own)) return false;
      setPair(marks.own[j], marks.own[i]);
      return true;
    },
  });
  const [labelOrder] = chooser("Order", [["cluster", "by similarity"], ["rank", "by rank"], ["number", "by number"]], order, (value) => { order = value; matrix.refresh(); });
  card("learned", {
    question: "How far apart are any two?", plot: matrix, controls: [...controlsOf((one) => { drawn = one; matrix.refresh(); }), labelOrder],
    about: "Euclidean distances over all weights; dark is close. Click to compare two candidates: A is the solid row, B the dashed column.",
  });
}

function makePlots() {
  const isScored = state.metric !== null;
  if (isScored && varied.length) {
    if (importance()) importanceCard();
    if (varied.length > 1) heatCard();
    paramCards();
    parallelCard();
  }
  if (isScored) {
    if (byName.has("iter")) iterationsCard();
    if (splitColumns().length > 1) splitsCard();
    againstCard();
  }
  if (payload.curves) curvesCard();
  if (payload.paths.length) pathsCard();
  if (weightNames.length) {
    if (isScored) statisticCard();
    distributionCard();
    if (maps.length) mapCards();
  }
  for (const id of ["params", "certainty", "training", "learned"]) {
    const section = byId(id).closest("section.part");
    section.hidden = !byId(id).children.length;
    document.querySelector(`nav a[href="#${section.id}"]`).hidden = section.hidden;
  }
}
