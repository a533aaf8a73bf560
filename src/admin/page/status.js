// SPDX-License-Identifier: MIT
// The status page: asks /status.json every two seconds and shows what it says. Elements are made one by one
// and filled as text, never from markup: authorization servers and upstreams write some of these words.
// Moments are the server's: the browser's clock only counts on from the document's `now`.
"use strict";

const EVERY_MS = 2000, SLOWEST_MS = 30000, PATIENCE_MS = 15000;
const ROWS_MAX = 100; // of each kind; a browser must survive ten thousand routes
const FOREVER_S = 10 * 365 * 86400;
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
const share = (part, whole) => (whole ? `${number((100 * part) / whole)} %` : "0 %");
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
    const low = failed.map((count, i) => (count ? Math.max(2, (HEIGHT * count) / most) : 0));
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

// -- tokens ---------------------------------------------------------------------------------------

const STATES = {
  none: ["idle", "not asked for"],
  fetching: ["busy", "being fetched"],
  valid: ["ok", "valid"],
  due: ["busy", "due for renewal"],
  failing: ["warn", "valid, renewal fails"],
  failed: ["bad", "no token"],
};
const TOKEN_FAULTS = {
  unreachable: "The authorization server cannot be reached",
  timeout: "The authorization server did not answer in time",
  waited: "None came in time",
  transient: "The authorization server has trouble of its own",
  refused: "The authorization server refuses",
  malformed: "The authorization server's answer is no token",
  local: "bearerd could not ask",
};

const keyOfToken = (token) => JSON.stringify([token.credential, token.scope, token.audience, token.resource, token.details]);
const isUsable = (token) => ["valid", "due", "failing"].includes(token.state);

function identity(token) {
  const scopes = (token.scope ?? "").split(" ").filter(Boolean).map((scope) => [scope, "chip"]);
  if (!scopes.length) scopes.push(["no scope", "quiet"]);
  if (token.audience) scopes.push([`audience ${token.audience}`, "chip"]);
  for (const resource of token.resource) scopes.push([`resource ${resource}`, "chip"]);
  if (token.details) scopes.push([`details ${token.details}`, "chip"]);
  return scopes;
}

function usersOf(routes) {
  const list = routes.slice(0, 8).map((name) => [name, "chip"]);
  if (routes.length > 8) list.push([`and ${number(routes.length - 8)} more`, "quiet"]);
  return list.length ? [["used by", "quiet"], ...list] : [["used by no route", "quiet"]];
}

function historyOf(token) {
  const { counts, hook } = token, life = token.token;
  const said = [token.source, token.header !== "Authorization" && `sent as ${token.header}`];
  if (life) said.push(`fingerprint ${life.fingerprint}`, life.bound && "bound (DPoP)", life.fetch_s && `took ${length(life.fetch_s * 1000)}`);
  said.push(`${many(counts.tokens, "token")} of ${many(counts.requests, "request")}`);
  said.push(counts.from_store && `${number(counts.from_store)} from the store`, counts.refusals && `refused by an upstream ${many(counts.refusals, "time")}`);
  said.push(life?.granted_scope && `granted: ${life.granted_scope}`, hook?.failures && `hook failed ${many(hook.failures, "time")}`);
  return said.filter(Boolean).join(" \u00b7 ");
}

function renewal(token) {
  const { renew_at, in_use } = token.token, left = renew_at - state.now;
  if (left > 0) return in_use || token.required ? `renewed in ${span(left)}` : `due in ${span(left)}`;
  return in_use || token.required ? `due since ${span(-left)}` : "due, renewed when it is asked for";
}

