"use strict";
// Elements are made from values; text is only ever set as text, so nothing from a report is read as HTML.

/** Return an element with properties and children; a property that is an object sets attributes, as in `aria`. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "aria") for (const [key, each] of Object.entries(value)) element.setAttribute(`aria-${key}`, each);
    else if (name === "scope" || name === "for" || name === "role" || name === "colspan") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}

/** Return a number with as many decimals as its interval gives sense to: two digits of the interval's width. */
function measured(value, { low, high }) {
  if (value === null || value === undefined) return "–";
  const width = low === null || low === undefined ? 0 : high - low;
  return width > 0 ? value.toFixed(Math.min(Math.max(1 - Math.floor(Math.log10(width)), 0), 12)) : number(value);
}

function interval(row) {
  return row.low === null || row.low === undefined ? "–" : `${measured(row.low, row)} to ${measured(row.high, row)}`;
}

function dollars(value) {
  return value === null || value === undefined ? "–" : `$${Number(value.toPrecision(3))}`;
}

function shownValue(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}

const KINDS = {
  OK: "good", pass: "good", FAIL: "bad", miss: "bad", error: "bad",
  improved: "good", recompiled: "good", "not better": "odd", regressed: "bad",
  INCONCLUSIVE: "odd", "NOT EVALUATED": "odd", skip: "odd",
};

function chip(word) {
  return make("span", { className: `chip ${KINDS[word] ?? ""}` }, word);
}

/** Return a table; each column is `[heading, cell of a row, class]`. */
function table(columns, rows, properties = {}) {
  const heads = columns.map(([heading, , kind]) => make("th", { scope: "col", className: kind ?? "" }, heading));
  const lines = rows.map((row) => make("tr", {}, columns.map(([, cell, kind]) => make("td", { className: kind ?? "" }, cell(row)))));
  return make("div", { className: "wide" }, make("table", properties, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, lines)));
}

function section(id, ...children) {
  const found = document.getElementById(id);
  found.hidden = false;
  found.append(...children);
  return found;
}
