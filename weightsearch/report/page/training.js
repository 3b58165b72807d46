// What happened in training: metrics over epochs, and paths of weights.

// Of arrays that are written one after another: the first place of each and that after it.
function pieces(counts) {
  let at = 0;
  return counts.map((n) => [at, (at += n)]);
}

function curvesCard() {
  const { curves } = payload;
  const epochs = numbers(curves.epochs), parts = pieces(curves.counts);
  const all = curves.metrics.map((one) => ({ ...one, values: numbers(one.values) }));
  const last = epochs.reduce((most, epoch) => Math.max(most, epoch), 1);
  const ticks = linearTicks(0, last).filter(([, text]) => Number.isInteger(Number(text)));
  let wanted = all[0];
  const [label] = chooser("Metric", all.map((one, k) => [k, one.name]), 0, (k) => { wanted = all[Number(k)]; plot.refresh(); });
  const plot = linesCard("training", "How did training go?",
    "A line is a candidate, with what its framework recorded after each epoch; the best one is drawn bold.",
    () => {
      const lines = curves.candidates.map((candidate, k) => {
        const line = [];
        for (let i = parts[k][0]; i < parts[k][1]; i++) {
          const value = wanted.values[i];
          if (Number.isFinite(value)) line.push([epochs[i] / last, value, rowOf.get(candidate), epochs[i]]);
        }
        return line;
      });
      return {
        title: "epoch", x: { ticks }, lines: lines.filter((line) => line.length),
        values: { short: tail(wanted.name, 40), name: wanted.name },
        say: ([, value, , epoch]) => `epoch ${epoch}: ${shown(value, 4)}`,
      };
    }, [label]);
}

function dot(a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}
// The plane in which paths vary the most, as weightsearch.compare.path_components has it:
// the directions are found by power iteration.
function planeOf(paths) {
  const first = paths[0], end = first[first.length - 1];
  const points = [...first.slice(0, -1), ...paths.slice(1).flat()];
  const mean = end.map((_, k) => points.reduce((sum, point) => sum + point[k], 0) / points.length);
  const centred = points.map((point) => point.map((value, k) => value - mean[k]));
  const total = centred.reduce((sum, row) => sum + dot(row, row), 0);
  const axes = [], shares = [];
  const rest = (vector) => axes.reduce((left, axis) => {
    const along = dot(left, axis);
    return left.map((value, k) => value - along * axis[k]);
  }, vector);
  for (let n = 0; n < 2; n++) {
    // The longest row is not orthogonal to all directions that matter.
    let axis = centred.map(rest).reduce((long, row) => (dot(row, row) > dot(long, long) ? row : long)), found = 0;
    for (let step = 0; step < 500; step++) {
      const size = Math.sqrt(dot(axis, axis));
      if (!(size > 1e-12 * Math.sqrt(total))) { axis = new Float64Array(axis.length); break; }
      axis = axis.map((value) => value / size);
      const next = new Float64Array(axis.length);
      let along = 0;
      for (const row of centred) {
        const at = dot(row, axis);
        along += at * at;
        for (let k = 0; k < next.length; k++) next[k] += at * row[k];
      }
      if (Math.abs(along - found) <= 1e-10 * total) { found = along; break; }
      found = along;
      axis = rest(next);
    }
    const start = dot(first[0], axis) - dot(end, axis);
    axes.push(start < 0 ? axis.map((value) => -value) : axis);
    shares.push(total ? found / total : 0);
  }
  return { shares, at: (point) => axes.map((axis) => dot(point, axis) - dot(end, axis)) };
}