class TokenRow {
  constructor() {
    this.name = make("bdi");
    this.state = make("span");
    this.required = make("span", { class: "badge plain" }, "required");
    this.scopes = make("p", { class: "words" });
    this.zone = make("i", { class: "zone" });
    this.spent = make("i", { class: "spent" });
    this.bar = make("div", { class: "bar", role: "img" }, this.zone, this.spent);
    this.ends = [make("span"), make("span"), make("span")];
    this.fault = make("p", { class: "fault" });
    this.remedy = make("p", { class: "remedy" });
    this.users = make("p", { class: "words" });
    this.history = make("p", { class: "quiet small" });
    this.node = make("li", {}, make("h3", {}, this.name, this.state, this.required), this.scopes, this.bar,
      make("p", { class: "ends", "aria-hidden": "true" }, ...this.ends), this.fault, this.remedy, this.users, this.history);
  }

  show(token) {
    const [kind, text] = STATES[token.state] ?? ["idle", token.state];
    attribute(this.node, "class", kind);
    put(this.name, token.credential);
    badge(this.state, kind, text);
    this.required.hidden = !token.required;
    words(this.scopes, identity(token));
    this.showLife(token);
    this.showFault(token);
    words(this.users, usersOf(token.routes));
    put(this.history, historyOf(token) + (token.waiting ? ` \u00b7 ${many(token.waiting, "request")} waiting` : ""));
  }

  showLife(token) {
    const life = token.token, ends = life && token.token.unusable_at - life.fetched_at < FOREVER_S;
    const whole = life ? life.unusable_at - life.fetched_at : 1;
    const percent = (at) => `${Math.min(100, Math.max(0, (100 * (at - life.fetched_at)) / whole)).toFixed(3)}%`;
    attribute(this.bar, "class", life ? "bar" : "bar empty");
    this.zone.style.left = ends ? percent(life.renew_at) : "100%";
    this.spent.style.width = ends ? percent(state.now) : "0";
    const left = life ? life.unusable_at - state.now : 0;
    const said = !life ? ["", STATES[token.state]?.[1] ?? "", ""]
      : !ends ? [`fetched ${ago(life.fetched_at)}`, "", "does not expire"]
      : [`fetched ${ago(life.fetched_at)}`, renewal(token), left > 0 ? `unusable in ${span(left)}` : "unusable"];
    said.forEach((text, i) => put(this.ends[i], text));
    // A moment does not change every second: nothing is to be read out again and again.
    attribute(this.bar, "aria-label", !life ? `no token: ${said[1]}` : !ends ? "a token that does not expire"
      : `fetched at ${clock(life.fetched_at)}, due for renewal at ${clock(life.renew_at)}, unusable at ${clock(life.unusable_at)}`);
  }

  showFault({ failure, required, token, credential, scope }) {
    this.fault.hidden = this.remedy.hidden = !failure;
    if (!failure) return;
    const wait = failure.retry_at - state.now, tries = required || token?.in_use;
    const next = wait <= 0 ? "" : tries ? ` Next try in ${span(wait)}.` : ` Not asked again for ${span(wait)}.`;
    const times = failure.in_a_row > 1 ? `, ${number(failure.in_a_row)} times in a row` : "";
    put(this.fault, `${TOKEN_FAULTS[failure.kind] ?? failure.kind}: ${failure.cause} (${ago(failure.at)}${times}).${next}`);
    const known = state.document.failures.find((one) => one.credential === credential && one.scope === (scope ?? "") && one.kind === failure.kind);
    this.remedy.hidden = !known?.remedy;
    put(this.remedy, known?.remedy ?? "");
  }
}

// -- routes and upstreams -------------------------------------------------------------------------

class RouteRow {
  constructor() {
    const cell = (name, ...inner) => make("td", { role: "cell", "data-name": name }, ...inner);
    this.name = make("bdi", { class: "name" });
    this.match = make("p", { class: "words small" });
    this.way = make("p", { class: "words small" });
    this.chart = new Chart();
    this.cells = ["Requests", "Failed", "Median", "99 %", "Now", "Since start"].map((name) => cell(name));
    const [requests, ...rest] = this.cells;
    this.node = make("tr", { role: "row" },
      make("th", { role: "rowheader", scope: "row" }, this.name, this.match, this.way), requests, cell("Five minutes", this.chart.node), ...rest);
  }

