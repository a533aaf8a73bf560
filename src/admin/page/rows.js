// SPDX-License-Identifier: MIT
// What the status page shows of a token, a route, an upstream, a failure, the process: one class or function each, which
// knows the members of /status.json and nothing of how they got here.
const FOREVER_S = 10 * 365 * 86400;

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
const isInTrouble = (token) => ["failing", "failed"].includes(token.state);

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
  said.push(`got ${number(counts.tokens)} of ${number(counts.requests)} asked for`);
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

  showFault({ failure, required, token, credential, scope, state: how }) {
    this.fault.hidden = this.remedy.hidden = !failure;
    if (!failure) return;
    // One that is valid is asked for again when an upstream refuses it again.
    const wait = failure.retry_at - state.now, isValid = how === "valid", tries = !isValid && (required || token?.in_use);
    const next = wait <= 0 ? "" : tries ? ` Next try in ${span(wait)}.` : ` Not asked again for ${span(wait)}.`;
    const times = failure.in_a_row > 1 ? `, ${number(failure.in_a_row)} times in a row` : "";
    put(this.fault, `${isValid ? "A newer one could not be had. " : ""}${TOKEN_FAULTS[failure.kind] ?? failure.kind}: ${failure.cause} (${ago(failure.at)}${times}).${next}`);
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
  const usable = tokens.filter(isUsable).length, bad = tokens.filter(isInTrouble).length;
  const open = sum(routes.map((route) => route.in_flight)), requests = sum(total.requests), failed = sum(total.failed);
  const busy = sum(upstreams.map((one) => one.connections.busy)), latest = failures[0];
  return [["Tokens usable", `${number(usable)} of ${number(tokens.length)}${bad ? `, ${number(bad)} failing` : ""}`, bad ? "hurt" : ""],
    ["Requests", `${number(rate(total))}/s${open ? `, ${number(open)} open` : ""}`], ["Failed", requests ? share(failed, requests) : "\u2013", failed ? "hurt" : ""],
    ["Clients", number(clients.open)], ["Upstream connections", `${number(busy)} busy`],
    ["Latest failure", latest ? ago(latest.at) : "none"]];
}
