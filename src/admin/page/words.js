// SPDX-License-Identifier: MIT
// The status page's words and elements: numbers and moments as text, elements that are changed only where they
// differ, charts. Elements are made one by one and filled as text, never from markup: authorization servers and
// upstreams write some of these words. Moments are the server's: the browser's clock only counts on from its `now`.
"use strict";

const byId = (id) => document.getElementById(id);

// -- text -----------------------------------------------------------------------------------------

// What controls, hides or turns round the text beside it is shown by its number.
const UNSEEN = /[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const byNumber = (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`;

function clean(text, most = 600) {
  const all = String(text);
  return (all.length > most ? `${all.slice(0, most)}\u2026` : all).replace(UNSEEN, byNumber);
}

const many = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
// Few of many are not none.
function share(part, whole) {
  const percent = whole ? (100 * part) / whole : 0;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${number(percent)} %`;
}
const sum = (values) => values.reduce((a, b) => a + b, 0);

function bytes(value) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (value < 1024) return `${number(value)} ${unit}`;
    value /= 1024;
  }
  return `${number(value)} GiB`;
}

function length(ms) {
  if (ms < 1000) return `${number(ms)} ms`;
  return `${number(ms / 1000)} s`;
}

const two = (value) => String(value).padStart(2, "0");

function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const m = Math.floor(s / 60), hours = Math.floor(m / 60), days = Math.floor(hours / 24);
  if (s < 60) return `${s} s`;
  if (hours < 1) return m < 10 ? `${m} min ${two(s % 60)} s` : `${m} min`;
  return days < 1 ? `${hours} h ${two(m % 60)} min` : `${days} d ${hours % 24} h`;
}

function clock(at) {
  const when = new Date(at * 1000), day = when.toLocaleDateString("sv");
  const time = when.toLocaleTimeString("sv");
  return day === new Date(state.now * 1000).toLocaleDateString("sv") ? time : `${day} ${time}`;
}

const ago = (at) => `${span(state.now - at)} ago`;

// -- elements -------------------------------------------------------------------------------------

function make(name, attributes = {}, ...inner) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...inner);
  return node;
}

// Only what has changed is touched: selections stay, and screen readers are not told the same again.
function put(node, text) {
  const shown = clean(text);
  if (node.textContent !== shown) node.textContent = shown;
}

function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function badge(node, kind, text) {
  attribute(node, "class", `badge ${kind}`);
  put(node, text);
}

// Words in a row, each set apart from the other whichever way it is written.
function words(node, list) {
  const key = list.map(([text, kind = ""]) => `${kind}\n${text}`).join("\0");
  if (node.words === key) return;
  node.words = key;
  node.replaceChildren(...list.map(([text, kind = ""]) => make("bdi", { class: kind }, clean(text))));
}

// Elements for items, kept by their keys, so that each goes on where it was: Row.node, Row.show(item).
class Rows {
  constructor(parent, Row) {
    Object.assign(this, { parent, Row, rows: new Map() });
  }

  show(items, keyOf) {
    const rows = new Map();
    for (const item of items) {
      let key = keyOf(item);
      while (rows.has(key)) key += "'";
      const row = this.rows.get(key) ?? new this.Row();
      this.rows.delete(key);
      rows.set(key, row);
      row.show(item);
    }
    for (const row of this.rows.values()) row.node.remove();
    let at = this.parent.firstElementChild;
    for (const { node } of rows.values()) {
      if (node === at) at = at.nextElementSibling;
      else this.parent.insertBefore(node, at);
    }
    this.rows = rows;
  }
}

// -- charts ---------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg", HEIGHT = 24;

class Chart {
  constructor() {
    this.node = document.createElementNS(SVG, "svg");
    this.title = document.createElementNS(SVG, "title");
    this.paths = ["good", "failed"].map((kind) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", kind);
      return path;
    });
    this.node.append(this.title, ...this.paths);
    for (const [key, value] of [["class", "chart"], ["role", "img"], ["preserveAspectRatio", "none"]]) this.node.setAttribute(key, value);
  }

  // Returns the highest rate, in requests a second.
  show(recent) {
    const { requests, failed, step_s } = recent ?? { requests: [], failed: [], step_s: 5 };
    const most = Math.max(1, ...requests), tall = requests.map((count) => (HEIGHT * count) / most);
    const bar = (x, from, to) => (to > from ? `M${x} ${(HEIGHT - from).toFixed(2)}V${(HEIGHT - to).toFixed(2)}h.8V${(HEIGHT - from).toFixed(2)}z` : "");
    // A single failure among thousands is to be seen.
    const low = failed.map((count, i) => (count ? Math.max(1.2, (HEIGHT * count) / most) : 0));
    attribute(this.node, "viewBox", `0 0 ${requests.length || 60} ${HEIGHT}`);
    attribute(this.paths[0], "d", tall.map((to, x) => bar(x, low[x], Math.max(to, to && 1))).join(""));
    attribute(this.paths[1], "d", low.map((to, x) => bar(x, 0, to)).join(""));
    const peak = requests.length ? Math.max(0, ...requests) / step_s : 0;
    const text = recent
      ? `${many(sum(requests), "request")} in five minutes, at most ${number(peak)} a second, ${number(sum(failed))} failed`
      : "no history is kept for this one";
    attribute(this.node, "aria-label", text);
    put(this.title, text);
    return peak;
  }
}

function addUp(cells) {
  const total = { step_s: 5, requests: Array(60).fill(0), failed: Array(60).fill(0) };
  for (const { recent } of cells)
    for (let i = 0; recent && i < 60; i++) {
      total.requests[i] += recent.requests[i];
      total.failed[i] += recent.failed[i];
    }
  return total;
}

// Requests a second in the last minute, or as long as there is something to tell of.
function rate({ requests, step_s }) {
  const steps = Math.max(1, Math.min(12, Math.floor((state.now - state.document.process.started_at) / step_s)));
  return sum(requests.slice(-steps)) / (steps * step_s);
}
const ended = (cell) => sum(Object.values(cell.requests));

// Requests that met no route, or no upstream, stand where the routes stand.
function cellsOf({ routes, upstreams, without_upstream }) {
  const cells = upstreams.map(({ name, without_route }) => ({ ...without_route, name: "no route", upstream: name, match: [], tokens: [] }));
  cells.push({ ...without_upstream, name: "no upstream", upstream: "", match: [], tokens: [] });
  return [...routes, ...cells.filter((cell) => ended(cell) + cell.in_flight > 0)];
}
