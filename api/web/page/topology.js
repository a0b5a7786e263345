// The cluster as a picture: interfaces, workers, the bus, and who is behind it.
// Tiles are laid out anew when nodes or the width change, and else only coloured.

import { svg, text, attr, cls, $ } from "./dom.js";
import { num, percent } from "./format.js";
import { kind, stateWord } from "./nodes.js";

const GAP = 4, TOP = 26, WIDE = 26, SMALL_W = 34, SMALL_H = 22;
const NARROW = 520; // below it all stands one under the other

export class Topology {
  constructor(open) {
    this.svg = $("picture");
    this.open = open;
    this.tiles = new Map();
    this.shape = "";
    this.focused = "";
    this.w = 0;
    new ResizeObserver(([e]) => {
      this.w = Math.round(e.contentRect.width);
      if (this.frame) this.update(this.frame);
    }).observe(this.svg);
    this.svg.addEventListener("keydown", (e) => this.key(e));
    this.svg.addEventListener("click", (e) => {
      const t = e.target.closest(".tile");
      if (t) { this.focus(t.name); this.open(t.name); }
    });
  }

  update(f) {
    this.frame = f;
    const w = this.w;
    if (!w) return;
    const shape = w + " " + f.nodes.map((n) => n.name + "|" + n.role + "|" + (n.source || "")).join(" ");
    if (shape !== this.shape) { this.shape = shape; this.layout(f, w); }
    this.paint(f);
  }

  // layout makes the tiles and lines.
  layout(f, w) {
    const had = this.svg.contains(document.activeElement) ? this.focused : "";
    this.svg.replaceChildren();
    this.tiles.clear();
    this.flows = [];
    const sources = new Map(), by = (role) => f.nodes.filter((n) => n.role === role);
    for (const n of by("worker")) {
      const s = n.source || "packets";
      if (!sources.has(s)) sources.set(s, []);
      sources.get(s).push(n);
    }
    if (w < NARROW) this.stack(w, sources, by);
    else this.row(f, w, sources, by);
    if (!this.tiles.has(this.focused)) this.focused = f.nodes.length ? (by("worker")[0] || f.nodes[0]).name : "";
    this.focus(this.focused, had !== "");
  }

  heading(x, y, s) { this.svg.append(svg("text", { class: "title", x, y }, s)); }

  // source is the box of an interface.
  source(name, nodes, x, y, width, shown) {
    const box = svg("g", { class: "source" }, svg("rect", { class: "box", x, y: y - 20, width, height: 40, rx: 6 }));
    const label = svg("text", { x: x + 10, y: y - 3, "font-weight": 600 }), sub = svg("text", { class: "sub", x: x + 10, y: y + 12 });
    text(label, short(name, shown));
    box.append(svg("title", {}, name), label, sub);
    this.svg.append(box);
    this.sources.push({ name, nodes: nodes.map((n) => n.name), box, sub });
  }

  // stack is the picture from top to bottom.
  stack(w, sources, by) {
    const x = 14, room = w - 2 * x, mid = w / 2, lines = svg("g");
    this.svg.append(lines);
    this.sources = [];
    const down = (y, rate, more) => { this.flow(lines, mid, y, mid, y + 14, rate, more); return y + 16; };
    let y = 2;
    for (const [name, nodes] of sources) {
      this.heading(x, y + 12, "interface and its workers");
      this.source(name, nodes, x, y + 40, room, 40);
      y = down(y + 60, () => this.sum(nodes, "pps"), "");
      y += this.grid(nodes, x, y, room, nodes.length > 6, room).h;
      y = down(y, () => this.sum(nodes, "rps"), "records") + 6;
    }
    const hub = by("hub")[0] || { name: "", role: "hub" };
    this.heading(x, y + 12, "bus");
    this.tile(hub, x, y + 18, room, 40, "hub");
    y += 58;
    for (const [role, title, rate] of [["logger", "loggers", "wps"], ["manager", "manager", ""], ["proxy", "proxies", ""]]) {
      const nodes = by(role);
      if (!nodes.length) continue;
      y = down(y, rate ? () => this.sum(nodes, rate) : () => 0, rate ? "records" : "") + 2;
      this.heading(x, y + 10, title);
      y += 16 + this.grid(nodes, x, y + 16, room, nodes.length > 6, room).h;
    }
    this.size(w, y + 8);
  }

  size(w, height) {
    attr(this.svg, "viewBox", `0 0 ${w} ${height}`);
    this.svg.style.height = height + "px";
  }

