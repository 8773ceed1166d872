// What --dspex-optimize tried: the leaderboard, score against cost, and how the prompts changed.

function showOptimizations(report) {
  if (!report.optimizations.length) return;
  section("optimizations", ...report.optimizations.map(optimization));
}

function optimization(row) {
  const parts = [make("h3", {}, row.program), make("p", {}, chip(row.outcome), ` ${row.line}`)];
  if (row.why) parts.push(make("p", {}, row.why));
  if (row.lost.length) parts.push(make("ul", {}, row.lost.map((line) => make("li", {}, line))));
  if (row.candidates.length) parts.push(make("div", { className: "figures" }, leaderboard(row.candidates), costPlot(row.candidates)));
  for (const prompt of row.prompts) parts.push(promptDiff(prompt));
  return make("div", {}, parts);
}

function leaderboard(candidates) {
  const sorted = [...candidates].sort((one, other) => (other.score ?? -Infinity) - (one.score ?? -Infinity));
  const columns = [
    ["", (row) => (row.is_chosen ? make("span", { className: "chip good" }, "chosen") : "")],
    ["Candidate", (row) => row.name, "name"],
    ["Score", (row) => measured(row.score, row), "number"],
    ["n", (row) => number(row.n), "number"],
    ["Tokens", (row) => number(row.tokens), "number"],
    ["Cost", (row) => dollars(row.cost), "number"],
  ];
  return make("div", { className: "scroll" }, table(columns, sorted));
}

/** Draw each candidate's score against what it cost: dollars if all are known, else tokens. */
function costPlot(candidates) {
  const unit = candidates.every((each) => each.cost !== null) ? "cost" : "tokens";
  const points = candidates.filter((each) => each[unit] !== null && each.score !== null);
  if (points.length < 2) return null;
  const [right, top, width, height] = [510, 14, 450, 200];
  const most = Math.max(...points.map((each) => each[unit])) || 1;
  const low = Math.min(...points.map((each) => each.score));
  const high = Math.max(...points.map((each) => each.score));
  const across = (each) => right - width + (width - 10) * (each[unit] / most);
  const up = (each) => top + height - (high === low ? 0.5 : (each.score - low) / (high - low)) * height;
  const label = (x, y, words, anchor = "start") => drawn("text", { x, y, "text-anchor": anchor }, words);
  const dots = points.map((each) => drawn("circle", { cx: across(each), cy: up(each), r: 5, class: each.is_chosen ? "chosen" : "" },
    drawn("title", {}, `${each.name}: ${number(each.score)} for ${unit === "cost" ? dollars(each.cost) : `${each.tokens} tokens`}`)));
  const axes = [
    drawn("line", { x1: right - width, y1: top + height + 8, x2: right, y2: top + height + 8 }),
    drawn("line", { x1: right - width - 8, y1: top, x2: right - width - 8, y2: top + height }),
    label(right, top + height + 24, unit === "cost" ? `${dollars(most)} (cost)` : `${most} tokens`, "end"),
    label(right - width, top + height + 24, "0"), label(0, top + 10, number(high)), label(0, top + height, number(low)),
  ];
  return drawn("svg", { viewBox: "0 0 520 250", class: "plot", role: "img", "aria-label": "Score of each candidate against its cost" }, ...axes, ...dots);
}

function promptDiff({ predictor, before, after }) {
  const lines = lineDiff(before.split("\n"), after.split("\n")).map(([mark, text]) =>
    make("div", { className: `code ${mark === "+" ? "good" : mark === "-" ? "bad" : ""}` }, `${mark} ${text}`));
  return make("details", { open: true }, make("summary", {}, `Prompt of ${predictor}`), make("div", { className: "diff" }, lines));
}

/** Return `[mark, line]` of a diff by the longest common subsequence of lines. */
function lineDiff(before, after) {
  const common = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i][j] = before[i] === after[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push([" ", before[i++]]);
      j++;
    }
    else if (i < before.length && (j === after.length || common[i + 1][j] >= common[i][j + 1])) lines.push(["-", before[i++]]);
    else lines.push(["+", after[j++]]);
  }
  return lines;
}
