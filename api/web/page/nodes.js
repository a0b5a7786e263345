// The table of nodes: sortable, filtered by text, one row to focus at a time.

import { el, text, attr, cls, keyed, $ } from "./dom.js";
import { num, whole, bytes, dur, NONE } from "./format.js";

// kind is how a state looks: good, busy, warn, bad, off.
export function kind(n) {
  switch (n.state) {
    case "ready": return "good";
    case "starting": case "waiting": case "draining": case "stopping": return "busy";
    case "late": return "warn";
    case "done": case "stopped": return "off";
    default: return "bad";
  }
}

const word = { backoff: "down", gone: "down" };
export const stateWord = (n) => word[n.state] || n.state;

const order = { hub: 0, logger: 1, manager: 2, proxy: 3, worker: 4 };
const rank = { bad: 0, warn: 1, busy: 2, good: 3, off: 4 };
const natural = new Intl.Collator("en", { numeric: true });

// What memory is: one thing for all nodes, as the sum would mean nothing else.
export const memoryName = (f) => (f.rss ? "RSS" : "Memory");
export const memoryMeans = (f) => (f.rss ? "RSS: pages that processes share count in each of them" : "PSS: pages that processes share are divided among them");

const COLUMNS = [
  { key: "name", name: "Node", by: (n) => n.name, say: (n) => n.name },
  { key: "role", name: "Role", by: (n) => order[n.role] ?? 9, say: (n) => n.role + (n.live ? " · " + n.source : "") },
  { key: "state", name: "State", by: (n) => rank[kind(n)], say: stateWord },
  { key: "uptime", name: "Up", n: true, by: (n) => n.uptime, say: (n) => (n.pid ? dur(n.uptime) : NONE) },
  { key: "restarts", name: "Restarts", n: true, down: true, by: (n) => n.restarts, say: (n) => n.restarts },
  { key: "cpu", name: "CPU", n: true, down: true, by: (n) => n.cpu, say: (n) => (n.pid ? n.cpu.toFixed(0) + " %" : NONE) },
  { key: "memory", name: "Memory", n: true, down: true, by: (n) => n.memory, say: (n) => bytes(n.memory) },
  { key: "pps", name: "Packets/s", n: true, down: true, by: (n) => n.pps, say: (n) => (n.role === "worker" ? num(n.pps) : ""), full: (n) => whole(n.received) + " packets in all" },
  { key: "dps", name: "Drops/s", n: true, down: true, by: (n) => n.dps || n.dropped / 1e12, say: (n) => (n.role === "worker" ? num(n.dps) : ""), full: (n) => whole(n.dropped) + " dropped in all", alarm: (n) => n.dps > 0 },
  { key: "rps", name: "Records/s", n: true, down: true, by: (n) => n.rps + n.wps, say: (n) => (n.role === "hub" ? "" : num(n.role === "logger" ? n.wps : n.rps)), full: (n) => (n.role === "logger" ? whole(n.written) + " written" : whole(n.produced) + " made") + " in all" },
  { key: "queue", name: "Queue", n: true, down: true, by: (n) => n.queue, say: (n) => (n.role === "hub" ? "" : num(n.queue)), full: (n) => n.queue + " batches wait", alarm: (n) => n.queue >= 64 },
  { key: "load", name: "Load", bar: true, down: true, by: (n) => n.load, say: () => "", full: (n) => (n.role === "worker" ? n.load.toFixed(2) + " times the mean of its source" : "") },
];

const wrong = (n) => (kind(n) === "bad" ? 2 : n.dps > 0 ? 1 : 0);

export class Nodes {
  constructor(open) {
    this.open = open;
    this.sort = "";
    this.up = false;
    this.focused = "";
    for (const c of COLUMNS) {
      c.button = el("button", { type: "button", onclick: () => this.by(c) }, c.name);
      c.th = el("th", { scope: "col", class: c.n ? "n" : c.bar ? "bar" : null }, c.button);
      $("nodes-head").append(c.th);
    }
    this.body = $("nodes-body");
    this.body.addEventListener("click", (e) => {
      const tr = e.target.closest("tr");
      if (tr) { this.focus(tr.name); this.open(tr.name); }
    });
    this.body.addEventListener("keydown", (e) => this.key(e));
    $("nodes-filter").addEventListener("input", () => this.update(this.frame));
  }