  show(route) {
    const { recent, duration } = route;
    const requests = recent ? sum(recent.requests) : ended(route), failed = recent ? sum(recent.failed) : route.failed;
    const shown = route.match.slice(0, 4).map((match) => [match, "code"]);
    if (route.match.length > 4) shown.push([`and ${number(route.match.length - 4)} more`, "quiet"]);
    put(this.name, route.name);
    words(this.match, shown);
    words(this.way, [...(route.upstream ? [[`\u2192 ${route.upstream}`, "quiet"]] : []), ...route.tokens.map((place) => this.token(place))]);
    this.chart.show(recent);
    const times = (key) => (duration.count ? length(duration[key]) : "\u2013");
    const now = route.in_flight ? `${number(route.in_flight)} open` : "\u2013";
    const texts = [recent ? `${number(rate(recent))}/s` : "\u2013", requests ? share(failed, requests) : "\u2013", times("p50_ms"), times("p99_ms"),
      route.waiting_for_token ? `${now}, ${number(route.waiting_for_token)} wait for a token` : now,
      ended(route) ? `${number(ended(route))}${route.failed ? `, ${number(route.failed)} failed` : ""}` : "none"];
    this.cells.forEach((cell, i) => put(cell, texts[i]));
    attribute(this.cells[1], "class", failed ? "number hurt" : "number");
    for (const i of [0, 2, 3, 4, 5]) attribute(this.cells[i], "class", "number");
  }

  token(place) {
    const token = state.document.tokens[place];
    if (!token) return ["", ""];
    const [kind, text] = STATES[token.state] ?? ["idle", token.state];
    return [`${token.credential}: ${text}`, `mark ${kind}`];
  }
}

const faultName = (kind) => kind.replaceAll("_", " ");
const PARTS = ["busy", "connecting", "idle"];

class UpstreamRow {
  constructor() {
    this.name = make("bdi");
    this.tls = make("span");
    this.authority = make("p", { class: "words" });
    this.parts = PARTS.map((part) => make("i", { class: part }));
    this.pool = make("div", { class: "pool", role: "img" }, ...this.parts);
    this.numbers = make("p", { class: "small" });
    this.faults = make("p", { class: "words" });
    this.other = make("p", { class: "quiet small" });
    this.node = make("li", {}, make("h3", {}, this.name, this.tls), this.authority, this.pool, this.numbers, this.faults, this.other);
  }

  show({ name, authority, tls, connections, failures }) {
    const failed = Object.entries(failures).filter(([, count]) => count);
    attribute(this.node, "class", connections.waiting ? "warn" : "");
    put(this.name, name);
    badge(this.tls, tls ? "ok" : "plain", tls ? "TLS" : "plain HTTP");
    words(this.authority, [[authority, "code"]]);
    PARTS.forEach((part, i) => (this.parts[i].style.width = `${(100 * connections[part]) / Math.max(1, connections.max)}%`));
    const said = `${number(connections.busy)} busy, ${number(connections.connecting)} connecting, ${number(connections.idle)} idle, of at most ${number(connections.max)}`;
    attribute(this.pool, "aria-label", `connections: ${said}`);
    put(this.numbers, connections.waiting ? `${said}; ${many(connections.waiting, "request")} waiting for one` : said);
    words(this.faults, failed.map(([kind, count]) => [`${number(count)} \u00d7 ${faultName(kind)}`, "chip hurt"]));
    put(this.other, `${many(connections.begun, "connection")} begun`);
  }
}

// -- failures, process, alerts --------------------------------------------------------------------

class FailureRow {
  constructor() {
    this.when = make("span", { class: "quiet small" });
    this.head = make("p", { class: "words" });
    this.cause = make("p", { class: "cause" });
    this.remedy = make("p", { class: "remedy" });
    this.node = make("li", {}, this.head, this.when, this.cause, this.remedy);
  }

