// Lines over the last ten minutes, as SVG: colours come from the style sheet, so
// they follow light and dark. A cursor, by mouse or arrow keys, is shared by all.

import { el, svg, text, attr, cls } from "./dom.js";
import { clock } from "./format.js";

const SPAN = 600;
const charts = new Set();
let cursor = 0; // a time, or 0

export class Chart {
  // series: [{key, name, color, area, stack}]; unit formats a value; least is the
  // smallest top of the axis; base is what the axis counts in.
  constructor(title, { unit, least = 1, series = [], height = 92, base = 1 }) {
    this.unit = unit; this.base = base; this.least = least; this.series = series; this.height = height;
    this.value = el("span", { class: "value" });
    this.also = el("div", { class: "also" });
    this.svg = svg("svg", { tabindex: "0", role: "img" });
    this.grid = [svg("line", { class: "grid" }), svg("line", { class: "grid" })];
    this.labels = [svg("text", { y: 9 }), svg("text", { "text-anchor": "start" }), svg("text", { "text-anchor": "end" })];
    this.marks = svg("g");
    this.line = svg("line", { class: "cursor", visibility: "hidden" });
    this.svg.append(...this.grid, this.marks, this.line, ...this.labels);
    this.title = title;
    this.head = el("h2", {}, title);
    this.root = el("div", { class: "chart" }, el("div", { class: "top" }, this.head), this.value, this.also, this.svg);
    this.time = []; this.data = {};
    this.svg.addEventListener("pointermove", (e) => {
      const r = this.svg.getBoundingClientRect();
      setCursor(this.end() - SPAN * (1 - (e.clientX - r.left) / r.width));
    });
    this.svg.addEventListener("pointerleave", () => setCursor(0));
    this.svg.addEventListener("blur", () => setCursor(0));
    this.svg.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: -10, ArrowRight: 10, PageUp: -60, PageDown: 60 }[e.key];
      if (step) setCursor(Math.min(this.end(), Math.max(this.end() - SPAN, (cursor || this.end()) + step)));
      else if (e.key === "Escape" && cursor) setCursor(0);
      else return;
      e.preventDefault();
    });
    charts.add(this);
    // Asking for the width while drawing would have the browser lay out all anew.
    this.w = 240;
    new ResizeObserver(([e]) => {
      this.w = Math.max(60, Math.round(e.contentRect.width));
      if (this.say) this.draw(this.time, this.data, this.say);
    }).observe(this.svg);
  }

  end() { return this.time.length ? this.time[this.time.length - 1] : Date.now() / 1000; }
  remove() { charts.delete(this); this.root.remove(); }

  // draw shows data: lists by key, beside the list of times. say(i) writes the
  // values at an index; without a cursor that is the last one.
  draw(time, data, say) {
    this.time = time; this.data = data; this.say = say;
    const w = this.w, h = this.height, top = 13, low = h - 13;
    attr(this.svg, "viewBox", `0 0 ${w} ${h}`);
    const end = this.end(), x = (t) => w * (1 - (end - t) / SPAN);
    let from = 0;
    while (from < time.length && time[from] < end - SPAN) from++;
    let max = this.least;
    const sums = new Float64Array(time.length), shapes = [];
    for (const s of this.series) {
      const v = data[s.key];
      if (!v) continue;
      const y = new Float64Array(time.length);
      for (let i = from; i < time.length; i++) {
        y[i] = (v[i] || 0) + (s.stack ? sums[i] : 0);
        if (s.stack) sums[i] = y[i];
        if (y[i] > max) max = y[i];
      }
      shapes.push([s, y, s.stack ? y.map((v, i) => v - (data[s.key][i] || 0)) : null]);
    }
    max = this.base * nice(1.04 * max / this.base);
    const Y = (v) => low - (low - top) * v / max;
    while (this.marks.childNodes.length > 2 * shapes.length) this.marks.lastChild.remove();
    while (this.marks.childNodes.length < 2 * shapes.length) this.marks.append(svg("path"));
    shapes.forEach(([s, y, floor], k) => {
      let d = "", open = false, back = "", area = "";
      for (let i = from; i < time.length; i++) {
        // Where nobody looked for long, nothing is known.
        if (open && time[i] - time[i - 1] > 30) { area += back + "Z"; open = false; }
        const px = x(time[i]).toFixed(1), p = px + " " + Y(y[i]).toFixed(1), under = px + " " + (floor ? Y(floor[i]).toFixed(1) : low);
        d += (open ? "L" : "M") + p;
        area += open ? "L" + p : `M${under}L` + p;
        back = open ? "L" + under + back : "";
        open = true;
      }
      if (open) area += back + "Z";
      const [a, l] = [this.marks.childNodes[2 * k], this.marks.childNodes[2 * k + 1]];
      cls(a, "area " + s.color + (s.stack ? " stack" : "")); attr(a, "d", s.area ? area : "");
      cls(l, "series " + s.color); attr(l, "d", d);
    });
    for (const [g, at] of [[this.grid[0], top], [this.grid[1], low]]) {
      for (const [k, v] of [["x1", 0], ["x2", w], ["y1", at], ["y2", at]]) attr(g, k, v);
    }
    text(this.labels[0], this.unit(max));
    text(this.labels[1], "−10 min"); attr(this.labels[1], "y", h - 2);
    text(this.labels[2], clock(end)); attr(this.labels[2], "x", w); attr(this.labels[2], "y", h - 2);
    this.point();
  }

  // point moves the cursor and tells of where it is.
  point() {
    const n = this.time.length;
    if (!n || !this.say) return;
    let i = n - 1;
    const on = cursor > 0;
    if (on) while (i > 0 && this.time[i] > cursor) i--;
    const w = this.w, px = w * (1 - (this.end() - this.time[i]) / SPAN);
    attr(this.line, "visibility", on ? "visible" : "hidden");
    for (const [k, v] of [["x1", px], ["x2", px], ["y1", 13], ["y2", this.height - 13]]) attr(this.line, k, v);
    this.say(i, on);
    if (on) text(this.labels[2], clock(this.time[i]));
    else text(this.labels[2], clock(this.end()));
    attr(this.svg, "aria-label", `${this.title} over the last ten minutes; ${on ? "at " + clock(this.time[i]) : "now"} ${this.value.textContent}. ${this.also.textContent}`);
  }
}

function setCursor(t) {
  if (t === cursor) return;
  cursor = t;
  for (const c of charts) c.point();
}

// nice is the next number of one digit or 1.5 or 2.5 of its size.
function nice(v) {
  const p = 10 ** Math.floor(Math.log10(v));
  for (const m of [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) if (v <= m * p * 1.0001) return m * p;
  return 10 * p;
}
