// The list of cases: a filter, rows that open, and what a case asked and got.

const PAGE_LENGTH = 30;

/** Return each case with its place, the text that a search looks in, and how it compares with the baseline. */
function allCases(report) {
  return report.suites.flatMap((suite, suiteIndex) =>
    suite.cases.map((row, index) => ({ row, suite, suiteIndex, index, text: null, lowest: lowestOf(row), change: changeOf(row) })));
}

function lowestOf(row) {
  const values = Object.values(row.scores).map((score) => score.value ?? 0);
  if (row.outcome === "error") return -Infinity;
  return values.length ? Math.min(...values) : row.outcome === "pass" ? Infinity : 0;
}

function changeOf(row) {
  if (!row.baseline) return "";
  const pairs = Object.entries(row.baseline.scores).map(([name, before]) => [before ?? 0, row.scores[name]?.value ?? 0]);
  if (pairs.some(([before, now]) => now < before)) return "worse";
  return pairs.some(([before, now]) => now > before) ? "better" : "same";
}

/** Return what a search looks in: all of a case but the prompts' parts that many cases share. */
function searchText(each) {
  if (each.text === null) {
    const { row } = each;
    const replies = row.calls.map((call) => call.reply);
    const scores = Object.entries(row.scores).map(([name, score]) => `${name} ${score.feedback}`);
    const values = [row.inputs, row.expected, row.got, row.baseline?.got, row.columns, row.params].map((value) => (value ? JSON.stringify(value) : ""));
    each.text = [row.id, row.case, row.message, ...values, ...scores, ...replies].join("\n").toLowerCase();
  }
  return each.text;
}

class CaseList {
  constructor(report, texts) {
    this.texts = texts;
    this.all = allCases(report);
    this.found = this.all;
    this.only = null;
    this.hasBaseline = this.all.some((each) => each.row.baseline);
    this.hasSuites = report.suites.length > 1;
    this.scores = [...new Set(this.all.flatMap((each) => Object.keys(each.row.scores)))];
    this.body = make("tbody", {});
    this.count = make("span", { role: "status", className: "quiet" });
    this.more = make("button", { type: "button", className: "more", onclick: () => this.showMore() });
    this.clear = make("button", { type: "button", hidden: true, onclick: () => this.showOnly(null) });
    section("cases", this.tools(report), this.table(), this.more);
    document.addEventListener("keydown", (event) => this.key(event));
    new IntersectionObserver(([seen]) => seen.isIntersecting && this.showMore(), { rootMargin: "600px" }).observe(this.more);
    this.filter();
    setTimeout(() => this.all.forEach(searchText), 0); // before the first search, and after the page is shown
  }

  tools(report) {
    const filter = () => this.filter();
    this.search = make("input", { type: "search", placeholder: "Search the cases ( / )", aria: { label: "Search the cases" }, oninput: filter });
    this.suite = choice("Test", [["", "all tests"], ...report.suites.map((suite, place) => [String(place), suite.test])], filter);
    this.outcome = choice("Outcome", [["", "all outcomes"], ["!pass", "not passed"], ["pass", "pass"], ["miss", "miss"], ["error", "error"], ["skip", "skip"], ["silent", "recorded nothing"]], filter);
    this.change = choice("Baseline", [["", "any change"], ["worse", "worse than the baseline"], ["better", "better than the baseline"], ["same", "as in the baseline"]], filter);
    this.order = choice("Order", [["", "in order"], ["worst", "lowest score first"]], filter);
    this.suite.hidden = !this.hasSuites;
    this.change.hidden = !this.hasBaseline;
    return make("div", { className: "tools", role: "search" }, this.search, this.suite, this.outcome, this.change, this.order, this.clear, this.count);
  }

  table() {
    const heads = [["", "state"], ["Case", "case"], ["Inputs", "values"], ["Expected", "values"], ["Got", "values"]];
    if (this.hasBaseline) heads.push(["Got in the baseline", "values"]);
    if (this.scores.length) heads.push(["Scores", "score"]);
    const row = make("tr", {}, heads.map(([words, kind]) => make("th", { scope: "col", className: kind }, words)));
    this.width = heads.length;
    return make("table", { id: "case-table" }, make("thead", {}, row), this.body);
  }

