// The gates and scores of each test, with their slices and figures.

function showSummary(report, cases) {
  const counts = {};
  for (const suite of report.suites) for (const gate of suite.gates) counts[gate.verdict] = (counts[gate.verdict] ?? 0) + 1;
  const spent = cases.map((each) => each.row.spent);
  const calls = spent.reduce((sum, each) => sum + each.calls, 0);
  const tokens = spent.reduce((sum, each) => sum + each.prompt_tokens + each.completion_tokens, 0);
  const cost = spent.reduce((sum, each) => sum + (each.cost ?? 0), 0);
  const tiles = Object.entries(counts).map(([verdict, n]) => [n, chip(verdict), n === 1 ? " gate" : " gates"]);
  tiles.push([cases.length, cases.length === 1 ? "case" : "cases"]);
  for (const outcome of ["miss", "error", "skip"]) {
    const n = cases.filter((each) => each.row.outcome === outcome).length;
    if (n) tiles.push([n, chip(outcome)]);
  }
  if (calls) tiles.push([calls, calls === 1 ? "LM call" : "LM calls"], [tokens, "tokens"]);
  if (cost) tiles.push([dollars(cost), "as recorded"]);
  tiles.push([report.mode, "mode"]);
  const shown = tiles.map(([n, ...words]) => make("div", { className: "tile" }, make("b", {}, typeof n === "number" ? number(n) : n), ...words));
  document.getElementById("summary").append(make("div", { className: "tiles" }, shown));
}

function showGates(report) {
  const rows = report.suites.flatMap((suite) => suite.gates.map((gate) => ({ suite, gate })));
  if (!rows.length) return;
  const columns = [
    ["Verdict", ({ gate }) => chip(gate.verdict)],
    ["Test", ({ suite }) => make("span", { className: "code" }, suite.test), "name"],
    ["Score", ({ gate }) => [gate.name, ...groupOf(gate)].join(" · "), "name"],
    ["Must be", ({ gate }) => gate.condition],
    ["Mean", ({ gate }) => measured(gate.mean, gate), "number"],
    ["95 % interval", ({ gate }) => interval(gate), "number"],
    ["n", ({ gate }) => number(gate.n), "number"],
    ["Errors", ({ gate }) => number(gate.errors), "number"],
    ["Not recorded", ({ gate }) => number(gate.unrecorded), "number"],
    ["Why", ({ gate }) => gate.verdict === "OK" ? "" : whyOf(gate), "name"],
  ];
  section("gates", table(columns, rows));
}

function groupOf(gate) {
  return Object.entries({ ...gate.params, ...gate.slice }).map(([name, value]) => `${name} = ${shownValue(value)}`);
}

function whyOf(gate) {
  const parts = [make("div", {}, gate.reason)];
  if (gate.rerun) parts.push(make("details", {}, make("summary", {}, "Run these cases again"), make("pre", {}, gate.rerun)));
  return make("div", {}, parts);
}

function showScores(report, figures, onlyShow) {
  const shown = report.suites.flatMap((suite, place) => (hasFigures(suite, figures[place]) ? [suiteFigures(suite, figures[place], place, onlyShow)] : []));
  if (report.evaluations.length) shown.push(evaluationTable(report.evaluations));
  if (shown.length) section("scores", ...shown);
}

function hasFigures(suite, figures) {
  return suite.scores.length || figures.confusions.length || figures.repeats.length;
}

function suiteFigures(suite, figures, place, onlyShow) {
  const columns = [
    ["Score", (row) => row.name],
    ["Mean", (row) => measured(row.mean, row), "number"],
    ["95 % interval", (row) => interval(row), "number"],
    ["n", (row) => number(row.n), "number"],
    ["Errors", (row) => number(row.errors), "number"],
    ["Not recorded", (row) => number(row.unrecorded), "number"],
    ["Skipped", (row) => number(row.skipped), "number"],
  ];
  const blocks = [];
  if (suite.scores.length) blocks.push(table(columns, suite.scores));
  const only = (indices, words) => onlyShow(place, indices, words);
  const drawings = [
    ...figures.histograms.map((each) => histogram(each, only)),
    ...figures.confusions.map((each) => confusion(each, only)),
    ...(figures.repeats.length ? [repeats(figures.repeats, only)] : []),
    ...(suite.slices.length ? [slices(suite, only)] : []),
  ];
  return make("div", {}, make("h3", { className: "code" }, suite.test), ...blocks, make("div", { className: "figures" }, drawings));
}

