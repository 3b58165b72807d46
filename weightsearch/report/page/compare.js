// Two candidates side by side: their params and scores, then one row per weight.

// The numbers of compare(a, b) for one weight that both have, at positions i and j.
function comparedWeight(weight, i, j) {
  const a = statistic(weight, i, "l2"), b = statistic(weight, j, "l2");
  const pairs = weight.pairs;
  if (!pairs.decoded && pairs.kind !== "none") {
    pairs.decoded = pairs.kind === "distances16" ? uint16(pairs.data) : float32(pairs.data);
  }
  const n = weight.candidates.length;
  const row = { a, b, distance: NaN, cosine: NaN, largest: NaN, signs: NaN };
  if (!weight.count) return row;
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

function fromValues(values, count, i, j) {
  let squares = 0, product = 0, squaresA = 0, squaresB = 0, largest = 0, signs = 0;
  for (let k = 0; k < count; k++) {
    const a = values[i * count + k], b = values[j * count + k];
    const difference = a - b;
    squares += difference * difference;
    squaresA += a * a;
    squaresB += b * b;
    product += a * b;
    largest = Math.max(largest, Math.abs(difference));
    if (Math.sign(a) !== Math.sign(b)) signs++;
  }
  const lengths = Math.sqrt(squaresA) * Math.sqrt(squaresB);
  return {
    distance: Math.sqrt(squares),
    cosine: lengths ? product / lengths : NaN,
    largest,
    signs: signs / count,
  };
}

const shape = (weight) => (weight.shape.length ? weight.shape.join(" × ") : "scalar");

// Rows of the comparison: the weights of a in order, then those that only b has.
function comparisonRows(a, b) {
  const own = (candidate) => weights.filter((weight) => weight.position.has(candidate));
  const ofA = own(a), ofB = own(b);
  const named = (list, name) => list.find((weight) => weight.name === name);
  const names = [...ofA, ...ofB.filter((weight) => !named(ofA, weight.name))].map((w) => w.name);
  return names.map((name) => {
    const first = named(ofA, name), second = named(ofB, name);
    if (first && first === second) {
      return { name, measured: first.measured, shapes: [shape(first), shape(first)],
        ...comparedWeight(first, first.position.get(a), first.position.get(b)) };
    }
    const length = (weight, candidate) =>
      weight ? statistic(weight, weight.position.get(candidate), "l2") : NaN;
    return {
      name,
      shapes: [first ? shape(first) : "–", second ? shape(second) : "–"],
      a: length(first, a), b: length(second, b),
      alone: !first ? "only in B" : !second ? "only in A" : "other shape or type",
    };
  });
}

function makeComparison() {
  const choosers = ["a", "b"].map((side) => document.getElementById(`choose-${side}`));
  const score = measures[0];
  const entries = candidates.map((candidate, row) => {
    const parts = [`${candidate}`];
    if (rank && Number.isFinite(rank.values[row])) parts.push(`rank ${rank.values[row]}`);
    if (score && Number.isFinite(score.values[row])) parts.push(shown(score.values[row], 4));
    return [candidate, parts.join(" · ")];
  });
  for (const chooser of choosers) {
    options(chooser, [["", "none"], ...entries]);
    chooser.addEventListener("change", () => {
      const [a, b] = choosers.map((one) => (one.value === "" ? null : Number(one.value)));
      chosen.set(a, b);
    });
  }
  document.getElementById("swap").addEventListener("click", () => chosen.set(...[...chosen.pair].reverse()));
  document.getElementById("clear").addEventListener("click", () => chosen.set(null, null));

  function update(pair) {
    choosers.forEach((chooser, i) => { chooser.value = pair[i] === null ? "" : String(pair[i]); });
    const [a, b] = pair;
    const complete = a !== null && b !== null;
    document.getElementById("comparison").hidden = !complete;
    document.getElementById("compare-hint").textContent = complete
      ? `Candidate ${a} compared with candidate ${b}.`
      : a === null && b === null
        ? "Select two candidates here, tick them in the table, or click their points."
        : `Candidate ${a ?? b} is selected; select another one.`;
    if (complete) {
      fillParams(a, b);
      fillWeights(a, b);
    }
  }
  chosen.listeners.push(update);
  update(chosen.pair);
}

function head(names) {
  const cells = names.map((name) => element("th", name, { scope: "col" }));
  return element("thead", [element("tr", cells)]);
}
function side(node, which) {
  node.classList.add(which);
  return node;
}

function fillParams(a, b) {
  const table = document.getElementById("compare-params");
  const top = head(["", `A: candidate ${a}`, `B: candidate ${b}`]);
  side(top.querySelectorAll("th")[1], "a");
  side(top.querySelectorAll("th")[2], "b");
  const rows = byRole("rank", "score", "param", "status").map((column) => {
    const values = [a, b].map((candidate) => column.values[rowOf.get(candidate)]);
    const row = element("tr", [
      element("th", column.name, { scope: "row" }),
      ...values.map((value) => element("td", shown(value), { class: "text" })),
    ]);
    row.classList.toggle("differs", !Object.is(values[0], values[1]));
    return row;
  });
  table.replaceChildren(top, element("tbody", rows));
}

function fillWeights(a, b) {
  const table = document.getElementById("compare-weights");
  const found = comparisonRows(a, b);
  const approximate = (row, value) =>
    row.rounded && Number.isFinite(value) ? `≈ ${shown(value, 4)}` : shown(value);
  const line = (row) => {
    const cells = row.alone
      ? [element("td", row.alone, { colspan: "5", class: "text" })]
      : [
          approximate(row, row.distance), approximate(row, row.relative),
          approximate(row, row.cosine), shown(row.largest), shown(row.signs, 3),
        ].map((text) => element("td", text));
    const shapes = row.shapes[0] === row.shapes[1] ? row.shapes[0] : row.shapes.join(" | ");
    return element("tr", [
      element("th", row.name, { scope: "row" }), element("td", shapes),
      element("td", shown(row.a)), element("td", shown(row.b)), ...cells,
    ]);
  };
  const rows = found.map(line);
  const measured = found.filter((row) => row.alone || row.measured);
  if (measured.length > 1 && measured.every((row) => !row.alone && Number.isFinite(row.distance))) {
    const total = (key) => Math.hypot(...measured.map((row) => row[key]));
    const all = { name: "all", shapes: ["", ""], a: total("a"), b: total("b"),
      distance: total("distance"), cosine: NaN, largest: NaN, signs: NaN,
      rounded: measured.some((row) => row.rounded) };
    const longer = Math.max(all.a, all.b);
    all.relative = longer ? all.distance / longer : 0;
    if (all.a && all.b) {
      all.cosine = 1 - (all.distance ** 2 - (all.a - all.b) ** 2) / (2 * all.a * all.b);
    }
    const last = line(all);
    last.classList.add("total");
    rows.push(last);
  }
  const top = head(["weight", "shape", "norm of A", "norm of B", "distance", "relative",
    "cosine", "largest difference", "sign changes"]);
  side(top.querySelectorAll("th")[2], "a");
  side(top.querySelectorAll("th")[3], "b");
  if (!rows.length) {
    rows.push(element("tr", [element("td", "Neither has weights in this report.", { colspan: "9" })]));
  }
  table.replaceChildren(top, element("tbody", rows));
}