  show(one) {
    const subject = one.of === "token" ? [["token", "quiet"], [one.credential, "name"], [one.scope || "no scope", "quiet"]]
      : [["upstream", "quiet"], [one.upstream, "name"], ...(one.route ? [[`route ${one.route}`, "quiet"]] : [])];
    words(this.head, [[faultName(one.kind), "badge bad"], ...subject]);
    put(this.when, `${clock(one.at)}, ${ago(one.at)}${one.count > 1 ? `, ${number(one.count)} times since ${clock(one.first_at)}` : ""}`);
    put(this.cause, one.cause);
    this.remedy.hidden = !one.remedy;
    put(this.remedy, one.remedy ?? "");
  }
}

class FactRow {
  constructor() {
    this.name = make("dt");
    this.value = make("dd");
    this.node = make("div", {}, this.name, this.value);
  }

  show([name, value, kind = ""]) {
    put(this.name, name);
    put(this.value, value);
    attribute(this.value, "class", kind);
  }
}

class AlertRow {
  constructor() {
    this.title = make("strong");
    this.text = make("pre");
    this.node = make("div", {}, this.title, this.text);
  }

  show({ kind, title, text = "" }) {
    attribute(this.node, "class", `alert ${kind}`);
    put(this.title, title);
    this.text.hidden = !text;
    const lines = text.split("\n").map((line) => clean(line)).join("\n");
    if (this.text.textContent !== lines) this.text.textContent = lines;
  }
}

function alertsOf({ process, config, tokens, store }) {
  const alerts = [];
  const missing = tokens.filter((token) => token.required && !isUsable(token));
  if (config.reloads.last_failed)
    alerts.push({ kind: "bad", title: `The last reload was refused. The configuration of ${clock(config.loaded_at)} is in force, not what ${config.path} says now.`, text: config.reloads.last_error ?? "" });
  if (process.phase === "draining") alerts.push({ kind: "warn", title: "Draining: what is under way ends, then bearerd exits." });
  else if (!process.ready)
    alerts.push({ kind: "bad", title: missing.length ? "Not ready: required tokens are missing." : "Not ready.",
      text: missing.slice(0, 10).map((token) => `${token.credential}: ${token.scope || "no scope"}`).join("\n") });
  if (store && !store.up) alerts.push({ kind: "warn", title: "The store cannot be reached: tokens are not shared with other processes." });
  return alerts;
}

function factsOf({ process, config, clients, store }) {
  const { reloads } = config;
  const facts = [["Instance", process.instance], ["Process", `${process.pid}, ${many(process.workers, "worker")}`],
    ["Started", `${clock(process.started_at)}, ${ago(process.started_at)}`], ["Listens on", process.listen.join(", ")],
    ["Clients", `${number(clients.open)} of at most ${number(clients.max)} connected, ${number(clients.accepted)} since the start`],
    ["Processor", `${state.load === null ? "" : `${number(100 * state.load)} % of one core, `}${span(process.cpu_s)} in all`], ["Memory", bytes(process.resident_bytes)],
    ["Descriptors", `${number(process.open_fds)} of ${number(process.max_fds)}`, process.open_fds > 0.8 * process.max_fds ? "hurt" : ""],
    ["Log level", process.log_level], ["Configuration", `${config.path}, loaded ${clock(config.loaded_at)}`],
    ["Reloads", `${number(reloads.done)} done, ${number(reloads.failed)} refused${reloads.last_failed ? ", the last one too" : ""}`, reloads.last_failed ? "hurt" : ""]];
  if (store)
    facts.push(["Store", `${store.up ? "reached" : "cannot be reached"}; ${number(store.loads)} loads, ${number(store.puts)} puts, ${many(store.errors, "error")}${store.unreadable ? `, ${number(store.unreadable)} unreadable` : ""}`, store.up ? "" : "hurt"]);
  else facts.push(["Store", "none: tokens stay in this process"]);
  return [...facts, ["Libraries", `libmicrohttpd ${process.libmicrohttpd}, ${process.libcurl}`]];
}

