// One node, beside the rest: its facts, its last ten minutes, what it has
// printed, and its restart.

import { el, text, attr, cls, keyed, $ } from "./dom.js";
import { num, whole, bytes, dur, clock, NONE } from "./format.js";
import { ask, post, token } from "./feed.js";
import { Chart } from "./chart.js";
import { kind, stateWord } from "./nodes.js";

export class Drawer {
  constructor({ chosen, askToken }) {
    this.chosen = chosen; this.askToken = askToken;
    this.root = $("drawer");
    this.name = "";
    this.chart = new Chart("Packets/s", { unit: num, least: 10, height: 92, series: [{ key: "pps", color: "c1", area: true }, { key: "dps", color: "cbad", area: true }] });
    $("drawer-chart").append(this.chart.root);
    $("drawer-close").addEventListener("click", () => this.close());
    this.root.addEventListener("keydown", (e) => { if (e.key === "Escape") { e.preventDefault(); this.close(); } });
    for (const id of ["drawer-file", "drawer-life"]) $(id).addEventListener("change", () => { this.shown = ""; this.refresh(); });
    $("drawer-find").addEventListener("input", () => this.counters());
    $("drawer-more").addEventListener("toggle", () => this.counters());
    this.restart = el("button", { type: "button", class: "danger", id: "restart", onclick: () => this.sure() }, "Restart");
    this.yes = el("button", { type: "button", class: "danger", id: "restart-yes", onclick: () => this.go() });
    this.no = el("button", { type: "button", onclick: () => { this.asking = false; this.buttons(); this.restart.focus(); } }, "Cancel");
    this.said = el("span", { class: "said", role: "status", id: "restart-said" });
    $("drawer-restart").append(this.restart, this.yes, this.no, this.said);
    setInterval(() => { if (this.name && !document.hidden) this.refresh(); }, 2000);
  }

  open(name) {
    if (!this.name) this.back = document.activeElement;
    this.name = name;
    this.asking = false;
    this.detail = null;
    this.shown = "";
    text(this.said, ""); cls(this.said, "said");
    text($("drawer-output"), "");
    this.root.hidden = false;
    if (this.frame) this.update(this.frame);
    this.buttons();
    this.refresh();
    $("drawer-name").focus();
    this.chosen(name);
  }

  close() {
    if (!this.name) return;
    this.name = "";
    this.root.hidden = true;
    this.chosen("");
    if (this.back && this.back.isConnected) this.back.focus();
  }

  update(f) {
    this.frame = f;
    if (!this.name) return;
    const n = f.nodes.find((x) => x.name === this.name);
    if (!n) { text($("drawer-state"), "There is no such node any more."); return; }
    cls($("drawer-dot"), "dot " + kind(n));
    text($("drawer-name"), n.name);
    text($("drawer-role"), n.role + (n.source ? " of " + n.source : ""));
    text($("drawer-state"), `${stateWord(n)} since ${clock(n.since, f.time)} (${dur(f.time - n.since)})` + (n.exit ? `; last: ${n.exit}` : ""));
    const facts = [["pid", n.pid || NONE], ["up", n.pid ? dur(n.uptime) : NONE], ["restarts", n.restarts], [f.rss ? "RSS" : "memory", bytes(n.memory)], ["CPU", n.pid ? n.cpu.toFixed(0) + " %" : NONE], ["heartbeat", n.pid ? n.beat.toFixed(1) + " s ago" : NONE]];
    if (n.role === "worker") facts.push(["packets", num(n.received), whole(n.received)], ["dropped", num(n.dropped), whole(n.dropped), n.dps > 0], ["last drop", n.drops ? clock(n.drops, f.time) : "none seen"], ["load", n.load ? n.load.toFixed(2) + " × mean" : NONE]);
    if (n.role !== "hub") facts.push(["records made", num(n.produced), whole(n.produced)], ["queue", num(n.queue) + " batches"]);
    if (n.role === "logger") facts.push(["written", num(n.written), whole(n.written)]);
    keyed($("drawer-facts"), facts, (x) => x[0], (x) => el("div", {}, el("dt", {}, x[0]), el("dd")), (e, x) => {
      text(e.lastChild, x[1]); attr(e.lastChild, "title", x[2]); cls(e.lastChild, x[3] ? "alarm" : null);
    });
    $("drawer-chart").hidden = n.role !== "worker";
    this.point(n, f.time);
    this.buttons();
  }

