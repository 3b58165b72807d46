// The table of candidates: DataTables sorts, filters and turns its pages.

function makeTable() {
  const table = document.getElementById("table");
  const plain = ["rank", "score", "param", "status"];
  const order = [...plain, "split", "other"];
  const sorted = [...columns].sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role));
  const heads = [
    element("th", "", { "aria-label": "Compare" }),
    element("th", "candidate"),
    ...sorted.map((column) => element("th", column.name)),
  ];
  table.append(element("thead", [element("tr", heads)]));

  // Cells are HTML for DataTables, so that all text is escaped on its way there, and
  // its own guesses at types, which look into the cells, are not asked.
  const cell = (column) => ({
    type: column.kind === "number" ? "num" : "string",
    visible: plain.includes(column.role),
    className: column.kind === "number" ? "dt-right" : "dt-left text",
    searchable: true,
    data: (row) => column.values[row],
    render: (value, use) => {
      const missing = value === null || Number.isNaN(value);
      if (use === "display") return escaped(shown(value));
      if (use === "filter") return missing ? "" : escaped(shown(value));
      if (missing) return column.kind === "number" ? -Infinity : "";
      return value;
    },
  });
  const grid = new DataTable(table, {
    data: candidates.map((_, row) => row),
    columns: [
      {
        data: (row) => candidates[row],
        orderable: false,
        searchable: false,
        render: (candidate, use) =>
          use === "display"
            ? `<input type="checkbox" class="pick" data-candidate="${Number(candidate)}" ` +
              `aria-label="Compare candidate ${Number(candidate)}">`
            : candidate,
      },
      { data: (row) => candidates[row], type: "num", className: "dt-right" },
      ...sorted.map(cell),
    ],
    columnDefs: [{ targets: 0, columnControl: [] }],
    columnControl: ["searchDropdown"],
    order: [],
    pageLength: 25,
    lengthMenu: [10, 25, 50, 100],
    autoWidth: false,
    deferRender: true,
    layout: {
      topStart: { buttons: [{ extend: "colvis", text: "Columns", columns: ":gt(1)" }] },
      topEnd: { search: { placeholder: "any column" } },
      bottomStart: ["info", "pageLength"],
      bottomEnd: "paging",
    },
    createdRow: (node, row) => {
      if (candidates[row] === payload.best) node.classList.add("best");
    },
    drawCallback: () => mark(chosen.pair),
  });

  function mark(pair) {
    for (const box of table.querySelectorAll("input.pick")) {
      const picked = pair.includes(Number(box.dataset.candidate));
      box.checked = picked;
      box.closest("tr").classList.toggle("picked", picked);
    }
  }
  table.addEventListener("change", (event) => {
    if (event.target.matches("input.pick")) chosen.toggle(Number(event.target.dataset.candidate));
  });
  chosen.listeners.push(mark);
  return grid;
}