function pathsCard() {
  const parts = payload.paths.map((part) => {
    const all = numbers(part.coordinates), epochs = numbers(part.epochs), n = part.dimensions;
    return {
      label: part.label, of: part.of,
      paths: pieces(part.counts).map(([from, to], k) => ({
        row: rowOf.get(part.candidates[k]), epochs: epochs.slice(from, to),
        points: Array.from({ length: to - from }, (_, i) => Float64Array.from(all.subarray((from + i) * n, (from + i + 1) * n))),
      })),
    };
  });
  let part = parts[0], isPair = false;
  const plot = new Plot({
    label: "Paths of the weights in training", height: (w) => Math.min(480, w),
    draw: (context, w, h) => {
      const own = part.paths.filter(({ row }) => !isPair || state.pair.includes(row));
      const kept = own.filter(({ row }) => isPair || state.kept[row]);
      const left = part.of > part.paths.length ? ` The best ${part.paths.length} of ${part.of} candidates are drawn.` : "";
      if (kept.reduce((sum, path) => sum + path.points.length, 0) < 4) {
        hint.textContent = (isPair ? "Select one or two of the candidates that are drawn here." : "The filter keeps none of the candidates that are drawn here.") + left;
        return null;
      }
      const plane = planeOf(kept.map((path) => path.points));
      const places = own.map((path) => path.points.map(plane.at));
      const ends = own.flatMap((path, k) => (kept.includes(path) ? places[k] : []));
      const [minX, maxX, minY, maxY] = [0, 1].flatMap((axis) => [Math.min, Math.max].map((end) => end(...ends.map((at) => at[axis]))));
      // One unit for both directions, so that lengths can be compared.
      const unit = Math.max((maxX - minX) / (w - 60), (maxY - minY) / (h - 60)) || 1;
      const px = ([x]) => w / 2 + (x - (minX + maxX) / 2) / unit;
      const py = ([, y]) => h / 2 - (y - (minY + maxY) / 2) / unit;
      context.strokeStyle = theme().line;
      context.strokeRect(0.5, 0.5, w - 1, h - 1);
      const colour = colouring(state.colour), rowsOf = [], xs = [], ys = [], says = [], paths = [], rings = [];
      own.forEach(({ row, epochs }, k) => {
        const path = places[k].map((at) => [px(at), py(at)]);
        const isKept = kept.includes(own[k]), [first, last] = [path[0], path[path.length - 1]];
        paths.push([[row], path]);
        context.strokeStyle = context.fillStyle = isKept ? colour.at(row) : theme().faint;
        context.globalAlpha = isKept ? 0.85 : 0.35;
        context.lineWidth = 1.4;
        context.beginPath();
        for (const [x, y] of path) context.lineTo(x, y);
        context.stroke();
        for (const [x, y] of path) context.fillRect(x - 1.5, y - 1.5, 3, 3);
        context.fillRect(last[0] - 4, last[1] - 4, 8, 8);
        context.beginPath();
        context.arc(...first, 4, 0, 7);
        context.stroke();
        path.forEach(([x, y], i) => {
          rowsOf.push(row);
          xs.push(x);
          ys.push(y);
          says.push(epochs[i]);
        });
        rings.push(rowsOf.length - 1);
      });
      context.globalAlpha = 1;
      const [across, up] = plane.shares.map((share) => `${(100 * share).toFixed(0)} %`);
      hint.textContent = `The path of all weights from the circle, where training began, to the square. Principal components of ${isPair ? "the selected candidates" : "all that are kept"}: ${across} of the variance across, ${up} up.${kept.length > 2 ? "" : " Two components explain most of almost any smooth path."}${left}`;
      return { rows: rowsOf, x: xs, y: ys, rings, paths, say: (i) => `epoch ${says[i]}` };
    },
    over: (context, marks) => boldPaths(context, marks, []),
  });
  const controls = [chooser("Plane", [["all", "of all that are kept"], ["pair", "of A and B"]], "all", (value) => { isPair = value === "pair"; plot.refresh(); })[0]];
  if (parts.length > 1) controls.unshift(chooser("Architecture", parts.map((one, k) => [k, one.label]), 0, (k) => { part = parts[Number(k)]; plot.refresh(); })[0]);
  const hint = card("training", { question: "Which paths did the weights take?", controls, plot, about: "" });
  on("pair", () => { if (isPair) plot.refresh(); });
}
