// The search over the last records. Records are what strangers sent over the
// network: they are shown as text and nothing else.

import { el, text, attr, $ } from "./dom.js";
import { num, bytes, clock, plural } from "./format.js";
import { ask } from "./feed.js";

export class Search {
  constructor() {
    this.asks = false;
    $("search-form").addEventListener("submit", (e) => { e.preventDefault(); this.go(); });
    $("search-path").addEventListener("change", () => this.go());
    let timer = 0;
    $("search-words").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => this.go(), 350); });
    $("search-live").addEventListener("change", () => this.go());
    setInterval(() => { if ($("search-live").checked && !document.hidden) this.go(); }, 2000);
  }

  // update knows which logs there are.
  update(f) {
    const names = f.logs.map((l) => l.path).join(" ");
    if (names === this.names) return;
    this.names = names;
    const select = $("search-path"), was = select.value;
    select.replaceChildren(el("option", { value: "" }, "all logs"), ...f.logs.map((l) => el("option", { value: l.path }, l.path)));
    select.value = was;
  }

  async go() {
    if (this.asks) { this.again = true; return; }
    this.asks = true;
    try {
      const path = $("search-path").value;
      const r = await ask("api/search?" + new URLSearchParams({ q: $("search-words").value, path }));
      this.show(r, path);
    } catch (e) {
      text($("search-says"), e.message);
    } finally {
      this.asks = false;
      if (this.again) { this.again = false; this.go(); }
    }
  }

  show(r, path) {
    const files = r.files.filter((f) => !f.error), wrong = r.files.filter((f) => f.error);
    const since = files.map((f) => f.from).filter(Boolean);
    let says = `${num(r.matched)} of ${plural(r.looked, "record", "records")} match`;
    if (r.rows.length < r.matched) says += `, the newest ${r.rows.length} are shown`;
    says += files.length ? `. Looked through: ${bytes(files.reduce((a, f) => a + f.read, 0))} at the end of ${plural(files.length, "file that is", "files that are")} being written` : ". No log file is being written";
    if (since.length) says += `, back to ${clock(Math.min(...since), Date.now() / 1000)}`;
    if (r.truncated) says += " or later; what is older was left out";
    says += ". Rotated files are not looked at.";
    for (const f of wrong) says += ` ${f.path}: ${f.error}.`;
    text($("search-says"), says);
    $("search-scroll").hidden = !r.rows.length;
    const head = $("search-head"), body = $("search-body");
    if (path) {
      const columns = [], seen = new Set();
      for (const row of r.rows) for (const [k] of row.fields) if (!seen.has(k)) { seen.add(k); columns.push(k); }
      head.replaceChildren(...columns.map((c) => el("th", { scope: "col" }, c)));
      body.replaceChildren(...r.rows.map((row) => {
        const by = new Map(row.fields);
        return el("tr", {}, ...columns.map((c) => {
          const v = by.has(c) ? (c === "ts" ? when(row) : by.get(c)) : "";
          return el("td", { title: v.length > 40 ? v : null }, v);
        }));
      }));
    } else {
      head.replaceChildren(...["Time", "Log", "Record"].map((c) => el("th", { scope: "col" }, c)));
      body.replaceChildren(...r.rows.map((row) => el("tr", {}, el("td", {}, when(row)), el("td", {}, row.path),
        el("td", { class: "all" }, ...row.fields.filter(([k]) => k !== "ts").flatMap(([k, v]) => [el("span", { class: "f" }, k + " "), el("span", { class: "v" }, v), " "])))));
    }
    attr($("search-scroll"), "aria-label", says);
  }
}

// when is a record's own time, in the browser's zone with the date if it is another day's.
function when(row) { return row.time ? clock(row.time, Date.now() / 1000) : (row.fields.find(([k]) => k === "ts") || ["", ""])[1]; }
