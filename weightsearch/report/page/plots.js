// The plots: each a card with its own choices, drawn again when something changes.

const measure = { column: measures[0] };
const cards = [];
const drawAgain = () => { for (const again of cards) again(); };

// `draw` gives a figure for the choices, `mark` a figure's shapes that mark the two that
// are compared.
function card({ title, about, wide, tall, controls = [], draw, mark }) {
  const plot = element("div", null, { class: tall ? "plot tall" : "plot", role: "img", "aria-label": about });
  const hint = element("p", "", { class: "hint" });
  const choices = {};
  const form = element("form", controls.map(([name, text, entries, start]) => {
    const select = element("select", null, { name });
    options(select, entries);
    if (start !== undefined) select.value = String(start);
    select.addEventListener("change", () => again());
    choices[name] = select;
    return element("label", [document.createTextNode(text), select]);
  }), { class: "controls" });
  const heading = element("h3", title);
  document.getElementById("cards").append(
    element("section", [heading, form, plot, hint], { class: wide ? "card wide" : "card", "aria-label": title }),
  );
  // Drawn when it comes near the window first: a report opens at once.
  let figure = null;
  function render() {
    const values = Object.fromEntries(Object.entries(choices).map(([name, select]) => [name, select.value]));
    const first = !figure;
    figure = draw(values);
    hint.textContent = figure.hint ?? "";
    const shapes = mark ? mark(figure) : [];
    Plotly.react(plot, figure.data, layout({ ...figure.layout, shapes }), CONFIG);
    if (!first) return;
    plot.on("plotly_click", (event) => {
      const point = event.points[0];
      if (figure.pick) figure.pick(point);
      else if (Number.isInteger(point.customdata)) chosen.toggle(point.customdata);
    });
  }
  const again = () => { if (figure) render(); };
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    render();
  }, { rootMargin: "400px" }).observe(plot);
  // Taken away and put back one by one: given a list, the library draws all again.
  function markAgain() {
    const each = (shapes) => Object.fromEntries(shapes.map((shape, k) => [`shapes[${k}]`, shape]));
    Plotly.relayout(plot, each([null, null]));
    Plotly.relayout(plot, each(mark(figure)));
  }
  if (mark) chosen.listeners.push(() => { if (figure) markAgain(); });
  cards.push(again);
}

const columnEntries = (list) => list.map((column) => [column.index, column.name]);
const coloured = () => [["", "nothing"], ...columnEntries(byRole("param")), ...columnEntries(measures)];
const columnAt = (index) => (index === "" ? null : columns[Number(index)]);

function paramCard() {
  const params = byRole("param");
  const varied = params.filter((column) => kindsOf(column, candidates.map((_, i) => i)).length > 1);
  const first = varied.find((column) => column.kind === "number") ?? varied[0] ?? params[0];
  const others = varied.filter((column) => column !== first);
  const second = others.find((column) => column.kind === "text") ?? others[0];
  card({
    title: "Score against parameter",
    about: "Scatter plot of the score against a parameter, one point per candidate",
    controls: [
      ["param", "Param", columnEntries(params), first.index],
      ["colour", "Coloured by", coloured(), second ? second.index : ""],
    ],
    mark: rings,
    draw: ({ param, colour }) => {
      const rows = candidates.map((_, row) => row);
      const { values, axis } = columnAxis(columnAt(param), rows);
      const y = Array.from(measure.column.values);
      return scattered(candidates, values, y, axis, columnAt(colour));
    },
  });
}

function scattered(numbers, x, y, xaxis, colour) {
  const data = points(numbers, x, y, colour);
  const legend = data.some((trace) => trace.showlegend) ? LEGEND : {};
  const { axis: yaxis } = numberAxis(measure.column.name, y);
  return { data, numbers, x, y, layout: { ...legend, xaxis, yaxis } };
}

function statisticCard() {
  card({
    title: "Score against weight statistic",
    about: "Scatter plot of the score against a statistic of a weight, one point per candidate",
    controls: [
      ["weight", "Weight", weightNames.map((name, i) => [i, name]), 0],
      ["statistic", "Statistic", payload.statistics.map((name) => [name, name]), "l2"],
      ["colour", "Coloured by", coloured(), ""],
    ],
    mark: rings,
    draw: ({ weight, statistic: name, colour }) => {
      const { numbers, values } = ofWeight(weightNames[Number(weight)], name);
      const y = numbers.map((candidate) => measure.column.values[rowOf.get(candidate)]);
      const title = `${name} of ${weightNames[Number(weight)]}`;
      const { values: x, axis } = wideAxis(title, values);
      const figure = scattered(numbers, x, y, axis, columnAt(colour));
      if (!values.some(Number.isFinite)) figure.hint = `This weight has no ${name}, which is defined for matrices.`;
      return figure;
    },
  });
}

function ofWeight(name, wanted) {
  const parts = weights.filter((weight) => weight.name === name);
  return {
    numbers: parts.flatMap((weight) => weight.candidates),
    values: parts.flatMap((weight) => weight.candidates.map((_, i) => statistic(weight, i, wanted))),
  };
}

