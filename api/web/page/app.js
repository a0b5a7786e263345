// The dashboard. It draws each frame of the feed and keeps nothing else; what is
// wrong, and since when, the hub has judged.

import { el, text, attr, cls, keyed, $ } from "./dom.js";
import { num, whole, bytes, dur, clock, percent } from "./format.js";
import { stream, setToken, token } from "./feed.js";
import { Chart } from "./chart.js";
import { Topology } from "./topology.js";
import { Nodes, memoryName, memoryMeans } from "./nodes.js";
import { Drawer } from "./drawer.js";
import { Search } from "./search.js";

const SPAN = 600;
let frame = null, heard = 0, why = "", asked = false;

// What the charts draw: lists by name, trimmed to ten minutes.
const past = { time: [], data: { pps: [], dps: [], rps: [], queue: [], memory: [], cpu: [] }, logs: {} };

const charts = {
  packets: new Chart("Packets/s", { unit: num, least: 10, series: [{ key: "pps", color: "c1", area: true }] }),
  drops: new Chart("Dropped packets/s", { unit: num, least: 1, series: [{ key: "dps", color: "cbad", area: true }] }),
  records: new Chart("Records/s", { unit: num, least: 10, series: [] }),
  queue: new Chart("Batches waiting", { unit: num, least: 4, series: [{ key: "queue", color: "c3", area: true }] }),
  memory: new Chart("Memory", { unit: bytes, least: 64 << 20, base: 1 << 20, series: [{ key: "memory", color: "c2", area: true }] }),
};
$("charts").append(...Object.values(charts).map((c) => c.root));

const drawer = new Drawer({ chosen: (name) => { topology.choose(name); nodes.choose(name); }, askToken });
const open = (name) => drawer.open(name);
const topology = new Topology(open), nodes = new Nodes(open), search = new Search();

function remember(f) {
  const t = f.totals, n = past.time.length;
  past.time.push(f.time);
  for (const k of Object.keys(past.data)) past.data[k].push(t[k]);
  const rates = new Map(f.logs.map((l) => [l.path, l.rps]));
  for (const path of rates.keys()) past.logs[path] ||= new Array(n).fill(0);
  for (const [path, v] of Object.entries(past.logs)) v.push(rates.get(path) || 0);
  let old = 0;
  while (past.time[old] < f.time - SPAN - 30) old++;
  if (old > 60) {
    past.time.splice(0, old);
    for (const v of [...Object.values(past.data), ...Object.values(past.logs)]) v.splice(0, old);
  }
}

function history(h) {
  past.time = h.totals.time || [];
  for (const k of Object.keys(past.data)) past.data[k] = h.totals[k] || past.time.map(() => 0);
  past.logs = h.logs || {};
}

// The logs with most records have lines of their own, the rest is one.
function byLog(f) {
  const top = [...f.logs].sort((a, b) => b.produced - a.produced).slice(0, 5).map((l) => l.path);
  const data = {}, rest = new Array(past.time.length).fill(0);
  let others = false;
  for (const [path, v] of Object.entries(past.logs)) {
    if (top.includes(path)) data["log " + path] = v;
    else { others = true; v.forEach((x, i) => { rest[i] += x; }); }
  }
  charts.records.series = top.map((p, i) => ({ key: "log " + p, name: p, color: "c" + (i + 1), area: true, stack: true }));
  if (others) { data.rest = rest; charts.records.series.push({ key: "rest", name: "other", color: "c6", area: true, stack: true }); }
  return data;
}

function drawCharts(f) {
  const t = f.totals, d = past.data;
  charts.packets.draw(past.time, d, (i) => {
    text(charts.packets.value, num(d.pps[i]));
    text(charts.packets.also, num(t.received) + " in all");
    attr(charts.packets.also, "title", whole(t.received) + " since the start");
  });
  charts.drops.draw(past.time, d, (i) => {
    text(charts.drops.value, num(d.dps[i]));
    const sum = d.pps[i] + d.dps[i];
    text(charts.drops.also, (d.dps[i] > 0 ? percent(100 * d.dps[i] / sum) + " of all; " : "") + num(t.dropped) + " since the start");
    attr(charts.drops.also, "title", whole(t.dropped) + " since the start");
    cls(charts.drops.root, "chart" + (t.dps > 0 ? " alarm" : ""));
  });
  const logs = byLog(f);
  charts.records.draw(past.time, logs, (i) => {
    text(charts.records.value, num(d.rps[i]));
    const parts = charts.records.series.map((s) => [s, (logs[s.key] || [])[i] || 0]).filter(([, v], k) => v > 0 || k < 3);
    keyed(charts.records.also, parts, ([s]) => s.key, ([s]) => el("span", {}, el("b", {}, s.name), el("span")), (e, [s, v]) => {
      cls(e.firstChild, "k" + s.color.slice(1));
      text(e.lastChild, " " + num(v) + "  ");
    });
    attr(charts.records.also, "title", charts.records.also.textContent);
  });
  charts.queue.draw(past.time, d, (i) => {
    text(charts.queue.value, num(d.queue[i]));
    text(charts.queue.also, t.rec_dropped + t.rec_lost ? num(t.rec_dropped + t.rec_lost) + " records missing" : "no record is missing");
  });
  charts.memory.draw(past.time, d, (i) => {
    text(charts.memory.value, bytes(d.memory[i]));
    text(charts.memory.head, memoryName(f));
    attr(charts.memory.head, "title", memoryMeans(f));
    text(charts.memory.also, num(d.cpu[i] / 100) + " CPUs busy");
  });
}