function histogram({ score, low, high, bins }, only) {
  const most = Math.max(...bins.map((bin) => bin.length), 1);
  const step = (high - low) / bins.length;
  const bars = bins.map((indices, place) => {
    const range = `${number(low + place * step)} to ${number(low + (place + 1) * step)}`;
    const bar = make("i");
    bar.style.height = `${(80 * indices.length) / most}%`;
    const words = `${score} ${range}: ${indices.length} cases`;
    const properties = { type: "button", title: words, aria: { label: words }, onclick: () => only(indices, `${score} ${range}`) };
    return make("button", properties, indices.length ? String(indices.length) : "", bar);
  });
  const axis = make("div", { className: "axis" }, make("span", {}, number(low)), make("span", {}, number(high)));
  return make("figure", {}, make("h4", {}, `Cases by ${score}`), make("div", { className: "histogram" }, bars), axis);
}

function confusion({ field, expected, got, cells }, only) {
  const heads = got.map((label) => make("th", { scope: "col", title: label }, label));
  const rows = expected.map((label, row) => {
    const own = got.map((other, column) => {
      const indices = cells[row][column];
      const words = `${field}: expected ${label}, got ${other}`;
      const kind = !indices.length ? "" : label === other ? "good" : "bad";
      if (!indices.length) return make("td", { className: "quiet" }, "·");
      const properties = { type: "button", title: words, aria: { label: `${words}: ${indices.length}` }, onclick: () => only(indices, words) };
      return make("td", { className: kind }, make("button", properties, String(indices.length)));
    });
    return make("tr", {}, make("th", { scope: "row", title: label }, label), own);
  });
  const head = make("tr", {}, make("th", { scope: "col" }, "expected \\ got"), heads);
  const grid = make("table", { className: "matrix" }, make("thead", {}, head), make("tbody", {}, rows));
  return make("figure", {}, make("h4", {}, `Confusion matrix of ${field}`), make("div", { className: "wide scroll" }, grid));
}

function repeats(rows, only) {
  const most = Math.max(...rows.map((row) => row.indices.length));
  const heads = Array.from({ length: most }, (_, place) => make("th", { scope: "col" }, String(place + 1)));
  const lines = rows.map(({ name, indices, outcomes }) => {
    const cells = outcomes.map((outcome, place) => {
      const words = `${name}, repeat ${place + 1}: ${outcome}`;
      if (outcome === "") return make("td", {});
      const properties = { type: "button", title: words, aria: { label: words }, onclick: () => only(indices, name) };
      return make("td", { className: KINDS[outcome] }, make("button", properties, outcome === "pass" ? "✓" : outcome === "skip" ? "–" : "✗"));
    });
    return make("tr", {}, make("th", { scope: "row", title: name }, name), cells, make("td", {}, `${outcomes.filter((each) => each === "pass").length}/${indices.length}`));
  });
  const head = make("tr", {}, make("th", { scope: "col" }, "case"), heads, make("th", { scope: "col" }, "passed"));
  const grid = make("table", { className: "matrix" }, make("thead", {}, head), make("tbody", {}, lines));
  return make("figure", {}, make("h4", {}, "Repeats"), make("div", { className: "wide scroll" }, grid));
}

function slices(suite, only) {
  const columns = [
    ["Slice", (row) => make("button", { type: "button", className: "open", onclick: () => only(inSlice(suite, row), `${row.column} = ${row.value}`) }, `${row.column} = ${row.value}`)],
    ["Score", (row) => row.name],
    ["Mean", (row) => measured(row.mean, row), "number"],
    ["95 % interval", (row) => interval(row), "number"],
    ["n", (row) => number(row.n), "number"],
  ];
  return make("figure", {}, make("h4", {}, "Slices"), table(columns, suite.slices));
}

function inSlice(suite, row) {
  const found = [];
  const names = row.column.split(", ");
  suite.cases.forEach((each, index) => {
    const values = names.map((name) => ({ ...each.params, ...each.columns })[name]);
    if (values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(", ") === row.value) found.push(index);
  });
  return found;
}

function evaluationTable(evaluations) {
  const columns = [
    ["Test", (row) => make("span", { className: "code" }, row.test), "name"],
    ["Metric", (row) => row.score],
    ["Mean", (row) => measured(row.mean, row), "number"],
    ["95 % interval", (row) => interval(row), "number"],
    ["n", (row) => number(row.n), "number"],
    ["Errors", (row) => number(row.errors), "number"],
  ];
  return make("div", {}, make("h3", {}, "Evaluations within tests"), table(columns, evaluations));
}

function showNotes(report) {
  if (report.notes.length) section("notes", make("ul", {}, report.notes.map((note) => make("li", {}, make("pre", {}, note)))));
}