  /** Show only some cases of one test, named by a figure; `null` shows all again. */
  showOnly(only) {
    this.only = only;
    this.clear.hidden = !only;
    this.clear.textContent = only ? `✕ ${only.words}` : "";
    this.filter();
    if (only) {
      document.getElementById("cases").scrollIntoView();
      this.clear.focus();
    }
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const suite = this.suite.value === "" ? null : Number(this.suite.value);
    const [outcome, change, only] = [this.outcome.value, this.change.value, this.only];
    this.found = this.all.filter((each) =>
      (suite === null || each.suiteIndex === suite) && hasOutcome(each.row, outcome) && (!change || each.change === change)
      && (!only || (each.suiteIndex === only.suite && only.indices.has(each.index)))
      && words.every((word) => searchText(each).includes(word)));
    if (this.order.value === "worst") this.found.sort((one, other) => (one.lowest === other.lowest ? 0 : one.lowest - other.lowest));
    this.count.textContent = `${this.found.length} of ${this.all.length}`;
    this.shown = 0;
    this.lastSuite = null;
    this.body.replaceChildren();
    this.showMore();
  }

  showMore() {
    const next = this.found.slice(this.shown, this.shown + PAGE_LENGTH);
    this.body.append(...next.flatMap((each) => [this.heading(each), this.row(each)]).filter(Boolean));
    this.shown += next.length;
    const left = this.found.length - this.shown;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${Math.min(left, PAGE_LENGTH)} more of ${left}`;
  }

  /** Return a row with the name of a case's test, before the first of its cases that stand together. */
  heading({ suite }) {
    if (!this.hasSuites || suite === this.lastSuite) return null;
    this.lastSuite = suite;
    return make("tr", { className: "test" }, make("th", { scope: "rowgroup", colspan: this.width, className: "code" }, suite.test));
  }

  row(each) {
    const { row } = each;
    const open = make("button", { type: "button", className: "open", aria: { expanded: "false" } }, nameOf(row));
    const words = [open];
    if (row.message) words.push(make("div", { className: "quiet brief" }, row.message));
    const cells = [make("td", {}, chip(row.outcome), change(each)), make("td", {}, words), valuesCell(row.inputs), valuesCell(row.expected), valuesCell(row.got)];
    if (this.hasBaseline) cells.push(valuesCell(row.baseline?.got));
    if (this.scores.length) cells.push(make("td", {}, scoreLines(row)));
    const line = make("tr", {}, cells);
    open.onclick = () => toggle(open, line, () => this.detail(each));
    return line;
  }

  detail({ row }) {
    const before = row.baseline?.got ?? null;
    const sides = [side("Inputs", row.inputs), side("Expected", row.expected), side("Got", row.got, row.expected)];
    if (row.baseline) sides.push(side("Got in the baseline", before, row.got));
    sides.push(scoreSide(row));
    const facts = make("p", { className: "quiet code" }, row.id);
    const message = row.message ? [make("pre", {}, row.message)] : [];
    const calls = row.calls.map((call, place) => callDetail(call, place, this.texts));
    return make("tr", { className: "detail" }, make("td", { colspan: this.width }, facts, ...message, make("div", { className: "sides" }, sides), ...calls));
  }

  /** `/` searches; j and k go from case to case; Escape leaves the search. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "Escape" && document.activeElement === this.search) this.search.blur();
    if (isTyping) return;
    if (event.key === "/") this.search.focus();
    else if (event.key === "j" || event.key === "k") this.step(event.key === "j" ? 1 : -1);
    else return;
    event.preventDefault();
  }

  step(by) {
    const buttons = [...this.body.querySelectorAll(":scope > tr > td > .open")];
    const place = buttons.indexOf(document.activeElement);
    const next = buttons[place < 0 ? 0 : place + by];
    if (next) next.focus();
    else if (by > 0 && !this.more.hidden) {
      this.showMore();
      this.step(by);
    }
  }
}

function choice(label, options, onchange) {
  const made = options.map(([value, words]) => make("option", { value }, words));
  return make("select", { aria: { label }, title: label, onchange }, made);
}

function hasOutcome(row, wanted) {
  if (wanted === "silent") return row.outcome !== "skip" && Object.keys(row.scores).length === 0;
  return wanted === "" || (wanted === "!pass" ? row.outcome !== "pass" : row.outcome === wanted);
}

function nameOf(row) {
  const params = Object.entries(row.params).map(([name, value]) => `${name}=${shownValue(value)}`);
  const parts = [row.case, ...params, row.repeat ? `repeat ${row.repeat}` : ""].filter(Boolean);
  return parts.join(" · ") || row.id.split("::").pop();
}

function change(each) {
  if (each.change !== "worse" && each.change !== "better") return null;
  return make("div", {}, make("span", { className: `chip ${each.change === "worse" ? "bad" : "good"}` }, each.change === "worse" ? "▼ worse" : "▲ better"));
}

/** Return the names and values of an object; any other value stands for itself. */
function fieldsOf(values) {
  if (values === null || values === undefined) return [];
  return typeof values === "object" && !Array.isArray(values) ? Object.entries(values) : [["output", values]];
}

function valuesCell(values) {
  const entries = fieldsOf(values);
  const parts = entries.flatMap(([name, value], place) => [place ? "  " : "", make("b", {}, `${name}: `), shownValue(value).slice(0, 200)]);
  return make("td", {}, make("div", { className: "brief" }, parts));
}

function scoreLines(row) {
  return Object.entries(row.scores).map(([name, score]) => {
    const before = row.baseline?.scores[name];
    return make("div", {}, `${name} `, make("b", {}, number(score.value)), before === undefined ? "" : ` (${number(before)})`);
  });
}

function toggle(open, line, detail) {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  if (isOpen) line.nextElementSibling.remove();
  else line.after(detail());
}

/** Return the values of one side; those that differ from the other side's are marked. */
function side(title, values, other) {
  const others = new Map(fieldsOf(other));
  const fields = fieldsOf(values).map(([name, value]) => {
    const differs = others.has(name) && JSON.stringify(others.get(name)) !== JSON.stringify(value);
    return make("div", { className: "field" }, make("h4", {}, name), make("pre", { className: differs ? "differs" : "" }, shownValue(value)));
  });
  const nothing = values === null || values === undefined ? "no output" : "nothing";
  return make("div", { className: "side" }, make("h3", {}, title), fields.length ? fields : make("span", { className: "quiet" }, nothing));
}

function scoreSide(row) {
  const lines = Object.entries(row.scores).flatMap(([name, score]) => {
    const before = row.baseline?.scores[name];
    const was = before === undefined ? "" : `, ${number(before)} in the baseline`;
    const details = Object.entries(score.details).map(([label, value]) => `${label}: ${shownValue(value)}`);
    const more = details.map((line) => make("div", { className: "quiet" }, line));
    return [make("dt", {}, name), make("dd", {}, make("b", {}, number(score.value)), was, make("div", {}, score.feedback), more)];
  });
  const columns = Object.entries(row.columns).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, shownValue(value))]);
  const shown = lines.length ? make("dl", {}, lines) : make("span", { className: "quiet" }, "recorded nothing");
  return make("div", { className: "side" }, make("h3", {}, "Scores"), shown, ...(columns.length ? [make("h3", {}, "Columns"), make("dl", {}, columns)] : []));
}

function callDetail(call, place, texts) {
  const tokens = `${call.prompt_tokens} + ${call.completion_tokens} tokens`;
  const cost = call.cost === null ? "" : dollars(call.cost);
  const latency = call.latency === null ? "" : `${number(call.latency)} s`;
  const facts = [call.model, tokens, cost, latency, call.source].filter(Boolean).join(" · ");
  const turns = call.messages === null
    ? [make("p", { className: "quiet" }, "This page leaves the prompt out for its size; the JSON report has it.")]
    : call.messages.map(([role, text]) => turn(role, texts[text]));
  const end = call.source === "failed" ? turn("reply", "The call failed.", "bad") : turn("reply", call.reply, "reply");
  return make("details", {}, make("summary", {}, `LM call ${place + 1}: ${facts}`), ...turns, end);
}

function turn(role, text, kind = "") {
  return make("div", { className: `turn ${kind}` }, make("h4", {}, role), make("pre", {}, text));
}
