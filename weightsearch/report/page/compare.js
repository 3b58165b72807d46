// Two candidates side by side: their params and scores, then one row per weight.

// The numbers of compare(a, b) for one weight that both have, at positions i and j.
function comparedWeight(weight, i, j) {
  const a = statistic(weight, i, "l2"), b = statistic(weight, j, "l2");
  const pairs = weight.pairs;
  if (!pairs.decoded && pairs.kind !== "none") {
    pairs.decoded = numbers(pairs.data);
  }
  const n = weight.candidates.length;
  const row = { a, b, distance: NaN, cosine: NaN, largest: NaN, signs: NaN, aligned: NaN };
  if (!weight.count) return row;
  row.aligned = alignedDistance(weight, weight.candidates[i], weight.candidates[j]);
  if (pairs.kind === "values") Object.assign(row, fromValues(pairs.decoded, weight.count, i, j));
  else if (i === j) row.distance = 0;
  else if (pairs.kind === "distances") row.distance = pairs.decoded[pairIndex(i, j, n)];
  else if (pairs.kind === "distances16") {
    row.distance = triangleValue(pairs, pairs.decoded, i, j, n);
    row.rounded = true;
  }
  const longer = Math.max(a, b);
  row.relative = longer ? row.distance / longer : row.distance;
  if (a && b && pairs.kind !== "values") {
    // |a - b|^2 = (|a| - |b|)^2 + 2 |a| |b| (1 - cosine), the form that cancels least.
    row.cosine = 1 - (row.distance ** 2 - (a - b) ** 2) / (2 * a * b);
  }
  if (row.distance === 0 && a && b) row.cosine = 1;
  row.cosine = Math.max(-1, Math.min(1, row.cosine));
  return row;
}

// The distance once hidden units are matched, where the report has it.
function alignedDistance({ name }, a, b) {
  const part = payload.aligned.find(({ candidates: own }) => own.includes(a) && own.includes(b));
  if (!part?.weights[name]) return NaN;
  part.decoded ??= new Map();
  if (!part.decoded.has(name)) part.decoded.set(name, numbers(part.weights[name]));
  const own = part.candidates;
  return a === b ? 0 : part.decoded.get(name)[pairIndex(own.indexOf(a), own.indexOf(b), own.length)];
}

function fromValues(values, count, i, j) {
  let squares = 0, product = 0, squaresA = 0, squaresB = 0, largest = 0, signs = 0, scale = 0;
  for (let k = 0; k < count; k++) {
    scale = Math.max(scale, Math.abs(values[i * count + k]), Math.abs(values[j * count + k]));
  }
  // Scaled, since squares of large numbers overflow.
  scale ||= 1;
  for (let k = 0; k < count; k++) {
    const a = values[i * count + k] / scale, b = values[j * count + k] / scale;
    const difference = a - b;
    squares += difference * difference;
    squaresA += a * a;
    squaresB += b * b;
    product += a * b;
    largest = Math.max(largest, Math.abs(difference));
    if (Math.sign(a) !== Math.sign(b)) signs++;
  }
  const lengths = Math.sqrt(squaresA) * Math.sqrt(squaresB);
  largest *= scale;
  return {
    distance: Math.sqrt(squares) * scale,
    cosine: lengths ? product / lengths : NaN,
    largest,
    signs: signs / count,
  };
}

const shape = (weight) => (weight.shape.length ? weight.shape.join(" × ") : "scalar");

// Rows of the comparison: the weights of a in order, then those that only b has; those of
// the final estimator first.
function comparisonRows(a, b) {
  const own = (candidate) => weights.filter((weight) => weight.position.has(candidate));
  const ofA = own(a), ofB = own(b);
  const named = (list, name) => list.find((weight) => weight.name === name);
  const all = [...ofA, ...ofB.filter((weight) => !named(ofA, weight.name))];
  const names = [true, false].flatMap((main) => all.filter((w) => w.main === main)).map((w) => w.name);
  return names.map((name) => {
    const first = named(ofA, name), second = named(ofB, name);
    if (first && first === second) {
      return { name, short: first.short, measured: first.measured, shapes: [shape(first), shape(first)],
        ...comparedWeight(first, first.position.get(a), first.position.get(b)) };
    }
    const length = (weight, candidate) =>
      weight ? statistic(weight, weight.position.get(candidate), "l2") : NaN;
    return {
      name, short: (first ?? second).short,
      shapes: [first ? shape(first) : "–", second ? shape(second) : "–"],
      a: length(first, a), b: length(second, b),
      alone: !first ? "only in B" : !second ? "only in A" : "other shape or type",
    };
  });
}