  // row is the picture from left to right.
  row(f, w, sources, by) {
    const narrow = w < 760;
    const x = { source: 14, workers: narrow ? 134 : 170, bus: 0, right: 0 };
    const rightW = Math.min(narrow ? 130 : 210, w * 0.27), sourceW = narrow ? 92 : 112;
    x.right = w - rightW - 14;
    x.bus = x.right - (narrow ? 78 : 116);
    const busW = narrow ? 52 : 58, room = x.bus - (narrow ? 24 : 54) - x.workers;
    for (const [at, s] of [[x.source, "interfaces"], [x.workers, "workers"], [x.bus, "bus"], [x.right, "loggers, manager, proxies"]]) {
      this.heading(at, 16, s);
    }
    const lines = svg("g");
    this.svg.append(lines);

    // Workers, by source, down the middle.
    let y = TOP;
    this.sources = [];
    for (const [name, nodes] of sources) {
      const g = this.grid(nodes, x.workers, y + 4, room, nodes.length > 10);
      const h = Math.max(g.h, 34), mid = y + 4 + h / 2;
      this.source(name, nodes, x.source, mid, sourceW, narrow ? 9 : 15);
      this.flow(lines, x.source + sourceW, mid, x.workers - 6, mid, () => this.sum(nodes, "pps"), "");
      this.flow(lines, x.workers + g.w + 6, mid, x.bus, mid, () => this.sum(nodes, "rps"), "records");
      y += h + 14;
    }
    const bottomLeft = y;

    // Behind the bus.
    let yr = TOP + 4;
    const groups = [["logger", "rps"], ["manager", ""], ["proxy", ""]];
    const ends = [];
    for (const [role, rate] of groups) {
      const nodes = by(role);
      if (!nodes.length) continue;
      const g = this.grid(nodes, x.right, yr, rightW, nodes.length > 6);
      ends.push([yr + g.h / 2, nodes, rate]);
      yr += g.h + 12;
    }
    const height = Math.max(bottomLeft, yr, 110);
    // The side that needs less is put in the middle.
    const down = Math.max(0, (height - yr) / 2 - 4);
    if (down > 1) {
      for (const n of f.nodes) {
        const t = ["logger", "manager", "proxy"].includes(n.role) && this.tiles.get(n.name);
        if (t) { t.y += down; attr(t.g, "transform", `translate(${t.x} ${t.y})`); }
      }
    }
    for (const [at, nodes, rate] of ends) {
      this.flow(lines, x.bus + busW, at + down, x.right - 6, at + down, rate ? () => this.sum(nodes, "wps") : () => 0, rate ? "records" : "");
    }
    const hubs = by("hub"), hub = hubs[0] || { name: "", role: "hub" };
    this.tile(hub, x.bus, TOP + 4, busW, height - TOP - 12, "hub");
    this.size(w, height);
  }

  // grid lays nodes out in rows. A tile that is alone in its row is at most so wide.
  grid(nodes, x, y, room, small, most = 300) {
    const h = small ? SMALL_H : WIDE;
    let across = 1, w = Math.min(room, most);
    if (small) {
      // Full rows of wider tiles, rather than one left over.
      const fit = Math.max(1, Math.floor((room + GAP) / (SMALL_W + GAP)));
      across = Math.ceil(nodes.length / Math.ceil(nodes.length / fit));
      w = Math.min(56, (room + GAP) / across - GAP);
    }
    nodes.forEach((n, i) => this.tile(n, x + (i % across) * (w + GAP), y + Math.floor(i / across) * (h + GAP), w, h, small ? "small" : "wide"));
    const rows = Math.ceil(nodes.length / across);
    return { w: Math.min(across, nodes.length) * (w + GAP) - GAP, h: rows * (h + GAP) - GAP };
  }

  tile(n, x, y, w, h, size) {
    const g = svg("g", { class: "tile", tabindex: "-1", role: "button", transform: `translate(${x} ${y})` });
    g.name = n.name;
    const load = svg("rect", { class: "load", rx: 1.5 });
    const name = svg("text", size === "small" ? { x: w / 2, y: 14, "text-anchor": "middle" } : size === "hub" ? { x: w / 2, y: h / 2, "text-anchor": "middle", "font-weight": 600 } : { x: 10, y: 17, "font-weight": 550 });
    const sub = svg("text", size === "hub" ? { class: "sub", x: w / 2, y: h / 2 + 15, "text-anchor": "middle" } : { class: "sub", x: w - 8, y: 17, "text-anchor": "end" });
    const title = svg("title");
    text(name, size === "small" ? n.name.replace(/^[a-z]+-/, "") : n.name || "bus");
    g.append(title, svg("rect", { class: "box", width: w, height: h, rx: size === "small" ? 3 : 5 }), load, name);
    if (size !== "small") g.append(sub);
    if (size === "hub") for (const [k, v] of [["x", 0], ["width", 0], ["height", 0]]) attr(load, k, v);
    this.svg.append(g);
    this.tiles.set(n.name, { g, x, y, w, h, size, load, sub, title });
  }

  flow(into, x1, y1, x2, y2, rate, more) {
    const m = (x1 + x2) / 2, p = svg("path", { d: `M${x1} ${y1}C${m} ${y1} ${m} ${y2} ${x2} ${y2}` });
    into.append(p);
    this.flows.push({ p, rate, more });
  }

  sum(nodes, key) {
    let s = 0;
    for (const n of nodes) s += (this.now.get(n.name) || {})[key] || 0;
    return s;
  }