  by(c) {
    if (this.sort !== c.key) { this.sort = c.key; this.up = !c.down; }
    else if (this.up === !c.down) this.up = !this.up;
    else this.sort = "";
    for (const x of COLUMNS) attr(x.th, "aria-sort", x.key === this.sort ? (this.up ? "ascending" : "descending") : null);
    this.update(this.frame);
  }

  update(f) {
    if (!f) return;
    this.frame = f;
    const memory = COLUMNS.find((x) => x.key === "memory").button;
    text(memory, memoryName(f));
    attr(memory, "title", memoryMeans(f));
    const words = $("nodes-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    let list = f.nodes.filter((n) => {
      const all = `${n.name} ${n.role} ${n.state} ${stateWord(n)} ${n.source || ""}${n.dps > 0 ? " dropping" : ""}`.toLowerCase();
      return words.every((w) => all.includes(w));
    });
    const c = COLUMNS.find((x) => x.key === this.sort);
    const sign = this.up ? 1 : -1;
    list = list.sort((a, b) => {
      if (c) {
        const [x, y] = [c.by(a), c.by(b)];
        const d = typeof x === "string" ? natural.compare(x, y) : x - y;
        if (d) return sign * d;
      }
      // Without an order of your own: what is wrong first.
      return (c ? 0 : wrong(b) - wrong(a)) || (order[a.role] ?? 9) - (order[b.role] ?? 9) || natural.compare(a.name, b.name);
    });
    text($("nodes-sum"), (list.length < f.nodes.length ? list.length + " of " : "") + f.nodes.length + ", " + f.totals.ready + " ready");
    if (!list.some((n) => n.name === this.focused)) this.focused = list.length ? list[0].name : "";
    keyed(this.body, list, (n) => n.name, (n) => this.row(n), (tr, n) => this.fill(tr, n));
  }

  row(n) {
    const tr = el("tr", { tabindex: "-1" });
    tr.name = n.name;
    for (const c of COLUMNS) {
      const td = el("td", { class: c.n ? "n" : c.bar ? "bar" : null });
      if (c.key === "name") td.append(el("i", { class: "dot" }), el("span"));
      tr.append(td);
      if (c.bar) td.append(el("i"));
    }
    return tr;
  }

  fill(tr, n) {
    const k = kind(n);
    COLUMNS.forEach((c, i) => {
      const td = tr.children[i];
      if (c.key === "name") { cls(td.firstChild, "dot " + k); text(td.lastChild, c.say(n)); return; }
      if (c.full) attr(td, "title", c.full(n) || null);
      if (c.bar) {
        cls(td, "bar" + (n.load >= 2 ? " hot" : ""));
        td.firstChild.style.width = Math.min(100, n.load * 33).toFixed(0) + "%";
        return;
      }
      const s = String(c.say(n));
      text(td, s);
      if (c.key === "state") cls(td, "state " + k);
      else cls(td, (c.n ? "n" : "") + (c.alarm && c.alarm(n) ? " alarm" : s === "0" ? " zero" : ""));
    });
    cls(tr, n.name === this.chosen ? "chosen" : null);
    attr(tr, "tabindex", n.name === this.focused ? "0" : "-1");
    attr(tr, "aria-label", `${n.name}, ${n.role}, ${stateWord(n)}`);
  }

  choose(name) {
    this.chosen = name;
    for (const tr of this.body.children) cls(tr, tr.name === name ? "chosen" : null);
  }

  focus(name) {
    this.focused = name;
    for (const tr of this.body.children) attr(tr, "tabindex", tr.name === name ? "0" : "-1");
  }

  key(e) {
    const rows = [...this.body.children], i = rows.findIndex((r) => r.name === this.focused);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: rows.length - 1, PageDown: i + 15, PageUp: i - 15 }[e.key];
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); if (i >= 0) this.open(this.focused); return; }
    if (to === undefined || !rows.length) return;
    e.preventDefault();
    const tr = rows[Math.max(0, Math.min(rows.length - 1, to))];
    this.focus(tr.name);
    tr.focus();
  }
}