function link(name) { return el("button", { type: "button", class: "link", onclick: () => open(name) }, name); }

// withLinks is a text in which names of nodes can be clicked.
function withLinks(s, names) {
  const out = [];
  let rest = s;
  for (;;) {
    let at = -1, who = "";
    for (const n of names) {
      const i = rest.search(new RegExp("(^|[^\\w-])" + n.replace(/[^\w-]/g, "\\$&") + "(?![\\w-])"));
      if (i >= 0 && (at < 0 || i < at)) { at = rest.indexOf(n, i); who = n; }
    }
    if (at < 0) break;
    out.push(rest.slice(0, at), link(who));
    rest = rest.slice(at + who.length);
  }
  out.push(rest);
  return out;
}

const HEAD = { good: "Healthy", warn: "Look here", bad: "Something is wrong" };

function drawVerdict(f) {
  attr(document.body, "data-health", f.health);
  const t = f.totals, kinds = new Set(f.troubles.filter((x) => x.level === "bad").map((x) => x.kind));
  let head = HEAD[f.health];
  if (f.phase === "starting") head = f.health === "bad" ? head : "Starting";
  else if (f.phase === "stopping" || f.phase === "stopped") head = f.phase === "stopped" ? "Stopped" : "Stopping";
  else if (kinds.has("drops")) head = "Dropping packets";
  else if (kinds.has("down") || kinds.has("hangs")) head = t.nodes - t.ready === 1 ? "A node is down" : t.nodes - t.ready + " nodes are down";
  else if (kinds.has("supervisor")) head = "No supervisor";
  else if (kinds.has("records") || kinds.has("write")) head = "Losing records";
  text($("headline"), head);
  const sub = [`${t.ready} of ${t.nodes} nodes ready`];
  const lost = past.data.dps.some((v, i) => v > 0 && past.time[i] > f.time - SPAN);
  if (!lost && !t.dropped) sub.push("no packet dropped");
  else if (!lost) sub.push("no drops of late");
  text($("subline"), sub.join(" · "));
  keyed($("troubles"), f.troubles.slice(0, 8), (x) => x.kind + " " + x.nodes.join(" "), (x) => el("li", {}, el("span", { class: "tag" }), el("span", { class: "what" }), el("span", { class: "since" })), (li, x) => {
    cls(li, x.level);
    text(li.firstChild, x.level === "bad" ? "BAD" : "WARN");
    if (li.said !== x.text) { li.said = x.text; li.children[1].replaceChildren(...withLinks(x.text, x.nodes)); }
    text(li.lastChild, `since ${clock(x.since, f.time)}, ${dur(f.time - x.since)}`);
  });
  document.title = (f.health === "good" ? "" : f.health === "bad" ? "✖ " : "▲ ") + f.cluster + (f.health === "good" ? "" : ": " + head.toLowerCase()) + " – Picket";
}

function drawLogs(f) {
  const logs = [...f.logs].sort((a, b) => b.produced - a.produced || (a.path < b.path ? -1 : 1));
  const top = Math.max(1e-9, ...logs.map((l) => l.rps));
  keyed($("logs-body"), logs, (l) => l.path, (l) => el("tr", {}, el("td", {}, l.path), el("td", { class: "n" }), el("td", { class: "bar" }, el("i")), el("td", { class: "n" }), el("td", { class: "n" })), (tr, l) => {
    const [, rate, bar, all, missing] = tr.children;
    text(rate, num(l.rps)); cls(rate, l.rps > 0 ? "n" : "n zero");
    bar.firstChild.style.width = (100 * l.rps / top).toFixed(1) + "%";
    text(all, num(l.produced)); attr(all, "title", `${whole(l.produced)} made, ${whole(l.written)} written, ${whole(Math.max(0, l.open))} on their way`);
    const gone = l.dropped + l.lost;
    text(missing, num(gone)); cls(missing, gone ? "n alarm" : "n zero");
    attr(missing, "title", gone ? `${whole(l.dropped)} dropped, ${whole(l.lost)} lost with a process` : null);
  });
  text($("logs-sum"), f.logs.length ? num(f.totals.produced) + " records" : "no records yet");
}