function tilesOf({ tokens, routes, clients, upstreams, failures }, total) {
  const usable = tokens.filter(isUsable).length, bad = tokens.filter((token) => token.failure).length;
  const open = sum(routes.map((route) => route.in_flight)), requests = sum(total.requests), failed = sum(total.failed);
  const busy = sum(upstreams.map((one) => one.connections.busy)), latest = failures[0];
  return [["Tokens usable", `${number(usable)} of ${number(tokens.length)}${bad ? `, ${number(bad)} failing` : ""}`, bad ? "hurt" : ""],
    ["Requests", `${number(rate(total))}/s${open ? `, ${number(open)} open` : ""}`], ["Failed", requests ? share(failed, requests) : "\u2013", failed ? "hurt" : ""],
    ["Clients", number(clients.open)], ["Upstream connections", `${number(busy)} busy`],
    ["Latest failure", latest ? ago(latest.at) : "none"]];
}

// -- what is shown --------------------------------------------------------------------------------

const state = { document: null, now: 0, base: 0, load: null, cells: [], total: null, chosen: {}, since: null, fault: "" };
const parts = {
  alerts: new Rows(byId("alerts"), AlertRow), tiles: new Rows(byId("tiles"), FactRow), tokens: new Rows(byId("tokens"), TokenRow),
  routes: new Rows(byId("routes"), RouteRow), upstreams: new Rows(byId("upstreams"), UpstreamRow), failures: new Rows(byId("failures"), FailureRow),
  process: new Rows(byId("process"), FactRow),
};
const totalChart = new Chart();
byId("total-chart").append(totalChart.node);

// Trouble first, then traffic; all in their order where there is room for all.
const RANKS = {
  tokens: (token) => [token.failure ? 1 : 0, token.waiting, token.token ? 1 : 0],
  routes: (route) => [route.recent ? sum(route.recent.failed) : route.failed, route.in_flight, route.recent ? sum(route.recent.requests) : 0, ended(route)],
  upstreams: (upstream) => [upstream.connections.waiting, sum(Object.values(upstream.failures)), upstream.connections.busy],
};
const WORDS = {
  tokens: (token) => [token.credential, token.scope, token.audience, ...token.routes],
  routes: (route) => [route.name, route.upstream, ...route.match],
  upstreams: (upstream) => [upstream.name, upstream.authority],
};

function choose(kind, all) {
  const wanted = byId("filter").value.trim().toLowerCase();
  const found = wanted ? all.filter((one) => WORDS[kind](one).some((word) => word?.toLowerCase().includes(wanted))) : all;
  let shown = found;
  if (found.length > ROWS_MAX) {
    const ranked = found.map((one) => [RANKS[kind](one), one]);
    ranked.sort(([a], [b]) => b.reduce((order, value, i) => order || value - a[i], 0));
    shown = ranked.slice(0, ROWS_MAX).map(([, one]) => one);
  }
  const of = wanted ? `${number(found.length)} of ${number(all.length)} match` : number(all.length);
  put(byId(`${kind}-note`), shown.length < found.length ? `${of}; ${number(shown.length)} shown, trouble and traffic first; the filter finds the others` : of);
  return shown;
}

function chooseAll() {
  for (const kind of ["tokens", "upstreams"]) state.chosen[kind] = choose(kind, state.document[kind]);
  state.chosen.routes = choose("routes", state.cells);
}

function showPhase({ process, tokens }) {
  const bad = tokens.filter((token) => token.failure).length;
  const [kind, text] = process.phase === "running" ? (process.ready ? ["ok", "ready"] : ["bad", "not ready"]) : ["warn", process.phase];
  badge(byId("phase"), kind, text);
  put(byId("instance"), process.instance);
  put(byId("version"), `bearerd ${process.version}`);
  const colour = kind === "bad" || state.since ? "c22e2e" : kind === "warn" || bad ? "c98a00" : "1a7f4e";
  attribute(byId("icon"), "href", `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='%23${colour}'/></svg>`);
  document.title = clean(`${state.since ? "no answer" : bad ? `${text}, ${number(bad)} failing` : text} \u00b7 bearerd ${process.instance}`);
}