  // point adds the newest values to the chart.
  point(n, time) {
    const h = this.detail && this.detail.history;
    if (!h || n.role !== "worker") return;
    if (!h.time.length || h.time[h.time.length - 1] < time) { h.time.push(time); h.pps.push(n.pps); h.dps.push(n.dps); }
    this.chart.draw(h.time, h, (i) => {
      text(this.chart.value, num(h.pps[i]));
      text(this.chart.also, "dropped " + num(h.dps[i]) + "/s");
    });
  }

  async refresh() {
    const name = this.name;
    if (!name || this.asks) return;
    this.asks = true;
    try {
      const file = $("drawer-file").value, life = $("drawer-life").value, q = encodeURIComponent(name);
      const detail = await ask("api/node?name=" + q);
      if (name !== this.name) return;
      this.detail = detail;
      this.words(detail.node.stderr);
      this.counters();
      if (this.frame) this.update(this.frame);
      if (!detail.output) {
        this.shown = "";
        text($("drawer-output"), `What a node prints is shown to those who give a token. On the machine, picket logs ${name} shows it.`);
        return;
      }
      const out = await ask("api/output?node=" + q + "&life=" + life);
      if (name !== this.name) return;
      const f = out.files.find((x) => x.name === file), pre = $("drawer-output");
      let s = f && f.text ? f.text : "It has printed nothing there.";
      if (f && f.size > 65536) s = `… the last 64 KiB of ${bytes(f.size)}\n` + s;
      if (s !== this.shown) {
        const low = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 30 || !this.shown;
        this.shown = s;
        text(pre, s);
        if (low) pre.scrollTop = pre.scrollHeight;
      }
    } catch (e) {
      if (name === this.name) { this.shown = ""; text($("drawer-output"), e.message); }
    } finally {
      this.asks = false;
      if (this.name && this.name !== name) this.refresh();
    }
  }

  // words are the last ones of a life that failed.
  words(lines) {
    $("drawer-words").hidden = !(lines && lines.length);
    text($("drawer-words").lastElementChild, (lines || []).join("\n"));
  }

  counters() {
    if (!$("drawer-more").open || !this.detail) return;
    const want = $("drawer-find").value.toLowerCase();
    const all = Object.entries(this.detail.node.counters || {}).filter(([k]) => k.includes(want)).sort(([a], [b]) => (a < b ? -1 : 1));
    keyed($("drawer-counters"), all, (x) => x[0], (x) => el("tr", {}, el("td", {}, x[0]), el("td", { class: "n" })), (tr, x) => text(tr.lastChild, whole(x[1])));
  }

  buttons() {
    const can = this.frame && this.frame.operate;
    this.restart.hidden = this.asking || !can;
    this.yes.hidden = this.no.hidden = !this.asking;
    text(this.yes, "Yes, restart " + this.name);
    if (this.frame && !can && !this.said.textContent) text(this.said, "Nobody may restart from here: no tokens are set up.");
    if (can && this.said.textContent.startsWith("Nobody")) text(this.said, "");
  }

  sure() {
    text(this.said, ""); cls(this.said, "said");
    if (!token()) { this.askToken("", () => this.sure()); return; }
    this.asking = true;
    this.buttons();
    this.yes.focus();
  }

  async go() {
    const name = this.name;
    this.asking = false;
    this.buttons();
    text(this.said, "asking …");
    try {
      const r = await post("api/restart", { node: name });
      text(this.said, `${name} restarts, asked by ${r.by}`);
    } catch (e) {
      text(this.said, e.message); cls(this.said, "said bad");
      if (e.status === 401) this.askToken(e.message, () => this.sure());
    }
    if (name === this.name) this.restart.focus();
  }
}