function distributionCard() {
  card({
    title: "Statistics of each weight", wide: true,
    about: "Box plots of a statistic, one box per weight, over all candidates",
    controls: [["statistic", "Statistic", payload.statistics.map((name) => [name, name]), "std"]],
    draw: ({ statistic: name }) => {
      const groups = weightNames.slice(0, 60).map((weight) => ofWeight(weight, name));
      const all = groups.flatMap((group) => group.values);
      const { values: y, axis: yaxis } = wideAxis(name, all);
      const ends = groups.map((group) => group.values.length);
      for (let k = 1; k < ends.length; k++) ends[k] += ends[k - 1];
      const data = groups.map((group, k) => ({
        type: "box", name: label(weightNames[k], 24), y: y.slice(ends[k - 1] ?? 0, ends[k]), x0: k,
        boxpoints: group.numbers.length > 200 ? "outliers" : "all", jitter: 0.6, pointpos: 0,
        marker: { size: 4, opacity: 0.5, color: HUES[0] }, line: { width: 1.2, color: theme().text }, fillcolor: "rgba(0,114,178,0.15)",
        customdata: group.numbers, text: group.numbers.map((candidate) => hover(candidate)),
        hoverinfo: "text", hoveron: "points",
      }));
      const left = weightNames.length - data.length;
      return {
        data,
        layout: {
          xaxis: {
            type: "linear", tickmode: "array", tickvals: data.map((_, k) => k),
            ticktext: data.map((trace) => trace.name), zeroline: false, showgrid: false,
            range: [-0.6, data.length - 0.4],
          },
          yaxis,
        },
        hint: left > 0 ? `${left} more weights are not drawn.` : "",
      };
    },
  });
}

function mapCards() {
  const entries = maps.map((map, i) => [i, map.label]);
  const architecture = ["map", "Architecture", entries, 0];
  card({
    title: "Map of the candidates", tall: true,
    about: "Candidates in a plane: those with similar weights are close",
    controls: [architecture, ["colour", "Coloured by", coloured(), measure.column ? measure.column.index : ""]],
    mark: rings,
    draw: ({ map: index, colour }) => {
      const map = maps[Number(index)];
      const data = points(map.candidates, map.x, map.y, columnAt(colour));
      const legend = data.some((trace) => trace.showlegend) ? LEGEND : {};
      const share = (100 * map.explained).toFixed(0);
      return {
        data, numbers: map.candidates, x: map.x, y: map.y,
        layout: {
          ...legend,
          xaxis: { title: { text: "first direction" }, range: rangeOf(Array.from(map.x)) },
          yaxis: { title: { text: "second direction" }, range: rangeOf(Array.from(map.y)), scaleanchor: "x" },
        },
        hint: `Classical multidimensional scaling of the distances of all weights; the plane shows ${share} % of their squares.`,
      };
    },
  });
  card({
    title: "Distances between candidates", tall: true,
    about: "Matrix of the distances between the weights of any two candidates",
    controls: [architecture, ["order", "Order", [["cluster", "by similarity"], ["rank", "by rank"], ["number", "by number"]], "cluster"]],
    draw: ({ map: index, order }) => heatMap(maps[Number(index)], order),
    mark: cross,
  });
}

const matrixOrder = (map, order) => {
  const positions = map.candidates.map((_, i) => i);
  if (order === "cluster") return map.order;
  if (order === "number") return positions;
  return positions.sort((i, j) => rowOf.get(map.candidates[i]) - rowOf.get(map.candidates[j]));
};

function heatMap(map, order) {
  const places = matrixOrder(map, order);
  const n = places.length;
  const levels = uint16(map.distances.data);
  const z = places.map((i) => Float32Array.from(places, (j) => triangleValue(map.distances, levels, i, j, n)));
  const names = places.map((i) => String(map.candidates[i]));
  return {
    data: [{
      type: "heatmap", z, x: names, y: names, colorscale: "Viridis",
      hovertemplate: "candidates %{y} and %{x}<br>distance %{z:.4g}<extra></extra>",
      colorbar: { title: { text: "distance", side: "right" }, thickness: 12, outlinewidth: 0 },
    }],
    layout: {
      xaxis: { type: "category", title: { text: "candidate" }, constrain: "domain", range: [-0.5, n - 0.5], showgrid: false, nticks: 12 },
      yaxis: { type: "category", title: { text: "candidate" }, scaleanchor: "x", constrain: "domain", range: [n - 0.5, -0.5], showgrid: false, nticks: 12 },
    },
    places: places.map((i) => map.candidates[i]),
    hint: "Euclidean, of all weights together. Click to compare two candidates.",
    pick: (point) => {
      if (point.x !== point.y) chosen.set(Number(point.y), Number(point.x));
    },
  };
}

// The row of A and the column of B, as lines on the matrix, in white on dark colours.
function cross({ places }) {
  const end = places.length - 0.5;
  return chosen.pair.map((candidate, which) => {
    const at = candidate === null ? -1 : places.indexOf(candidate);
    return {
      type: "line", visible: at >= 0, line: { color: "#ffffff", width: 1.5, dash: which ? "dot" : "solid" },
      x0: which ? at : -0.5, x1: which ? at : end, y0: which ? -0.5 : at, y1: which ? end : at,
    };
  });
}

function makePlots() {
  const chooser = document.getElementById("measure");
  if (measures.length) {
    options(chooser, columnEntries(measures));
    chooser.addEventListener("change", () => {
      measure.column = columns[Number(chooser.value)];
      drawAgain();
    });
    if (byRole("param").length) paramCard();
    if (weights.length) statisticCard();
  }
  chooser.closest("form").hidden = !measures.length;
  if (maps.length) mapCards();
  if (weights.length) distributionCard();
  document.getElementById("plots").hidden = !cards.length;
}