function show() {
  const { document: said } = state;
  state.now = state.base + performance.now() / 1000;
  showPhase(said);
  const lost = state.since ? [{ kind: "bad", title: `bearerd does not answer since ${state.since}. What is below is what it said last.`, text: state.fault }] : [];
  parts.alerts.show([...lost, ...alertsOf(said)], (alert) => alert.title);
  parts.tiles.show(tilesOf(said, state.total), ([name]) => name);
  parts.tokens.show(state.chosen.tokens, keyOfToken);
  parts.routes.show(state.chosen.routes, (route) => JSON.stringify([route.name, route.upstream]));
  parts.upstreams.show(state.chosen.upstreams, (upstream) => upstream.name);
  parts.failures.show(said.failures, (one) => JSON.stringify([one.of, one.credential, one.upstream, one.scope, one.route, one.kind, one.cause]));
  parts.process.show(factsOf(said), ([name]) => name);
}

function accept(said) {
  const before = state.document;
  if (before && before.process.version !== said.process.version) location.reload(); // its page may be another, too
  const isSame = before?.process.pid === said.process.pid && before.process.started_at === said.process.started_at;
  state.load = isSame && said.now > before.now ? Math.max(0, said.process.cpu_s - before.process.cpu_s) / (said.now - before.now) : null;
  Object.assign(state, { document: said, base: said.now - performance.now() / 1000, now: said.now, since: null });
  state.cells = cellsOf(said);
  state.total = addUp(state.cells);
  chooseAll();
  put(byId("total-peak"), `at most ${number(totalChart.show(state.total))} a second`);
  put(byId("failures-note"), said.failures.length ? number(said.failures.length) : "none");
  byId("filter-line").hidden = said.tokens.length + said.routes.length + said.upstreams.length < 12;
  for (const section of document.querySelectorAll("section")) section.hidden = false;
  show();
}

// -- asking ---------------------------------------------------------------------------------------

const asking = { timer: 0, wait: EVERY_MS, isOpen: false };

function live(kind, text) {
  attribute(byId("live"), "class", kind);
  put(byId("live"), text);
  attribute(document.body, "class", kind);
}

function lose(fault) {
  asking.wait = Math.min(SLOWEST_MS, 2 * asking.wait);
  state.fault = fault;
  state.since ??= new Date().toLocaleTimeString("sv");
  live("lost", `no answer since ${state.since}`);
  if (state.document) show();
  else parts.alerts.show([{ kind: "bad", title: `bearerd does not answer since ${state.since}.`, text: fault }], (alert) => alert.title);
}

async function ask() {
  clearTimeout(asking.timer);
  if (asking.isOpen) return;
  asking.isOpen = true;
  const began = performance.now();
  try {
    const answer = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status === 401) throw new Error("The key is not accepted: load this page again.");
    if (!answer.ok) throw new Error(`It answers with status ${answer.status}.`);
    accept(await answer.json());
    // A document that takes long is asked for more seldom.
    asking.wait = Math.min(SLOWEST_MS, Math.max(EVERY_MS, 10 * (performance.now() - began)));
    live("live", `live, every ${number(asking.wait / 1000)} s`);
  } catch (fault) {
    lose(fault.name === "TimeoutError" ? "It takes connections, but does not answer." : fault.message);
  }
  asking.isOpen = false;
  if (!document.hidden) asking.timer = setTimeout(ask, asking.wait);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(asking.timer);
  if (document.hidden) live("paused", "paused");
  else ask();
});
setInterval(() => document.hidden || !state.document || show(), 1000);
byId("filter").addEventListener("input", () => {
  chooseAll();
  show();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || document.activeElement === byId("filter") || byId("filter-line").hidden) return;
  event.preventDefault();
  byId("filter").focus();
});
ask();