  // paint shows what changes with each frame.
  paint(f) {
    const now = this.now = new Map(f.nodes.map((n) => [n.name, n]));
    const top = Math.max(1, ...f.nodes.filter((n) => n.role === "worker").map((n) => n.pps));
    const warned = new Set(), dropping = new Set();
    for (const t of f.troubles) for (const n of t.nodes) (t.kind === "drops" ? dropping : warned).add(n);
    for (const [name, t] of this.tiles) {
      const n = now.get(name);
      if (!n) { cls(t.g, "tile hub"); attr(t.g, "aria-label", "the bus, a server of your own"); continue; }
      const k = kind(n);
      let c = "tile " + t.size + " " + n.state;
      if (k === "bad") c += " down";
      else if (dropping.has(name)) c += " dropping";
      else if (warned.has(name) || k === "warn") c += " warned";
      else if (k === "off") c += " off";
      if (name === this.chosen) c += " chosen";
      cls(t.g, c);
      let say = stateWord(n);
      if (n.role === "worker") {
        if (n.state === "ready") say = n.dps > 0 && t.w < 220 ? "drops " + num(n.dps) + "/s" : num(n.pps) + " pkt/s" + (n.dps > 0 ? " · drops " + num(n.dps) : "");
        const share = Math.min(1, n.pps / top);
        attr(t.load, "x", 2); attr(t.load, "y", t.h - (t.size === "small" ? 4 : 5)); attr(t.load, "height", t.size === "small" ? 2.5 : 3);
        attr(t.load, "width", (share * (t.w - 4)).toFixed(1));
      } else if (n.role === "logger" && n.state === "ready") say = num(n.wps) + " rec/s";
      else if (n.role === "hub" && n.state === "ready") say = num(n.bus || 0) + "/s";
      if (n.queue >= 8 && t.w >= 220) say += " · " + num(n.queue) + " wait";
      text(t.sub, say);
      const label = `${n.name}, ${n.role}, ${n.state}` + (n.role === "worker" ? `, ${num(n.pps)} packets per second, ${num(n.dps)} dropped per second` : "") +
        (n.role === "logger" ? `, ${num(n.wps)} records per second` : "") + (n.queue ? `, ${num(n.queue)} batches wait` : "") + (n.restarts ? `, ${n.restarts} restarts` : "");
      attr(t.g, "aria-label", label);
      text(t.title, label);
    }
    for (const s of this.sources) {
      const all = s.nodes.map((x) => now.get(x)).filter(Boolean);
      const pps = all.reduce((a, n) => a + n.pps, 0), dps = all.reduce((a, n) => a + n.dps, 0);
      text(s.sub, num(pps) + " pkt/s");
      cls(s.box, "source" + (f.troubles.some((t) => t.kind === "silent" && t.text.startsWith(s.name + " ")) ? " silent" : ""));
      attr(s.box, "aria-label", `${s.name}: ${num(pps)} packets per second, ${num(dps)} dropped`);
    }
    for (const l of this.flows) {
      const v = l.rate();
      cls(l.p, "flow " + (v > 0 ? l.more : "none"));
      attr(l.p, "stroke-width", v > 0 ? (1.5 + Math.min(10, Math.log10(1 + v) * 2)).toFixed(1) : 1.5);
    }
    this.uneven(f);
  }

  uneven(f) {
    const loads = f.nodes.filter((n) => n.role === "worker" && n.load > 0);
    let say = "";
    if (loads.length > 1) {
      const most = loads.reduce((a, b) => (b.load > a.load ? b : a)), least = loads.reduce((a, b) => (b.load < a.load ? b : a));
      say = `load per worker ${percent(100 * least.load)} to ${percent(100 * most.load)} of the mean (${most.name})`;
    }
    text($("uneven"), say);
  }

  choose(name) {
    this.chosen = name;
    if (this.frame) this.paint(this.frame);
  }

  focus(name, move = false) {
    const old = this.tiles.get(this.focused), t = this.tiles.get(name);
    if (old) attr(old.g, "tabindex", "-1");
    this.focused = name;
    if (t) { attr(t.g, "tabindex", "0"); if (move) t.g.focus(); }
  }

  // key moves to the nearest tile in a direction.
  key(e) {
    const t = this.tiles.get(this.focused);
    if (!t) return;
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); this.open(this.focused); return; }
    const dir = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!dir) return;
    e.preventDefault();
    const cx = t.x + t.w / 2, cy = t.y + t.h / 2;
    let best = "", score = Infinity;
    for (const [name, o] of this.tiles) {
      if (name === this.focused) continue;
      const dx = o.x + o.w / 2 - cx, dy = o.y + o.h / 2 - cy;
      const ahead = dx * dir[0] + dy * dir[1];
      // To a tall tile beside, the way is straight.
      const aside = dir[0] ? (o.size === "hub" || t.size === "hub" ? Math.abs(dy) / 50 : Math.abs(dy)) : Math.abs(dx);
      // Up and down stay in a column.
      if (ahead < 3 || (dir[1] && Math.abs(dx) > (o.w + t.w) / 2)) continue;
      const s = ahead + 3 * aside;
      if (s < score) { score = s; best = name; }
    }
    if (best) this.focus(best, true);
  }
}

function short(s, n) { return s.length > n ? s.slice(0, n - 1) + "…" : s; }
