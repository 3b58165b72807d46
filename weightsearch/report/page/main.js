// The first screen, the bar of choices that all views share, and the start.

function makeSummary() {
  const { best, warnings, tiles } = payload.summary;
  const about = byId("best");
  if (best) {
    const score = [element("strong", best.score)];
    if (best.spread) score.push(element("span", ` ± ${best.spread}`));
    about.append(
      element("p", best.metric, { class: "quiet" }),
      element("p", score, { class: "score" }),
      element("p", best.standing, { class: "standing" }),
      element("dl", best.params.map(([short, whole, text, exact]) =>
        element("div", [named("dt", tail(short, 34), whole), named("dd", head(text, 60), exact)])), { class: "pairs" }),
    );
    if (best.load) {
      const copy = element("button", "Copy", { type: "button", "aria-label": "Copy the line that loads the model" });
      const line = element("code", best.load);
      copy.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(best.load);
          copy.textContent = "Copied";
        } catch {
          getSelection().selectAllChildren(line);
          copy.textContent = "Selected";
        }
        byId("live").textContent = copy.textContent;
      });
      about.append(element("div", [line, copy], { class: "load" }));
    }
  } else about.append(element("p", "The search has not chosen a best candidate."));
  byId("tiles").append(...tiles.map(([name, value]) => element("div", [element("dt", name), named("dd", head(value, 160), value)])));
  byId("warnings").append(...warnings.map(({ title, text, candidates: own }) => {
    const parts = [element("b", title), document.createTextNode(` ${text}`)];
    for (const candidate of own.filter((one) => rowOf.has(one)).slice(0, 12)) {
      const link = element("button", String(candidate), { type: "button", class: "link", "aria-label": `Select candidate ${candidate}` });
      link.addEventListener("click", () => toggle(rowOf.get(candidate)));
      parts.push(document.createTextNode(" "), link);
    }
    if (own.length > 12) parts.push(document.createTextNode(` and ${own.length - 12} more`));
    return element("li", parts);
  }));
  byId("warnings").closest("div").hidden = !warnings.length;
  byId("notes").append(...payload.notes.map((note) => element("li", note)));
  byId("notes").hidden = !payload.notes.length;
  byId("facts").append(...payload.facts.filter(([, pairs]) => pairs.length).map(([title, pairs]) =>
    element("details", [
      element("summary", title),
      element("dl", pairs.map(([name, value]) => element("div", [element("dt", name), element("dd", value)])), { class: "pairs" }),
    ])));
}

function makeBar() {
  const bar = byId("choices");
  if (metrics.length > 1) {
    bar.append(chooser("Score", entriesOf(metrics), state.metric.name, (name) => {
      state.metric = byName.get(name);
      tell("view");
    })[0]);
  }
  const colours = [["", "nothing"], ...entriesOf([...varied, ...metrics, ...byRole("other").filter((column) => /^mean_fit_time$|^iter$/.test(column.name))])];
  bar.append(chooser("Colour", colours, "", (name) => {
    state.colour = name ? byName.get(name) : null;
    tell("view");
  })[0]);

  // A filter by keyboard: a column, and the ends of its range.
  const possible = [...varied, ...metrics, ...byRole("other").filter((column) => column.kind === "number")];
  const low = element("span"), high = element("span");
  let column = possible[0];
  const ends = () => {
    const make = (name, from, last) => {
      if (isStepped(column)) {
        const select = element("select", null, { "aria-label": name });
        options(select, kindsOf(column).map((kind, k) => [k, kind]));
        if (last) select.value = String(kindsOf(column).length - 1);
        return select;
      }
      return element("input", null, { type: "number", step: "any", "aria-label": name, placeholder: shown(from, 3) });
    };
    const all = isStepped(column) ? [] : ascending(finite(column.values));
    low.replaceChildren(make("From", all[0]));
    high.replaceChildren(make("To", all[all.length - 1], true));
  };
  if (possible.length) {
    const [label] = chooser("Filter by", entriesOf(possible), column.name, (name) => { column = byName.get(name); ends(); });
    const keep = element("button", "Keep", { type: "button" });
    keep.addEventListener("click", () => {
      const value = (node, none) => (node.value === "" ? none : Number(node.value));
      setFilter(column, [value(low.firstChild, -Infinity), value(high.firstChild, Infinity)]);
    });
    ends();
    byId("filter").append(label, element("label", [document.createTextNode("From"), low]), element("label", [document.createTextNode("To"), high]), keep);
  }
  const search = byId("words");
  let waiting = null;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { state.search = search.value; refilter(); }, candidates.length > 2000 ? 200 : 0);
  });
  byId("all").addEventListener("click", () => { search.value = ""; clearFilters(); });

  const chips = byId("chips");
  const update = () => {
    byId("count").textContent = state.nKept === candidates.length
      ? counted(candidates.length, "candidate")
      : `${state.nKept.toLocaleString("en")} of ${counted(candidates.length, "candidate")} kept`;
    byId("all").hidden = state.nKept === candidates.length;
    chips.replaceChildren(...[...state.filters].map(([own, range]) => {
      const texts = range.map((end) => (isStepped(own) ? kindsOf(own)[Math.max(0, Math.min(end, kindsOf(own).length - 1))] : shown(end, 3)));
      const chip = named("button", `${tail(own.short, 24)}: ${head(texts[0], 16)} to ${head(texts[1], 16)} ✕`, own.name, { type: "button", class: "chip" });
      chip.addEventListener("click", () => setFilter(own, null));
      return chip;
    }));
  };
  on("kept", update);
  update();

  const legend = byId("legend");
  const paint = () => {
    const { legend: entries, bar: ends } = colouring(state.colour);
    const swatch = (colour) => {
      const node = element("i", null, { class: "swatch" });
      node.style.background = colour;
      return node;
    };
    const nodes = entries.map(([text, colour]) => named("span", "", text, {}));
    nodes.forEach((node, k) => node.append(swatch(entries[k][1]), document.createTextNode(head(entries[k][0], 24))));
    if (ends) {
      const ramp = element("i", null, { class: "ramp" });
      ramp.style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map((share) => css(viridis(share))).join(",")})`;
      nodes.push(element("span", [document.createTextNode(ends[0]), ramp, document.createTextNode(ends[1])]));
    }
    legend.replaceChildren(...nodes);
  };
  on("view", paint);
  dark.addEventListener("change", paint);
  paint();
}

function start() {
  makeSummary();
  makeBar();
  makeTable();
  makeComparison();
  makePlots();
  on("pair", layAll);
  on("hover", layAll);
  on("kept", refreshAll);
  on("view", refreshAll);
  dark.addEventListener("change", refreshAll);
  // Printed on white, every plot, also those that were never near the window.
  const print = (isOn) => () => {
    printing = isOn;
    for (const plot of plots) if (isOn || plot.visible) plot.paint();
  };
  addEventListener("beforeprint", print(true));
  addEventListener("afterprint", print(false));
  document.documentElement.dataset.ready = "true";
}

start();
