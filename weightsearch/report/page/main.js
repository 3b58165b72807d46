// Facts, notes, and the order in which the page is made.

function makeNotes() {
  const list = document.getElementById("notes");
  list.append(...payload.notes.map((note) => element("li", note)));
  list.hidden = !payload.notes.length;
}

function makeFacts() {
  const pair = ([name, value]) => element("div", [element("dt", name), element("dd", value)]);
  const [first, ...rest] = payload.facts;
  document.getElementById("tiles").append(...(first ? first[1].map(pair) : []));
  document.getElementById("facts").append(
    ...rest.filter(([, pairs]) => pairs.length).map(([heading, pairs]) =>
      element("details", [
        element("summary", heading),
        element("dl", pairs.map(pair), { class: "pairs" }),
      ]),
    ),
  );
}

function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => document.documentElement.classList.toggle("dark", dark.matches);
  paint();
  makeNotes();
  makeFacts();
  makeTable();
  makeComparison();
  makePlots();
  dark.addEventListener("change", () => {
    paint();
    drawAgain();
  });
  document.documentElement.dataset.ready = "true";
}

start();
