// The table of candidates: sorted, filtered with everything else, a page at a time.

function makeTable() {
  const table = byId("table");
  const initial = new Set(columns.filter((column) =>
    ["rank", "score", "status"].includes(column.role) || varied.includes(column) || /^(std_test_|mean_fit_time$|iter$)/.test(column.name)));
  if (!columns.some((column) => column.role === "status" && kindsOf(column).length > 1)) {
    for (const column of byRole("status")) initial.delete(column);
  }
  const order = ["rank", "score", "spread", "param", "status", "other", "split"];
  const group = (column) => order.indexOf(column.name.startsWith("std_test_") ? "spread" : column.role);
  const sorted = [...columns].sort((a, b) => group(a) - group(b));
  let by = null, isDown = false, page = 0, size = 10;

  const value = (column, row) => (column ? column.values[row] : candidates[row]);
  const isMissing = (one) => one === null || Number.isNaN(one);
  function ordered() {
    const kept = rows.filter((row) => state.kept[row]);
    if (by === null) return kept;
    const column = by === "candidate" ? null : by;
    const rankOf = column?.kind === "text" ? new Map(kindsOf(column).map((kind, k) => [kind, k])) : null;
    const key = (row) => (rankOf ? rankOf.get(kindAt(column, row)) : value(column, row));
    // Missing values stand last either way.
    return kept.sort((a, b) => {
      const [x, y] = [isMissing(value(column, a)), isMissing(value(column, b))];
      return x || y ? x - y : (isDown ? -1 : 1) * (key(a) - key(b));
    });
  }
  function heads() {
    const head = (column, short, whole) => {
      const button = named("button", short, whole, { type: "button" });
      button.addEventListener("click", () => {
        isDown = by === column && !isDown;
        by = column;
        page = 0;
        render();
      });
      const cell = element("th", [button], { scope: "col", class: column.kind === "text" ? "text" : "" });
      cell.setAttribute("aria-sort", by === column ? (isDown ? "descending" : "ascending") : "none");
      return cell;
    };
    return [element("th", "", { "aria-label": "Compare" }), head("candidate", "candidate", "candidate"),
      ...sorted.filter((column) => initial.has(column)).map((column) => head(column, tail(column.short, 26), column.name))];
  }
  function line(row) {
    const box = element("input", null, { type: "checkbox", class: "pick", "aria-label": `Compare candidate ${candidates[row]}`, "data-row": String(row) });
    const cells = sorted.filter((column) => initial.has(column)).map((column) => {
      const text = shown(column.values[row]);
      return column.kind === "text" ? named("td", head(text, 40), text, { class: "text" }) : element("td", text);
    });
    return element("tr", [element("td", [box]), element("td", String(candidates[row])), ...cells], {
      "data-row": String(row), "data-candidate": String(candidates[row]), class: [row === bestRow ? "best" : "", asideRows.has(row) ? "aside" : ""].join(" ").trim(),
    });
  }
  function render() {
    const all = ordered();
    page = Math.max(0, Math.min(page, Math.ceil(all.length / size) - 1));
    const own = all.slice(page * size, (page + 1) * size);
    const focused = document.activeElement?.closest?.("#table th")?.cellIndex;
    table.replaceChildren(element("thead", [element("tr", heads())]), element("tbody", own.map(line)));
    if (focused !== undefined) table.querySelectorAll("thead th")[focused]?.querySelector("button")?.focus();
    const from = all.length ? page * size + 1 : 0;
    byId("table-info").textContent = `${from.toLocaleString("en")} to ${(page * size + own.length).toLocaleString("en")} of ${counted(all.length, "candidate")}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = (page + 1) * size >= all.length;
    mark();
  }
  function mark() {
    for (const line of table.querySelectorAll("tbody tr")) {
      const row = Number(line.dataset.row), picked = state.pair.includes(row);
      line.querySelector("input.pick").checked = picked;
      line.classList.toggle("picked", picked);
      line.classList.toggle("hovered", row === state.hover);
    }
  }
  table.addEventListener("change", (event) => {
    if (event.target.matches("input.pick")) toggle(Number(event.target.dataset.row));
  });
  table.addEventListener("pointerover", (event) => {
    const line = event.target.closest("tbody tr");
    setHover(line ? Number(line.dataset.row) : null);
  });
  table.addEventListener("pointerleave", () => setHover(null));
  byId("previous").addEventListener("click", () => { page--; render(); });
  byId("next").addEventListener("click", () => { page++; render(); });
  byId("size").addEventListener("change", (event) => { size = Number(event.target.value); page = 0; render(); });
  byId("columns").append(...sorted.map((column) => {
    const box = element("input", null, { type: "checkbox" });
    box.checked = initial.has(column);
    box.addEventListener("change", () => {
      if (box.checked) initial.add(column);
      else initial.delete(column);
      render();
    });
    return element("label", [box, named("span", tail(column.short, 34), column.name)], { class: "tick" });
  }));
  on("kept", () => { page = 0; render(); });
  on("pair", mark);
  on("hover", mark);
  render();
}