function makeComparison() {
  const choosers = ["a", "b"].map((side) => byId(`choose-${side}`));
  const rank = byRole("rank")[0];
  const entries = rows.map((row) => {
    const parts = [`${candidates[row]}`];
    if (rank && Number.isFinite(rank.values[row])) parts.push(`rank ${rank.values[row]}`);
    if (metrics[0] && Number.isFinite(metrics[0].values[row])) parts.push(shown(metrics[0].values[row], 4));
    return [row, parts.join(" · ")];
  });
  for (const chooser of choosers) {
    options(chooser, [["", "none"], ...entries]);
    chooser.addEventListener("change", () =>
      setPair(...choosers.map((one) => (one.value === "" ? null : Number(one.value)))));
  }
  byId("swap").addEventListener("click", () => setPair(...[...state.pair].reverse()));
  byId("clear").addEventListener("click", () => setPair(null, null));

  function update() {
    choosers.forEach((chooser, i) => { chooser.value = state.pair[i] === null ? "" : String(state.pair[i]); });
    const [a, b] = state.pair;
    const isComplete = a !== null && b !== null;
    byId("comparison").hidden = !isComplete;
    byId("compare-hint").textContent = isComplete
      ? `Candidate ${candidates[a]} compared with candidate ${candidates[b]}.`
      : a === null && b === null
        ? "Select two candidates here, tick them in the table, or click their points."
        : `Candidate ${candidates[a ?? b]} is selected; select another one.`;
    if (isComplete) {
      fillParams(a, b);
      fillWeights(candidates[a], candidates[b]);
    }
  }
  on("pair", update);
  update();
}

function heading(names) {
  return element("thead", [element("tr", names.map((name) => element("th", name, { scope: "col" })))]);
}

function fillParams(a, b) {
  const top = heading(["", `A: candidate ${candidates[a]}`, `B: candidate ${candidates[b]}`]);
  top.querySelectorAll("th")[1].classList.add("a");
  top.querySelectorAll("th")[2].classList.add("b");
  const shownColumns = [...byRole("rank", "score", "param", "status"), ...columns.filter((column) => column.role === "other" && /^(std_test_|mean_.*_time$)/.test(column.name))];
  const lines = shownColumns.map((column) => {
    const values = [a, b].map((row) => column.values[row]);
    const line = element("tr", [
      named("th", tail(column.short, 40), column.name, { scope: "row" }),
      ...values.map((value) => named("td", head(shown(value), 40), shown(value), { class: "text" })),
    ]);
    line.classList.toggle("differs", !Object.is(values[0], values[1]));
    return line;
  });
  byId("compare-params").replaceChildren(top, element("tbody", lines));
}

function fillWeights(a, b) {
  const found = comparisonRows(a, b);
  const isAligned = found.some((row) => Number.isFinite(row.aligned));
  const approximate = (row, value) =>
    row.rounded && Number.isFinite(value) ? `≈ ${shown(value, 4)}` : shown(value);
  const line = (row) => {
    const cells = row.alone
      ? [element("td", row.alone, { colspan: isAligned ? "6" : "5", class: "text" })]
      : [
          approximate(row, row.distance), approximate(row, row.relative),
          ...(isAligned ? [shown(row.aligned)] : []),
          approximate(row, row.cosine), shown(row.largest), shown(row.signs, 3),
        ].map((text) => element("td", text));
    const shapes = row.shapes[0] === row.shapes[1] ? row.shapes[0] : row.shapes.join(" | ");
    return element("tr", [
      named("th", tail(row.short, 40), row.name, { scope: "row" }), element("td", shapes),
      element("td", shown(row.a)), element("td", shown(row.b)), ...cells,
    ]);
  };
  const lines = found.map(line);
  const measured = found.filter((row) => row.alone || row.measured);
  if (measured.length > 1 && measured.every((row) => !row.alone && Number.isFinite(row.distance))) {
    const total = (key) => Math.hypot(...measured.map((row) => row[key]));
    const all = { name: "all", short: "all", shapes: ["", ""], a: total("a"), b: total("b"),
      distance: total("distance"), cosine: NaN, largest: NaN, signs: NaN,
      aligned: isAligned ? total("aligned") : NaN, rounded: measured.some((row) => row.rounded) };
    const longer = Math.max(all.a, all.b);
    all.relative = longer ? all.distance / longer : 0;
    if (all.a && all.b) {
      all.cosine = 1 - (all.distance ** 2 - (all.a - all.b) ** 2) / (2 * all.a * all.b);
    }
    const last = line(all);
    last.classList.add("total");
    lines.push(last);
  }
  const top = heading(["weight", "shape", "norm of A", "norm of B", "distance", "relative",
    ...(isAligned ? ["aligned"] : []), "cosine", "largest difference", "sign changes"]);
  top.querySelectorAll("th")[2].classList.add("a");
  top.querySelectorAll("th")[3].classList.add("b");
  if (!lines.length) {
    lines.push(element("tr", [element("td", "Neither has weights in this report.", { colspan: "10" })]));
  }
  byId("compare-weights").replaceChildren(top, element("tbody", lines));
  byId("alignment").textContent = isAligned
    ? "Aligned is the distance after the hidden units of one are matched with those of the other, as run.compare(a, b, align=True) does."
    : "Hidden units are not aligned: networks from different starts are far apart for this reason alone, see run.compare(a, b, align=True).";
}