function drawEvents(f) {
  const all = [...f.events].reverse(), seen = new Map();
  keyed($("events-list"), all, (e) => { const k = e.time + e.node + e.text, n = seen.get(k) || 0; seen.set(k, n + 1); return k + n; },
    (e) => el("li", {}, el("time", { datetime: new Date(e.time * 1000).toISOString() }, clock(e.time)), el("span", { class: "who", title: e.node }, e.node || "cluster"), el("span", { class: "what" }, e.text)), () => {});
}

function drawDoors(f) {
  keyed($("doors"), f.doors, (d) => d.kind + d.node, () => el("span"), (e, d) => {
    text(e, `${d.kind} of ${d.node}: ${d.url || "closed: " + d.trouble}` + (d.url ? ` (${d.clients})` + (d.trouble ? ": " + d.trouble : "") : ""));
  });
  text($("foot"), [...f.problems, `the look took ${(f.took * 1000).toFixed(0)} ms`].join(" · "));
}

function draw(f) {
  const run = frame && frame.run;
  if (run && run !== f.run) history({ totals: {}, logs: {} });
  frame = f;
  remember(f);
  text($("cluster"), f.cluster);
  text($("phase"), f.phase + " · since " + clock(f.started, f.time) + " · " + dur(f.time - f.started));
  drawVerdict(f);
  drawCharts(f);
  topology.update(f);
  drawLogs(f);
  nodes.update(f);
  drawEvents(f);
  drawDoors(f);
  search.update(f);
  drawer.update(f);
}

const feed = stream({
  line(m) {
    if (m.error) { why = m.error; return; }
    heard = Date.now();
    why = "";
    asked = false;
    if (m.history) history(m.history);
    else draw(m);
    live();
  },
  down(e) {
    why = e.message;
    // Once: who closes the dialog is not asked again and again.
    if (e.status === 401 && !asked && !$("token").open) askToken(e.token ? e.message : "Reading needs a token here, of somebody with the role read or operate.", null);
    live();
  },
});

// live says how old the picture is: an old one must not look like a new one.
function live() {
  const age = (Date.now() - heard) / 1000, fresh = heard > 0 && age < 4;
  attr($("live"), "data-live", fresh ? "yes" : "no");
  text($("live").lastChild, fresh ? "live" : heard ? "old" : "connecting");
  $("stale").hidden = fresh || (!heard && !why);
  document.body.classList.toggle("stale", !fresh && heard > 0);
  if (!fresh) text($("stale"), heard ? `No news for ${dur(age)}${why ? ": " + why : ""}. What you see is from ${clock(heard / 1000)}. Is the hub up? picket status tells.` : why);
}
setInterval(live, 1000);

// Tokens.
let after = null;
function askToken(say, then) {
  after = then;
  asked = true;
  tokenHeld();
  text($("token-why"), say || "Restarting a node needs the token of somebody with the role operate. It is kept in this tab only, until you close it.");
  $("token-text").value = "";
  attr($("token-forget"), "hidden", !token());
  $("token").showModal();
  $("token-text").focus();
}
$("token-open").addEventListener("click", () => askToken("", null));
$("token-text").addEventListener("keydown", (e) => { if (e.key === "Enter") { e.preventDefault(); $("token").close("use"); } });
$("token").addEventListener("close", () => {
  const how = $("token").returnValue, t = $("token-text").value.trim();
  $("token-text").value = "";
  $("token").returnValue = "";
  if (how === "forget") setToken("");
  if (how === "use" && t) { setToken(t); asked = false; feed.again(); if (after) after(); }
  tokenHeld();
});
function tokenHeld() { text($("token-open"), token() ? "Token ✓" : "Token"); }
tokenHeld();

// Colours.
const THEMES = ["auto", "light", "dark"];
function theme(t) {
  attr(document.documentElement, "data-theme", t === "auto" ? null : t);
  text($("theme"), t[0].toUpperCase() + t.slice(1));
  attr($("theme"), "aria-label", "Colours: " + t);
}
let colours = "auto";
try { colours = localStorage.getItem("picket.theme") || "auto"; } catch { /* a browser that keeps nothing */ }
if (!THEMES.includes(colours)) colours = "auto";
theme(colours);
$("theme").addEventListener("click", () => {
  colours = THEMES[(THEMES.indexOf(colours) + 1) % THEMES.length];
  try { localStorage.setItem("picket.theme", colours); } catch { /* likewise */ }
  theme(colours);
});
