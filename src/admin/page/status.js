// SPDX-License-Identifier: MIT
// The status page's life: asks /status.json every two seconds, chooses what there is room for, shows it, and says so
// when there is no answer. words.js and rows.js stand before it.
const EVERY_MS = 2000, SLOWEST_MS = 30000, PATIENCE_MS = 15000;
const ROWS_MAX = 100; // of each kind; a browser must survive ten thousand routes

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
  const bad = tokens.filter(isInTrouble).length;
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
  parts.failures.show(said.failures, (one) => JSON.stringify([one.of, one.credential, one.upstream, one.scope, one.kind, one.error]));
  parts.process.show(factsOf(said), ([name]) => name);
}

function accept(said) {
  if (said.schema !== 1) throw new Error("Its status.json is not the one this page knows: load the page again.");
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

// How often it asks is not to be read out each time that it changes.
function live(kind, text, pace = "") {
  put(byId("pace"), pace);
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
    live("live", "live", `every ${number(asking.wait / 1000)} s`);
  } catch (fault) {
    lose(fault.name === "TimeoutError" ? "It takes connections, but does not answer." : fault.message);
  } finally {
    asking.isOpen = false;
    if (document.hidden) live("paused", "paused");
    else asking.timer = setTimeout(ask, asking.wait);
  }
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
